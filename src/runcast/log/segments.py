"""The names of a log's segments, each the offset at which it begins.

    <start>        the bytes
    <start>.index  their channels and times
    <start>.away   in place of the bytes, where these are kept elsewhere (away.py)

Owns the names, and nothing of what is in the files.
"""

from __future__ import annotations

import os
from typing import Final

from runcast.offsets import OFFSET_DIGITS

__all__ = ["AWAY", "INDEX", "segment_name", "segment_starts"]

INDEX: Final = ".index"
AWAY: Final = ".away"


def segment_name(start: int) -> str:
    """Return the name of the segment that begins at an offset."""
    return f"{start:0{OFFSET_DIGITS}d}"


def segment_starts(folder: int | str) -> list[int]:
    """Return where the segments in a folder begin, in order; what has another name is none.

    One whose bytes are away counts as long as its index is here, which goes last when a segment is dropped.
    """
    names = os.listdir(folder)
    starts = [int(name) for name in names if _is_start(name)]
    if away := [name.removesuffix(AWAY) for name in names if name.endswith(AWAY)]:
        there = set(names)
        starts += [
            int(name) for name in away if _is_start(name) and name not in there and name + INDEX in there
        ]
    return sorted(starts)


def _is_start(name: str) -> bool:
    return len(name) == OFFSET_DIGITS and name.isascii() and name.isdigit()
