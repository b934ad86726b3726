"""One look at a log: the bytes from an offset on, and what else a reply says of them.

Owns the order of checks: the close, then the bytes, then the tail. Never waits.
"""

from __future__ import annotations

from typing import NamedTuple

from runcast.errors import OffsetGone, SegmentAway
from runcast.log import Log
from runcast.model import CHUNK_BYTES, Channel
from runcast.wire.durable_json import whole_messages

__all__ = ["Slice", "look"]


class Slice(NamedTuple):
    """The result of one read of a log."""

    data: bytes
    start: int
    next: int
    tail: int
    closed: bool

    @property
    def up_to_date(self) -> bool:
        """Whether it reaches to the tail."""
        return self.next >= self.tail

    @property
    def ended(self) -> bool:
        """Whether it ends at the tail of a closed log."""
        return self.closed and self.up_to_date


def look(log: Log, start: int, limit: int, *, json: bool = False) -> Slice:
    """Read the bytes from an offset on; in JSON mode whole messages, even one beyond the limit.

    Raises:
        OffsetGone: the bytes there were dropped.
        SegmentAway: they are not on this disk.
    """
    closed = log.closed
    parts: list[bytes] = []
    offset, room = start, limit
    while True:
        try:
            reading = log.read(offset, room, labelled=False) if room > 0 else None
        except SegmentAway:
            if not parts:
                raise
            break
        if reading is None or reading.next == offset:
            break
        chunk = reading.chunks[0]
        if chunk.channel is Channel.GAP:
            if not parts:
                raise OffsetGone(chunk.offset, chunk.next)
            break
        parts.append(chunk.data)
        offset = reading.next
        room -= len(chunk.data)
        if room <= 0 and json and not any(b"\n" in part for part in parts):
            room = CHUNK_BYTES
    data = parts[0] if len(parts) == 1 else b"".join(parts)
    if json and (whole := whole_messages(data)) < len(data):
        data, offset = data[:whole], start + whole
    return Slice(data, start, offset, log.tail_offset, closed)
