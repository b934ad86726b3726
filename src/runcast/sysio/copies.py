"""Copies from one open file to another, by the file system itself where it can.

Knows no paths.
"""

from __future__ import annotations

import os
from collections.abc import Callable

__all__ = ["copy_part"]

_PART_BYTES = 16 * 1024 * 1024  # at once, where the file system copies
_BUFFER_BYTES = 1024 * 1024


def copy_part(
    source: int, start: int, target: int, size: int, stopped: Callable[[], bool] = lambda: False
) -> bool:
    """Append so many bytes of a file, from `start` on, to another; return whether all of them are there.

    Args:
        source: a regular file; its own offset does not matter, and stays.
        start: where the bytes begin.
        target: written at its own offset.
        size: how many bytes.
        stopped: returns whether to copy no more.

    Raises:
        OSError: one cannot be read or the other not be written.
    """
    at, end = start, start + size
    shares = True  # it may copy by itself, or have both share their blocks (copy_file_range(2))
    while at < end:
        if stopped():
            return False
        count = 0
        if shares:
            try:
                count = os.copy_file_range(source, target, min(end - at, _PART_BYTES), offset_src=at)
            except OSError:  # of another kind, or a kernel that cannot: by hand, which says what is wrong
                shares = False
        if not count:
            data = os.pread(source, min(end - at, _BUFFER_BYTES), at)
            if not data:
                return False  # it became shorter
            count = os.write(target, data)
        at += count
    return True
