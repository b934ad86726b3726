"""Live replies: what a viewer is sent, step by step, and the feeds that share those steps."""
