"""Masking: secrets replaced by stars before anything is written (docs/howto/masking.md)."""
