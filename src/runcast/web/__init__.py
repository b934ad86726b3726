"""Runs over HTTP: one responder, and a little glue for each kind of server and framework."""
