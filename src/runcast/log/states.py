"""Where the last states of a log begin: lines, and text that a lone CR ends, as progress bars draw it.

Owns the rule: a LF ends a state, and so do CRs behind some text unless a LF follows them. Reads
backwards, no further than the states that it returns. Knows bytes and offsets only.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from runcast.model import CHUNK_BYTES, Reading

__all__ = ["offset_of_states"]

_LINE_END: Final = re.compile(rb"\n")
_END: Final = re.compile(rb"\n|(?<=[^\r\n])\r+(?![\r\n])")


def offset_of_states(read: Callable[[int, int], Reading], start: int, tail: int, count: int) -> int:
    """Return where the last `count` states begin; `start` if there are fewer behind it.

    Args:
        read: returns bytes from an offset on, up to a limit.
        start: an offset at which a state begins.
        tail: where the log ends.
        count: the number of states, at least 1; an unfinished one at the tail counts.
    """
    behind = b""  # the byte behind the present block; none at the tail
    ends, ends_at = b"", tail  # CRs behind it and their end: they may end a state that lies before
    while tail > start:
        low = max(start, tail - CHUNK_BYTES)
        for offset, data in reversed(_between(read, low, tail)):
            lead = len(data) - len(data.lstrip(b"\r")) if offset > start else 0
            if lead == len(data):
                ends, ends_at = data + ends, ends_at if ends else offset + lead
                continue
            whole = data[lead:] + ends
            found = _begins(whole, behind)
            if len(found) >= count:
                at = found[-count] + lead
                return ends_at if at > len(data) else offset + at
            count -= len(found)
            behind, ends, ends_at = whole[:1], data[:lead], offset + lead
        tail = low
    return start


def _begins(data: bytes, behind: bytes) -> list[int]:
    """Return where states begin in `data`, which `behind` follows: one byte, none at the tail."""
    ends = _END if b"\r" in data else _LINE_END
    found = [match.end() for match in ends.finditer(data + behind)]
    # No state follows one that ends at the tail; one that ends behind `data` belongs to the next block.
    return [at for at in found if at < len(data) or (at == len(data) and behind)]


def _between(read: Callable[[int, int], Reading], start: int, end: int) -> list[tuple[int, bytes]]:
    pieces = []
    while start < end:
        reading = read(start, end - start)
        pieces += [(chunk.offset, chunk.data) for chunk in reading.chunks if chunk.offset < end]
        start = reading.next
    return pieces
