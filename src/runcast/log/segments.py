"""The names of a log's segments, each the offset at which it begins.

Owns the names, and nothing of what is in the files.
"""

from __future__ import annotations

import os

from runcast.offsets import OFFSET_DIGITS

__all__ = ["segment_name", "segment_starts"]


def segment_name(start: int) -> str:
    """Return the name of the segment that begins at an offset."""
    return f"{start:0{OFFSET_DIGITS}d}"


def segment_starts(folder: int | str) -> list[int]:
    """Return where the segments in a folder begin, in order; what has another name is none."""
    names = os.listdir(folder)
    return sorted(
        int(name) for name in names if len(name) == OFFSET_DIGITS and name.isascii() and name.isdigit()
    )
