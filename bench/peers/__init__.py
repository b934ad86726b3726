"""Peers: what people would use instead, or the least that physics allows."""
