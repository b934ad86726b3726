"""Requests and replies, for no framework in particular: the lowest room of `web`."""
