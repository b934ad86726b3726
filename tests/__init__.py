"""The tests of runcast. CONTRIBUTING.md says which folder is for what."""
