"""Benchmarks: runcast beside its peers, on this machine, in the same minutes.

`python -m bench [--quick] [ROW …]`. Rows are modules of `bench.rows`; what they share is here.
"""
