"""Hooks of runs: what is done when a run is over, by a process of its own that ends with it."""
