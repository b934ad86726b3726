"""The servers around an application: what they cannot do, when they end, and their connections."""
