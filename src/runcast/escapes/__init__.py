"""Escape sequences in output, as programs for terminals write them (ECMA-48, xterm's ctlseqs).

Owns what runcast itself understands of them: the line that a program has not finished. Pure: bytes in,
values out; must not know runs.
"""
