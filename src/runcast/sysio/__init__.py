"""The calls to the operating system that need care: files, locks, descriptors, forks. Knows no runs."""
