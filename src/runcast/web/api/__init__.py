"""The HTTP API: from a request to the reply, without any framework."""
