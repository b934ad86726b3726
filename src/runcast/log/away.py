"""The mark of a segment that is away: its bytes are the log's, kept elsewhere, and not on this disk.

    <start>.away   an object with `bytes`, how many there are, and `lines`, how many line feeds the log has
                   up to their end; beside `<start>.index`, which is always here

Bytes that are here count, whatever a mark says, and a mark without an index is none. Must not know where
the bytes are, or who brings them.
"""

from __future__ import annotations

from typing import NamedTuple

from runcast.errors import FileDamaged
from runcast.json_objects import read_json
from runcast.log.segments import AWAY

__all__ = ["Away", "away_at"]

_MOST = 2**63  # of offsets and counts


class Away(NamedTuple):
    """What is known here of a segment that is away: its bytes, and the line feeds of the log to its end."""

    bytes: int
    lines: int


def away_at(path: str) -> Away | None:
    """Return what the mark of a segment says, by the path of its bytes; None if it is not away.

    Raises:
        FileDamaged: the mark is damaged.
    """
    try:
        value = read_json(path + AWAY)
    except FileNotFoundError:
        return None
    size, lines = value.get("bytes"), value.get("lines")
    if type(size) is int and type(lines) is int and 0 < size < _MOST and 0 <= lines < _MOST:
        return Away(size, lines)
    raise FileDamaged(f"{path}{AWAY}: expected bytes and lines, two numbers, got {str(value)[:80]}")
