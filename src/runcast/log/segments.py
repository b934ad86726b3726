"""The names of a log's segments, each the offset at which it begins.

    <start>        the bytes
    <start>.index  their channels and times
    <start>.away   in place of the bytes, where these are kept elsewhere (away.py)

Owns the names, and that what they name is on the disk; nothing of what is in the files.
"""

from __future__ import annotations

import contextlib
import os
from typing import Final

from runcast.offsets import OFFSET_DIGITS
from runcast.sysio.files import open_own

__all__ = ["AWAY", "INDEX", "segment_name", "segment_starts", "sync_segment"]

INDEX: Final = ".index"
AWAY: Final = ".away"
_fdatasync = getattr(os, "fdatasync", os.fsync)  # macOS has none


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


def sync_segment(log_path: str, start: int) -> None:
    """Sync the segment that begins at `start`, and its index, to the disk."""
    path = f"{log_path}/{segment_name(start)}"
    for name in (path, path + INDEX):
        with contextlib.suppress(OSError):  # dropped meanwhile, or the disk is failing
            fd = open_own(name, os.O_RDONLY)
            try:
                _fdatasync(fd)
            finally:
                os.close(fd)
