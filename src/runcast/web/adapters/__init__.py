"""What the adapters of all frameworks share. The adapters themselves are the modules of `runcast.web`."""
