"""Tests that need a kernel of their own: tests/faults/test_run_group.py boots one and runs them there."""
