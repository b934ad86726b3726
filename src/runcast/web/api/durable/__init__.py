"""Durable Streams over HTTP: every run to read, and streams to make, append to and read."""
