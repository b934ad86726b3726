"""The standalone server: who has access, what may be started, where it listens.

Needs the extra `server`; this package and `registry` are importable without it.
"""
