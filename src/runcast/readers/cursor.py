"""A cursor: a log and an offset. This is the whole state of a viewer, and each has its own.

Owns where to begin (`begin`) and the read position (`Cursor`). Never waits.
"""

from __future__ import annotations

from collections.abc import Collection

from runcast.errors import UsageError
from runcast.log import Log
from runcast.model import CHUNK_BYTES, Channel, Chunk

__all__ = ["Cursor", "begin"]


class Cursor:
    """Reads one log from an offset on.

    Attributes:
        offset: where the next read begins; all that a viewer needs to resume.
    """

    def __init__(self, log: Log, offset: int = 0, channels: Collection[Channel] | None = None) -> None:
        self.log = log
        self.offset = offset
        self.channels = channels

    def read(self, limit: int = CHUNK_BYTES) -> list[Chunk]:
        """Return the next chunks, at most `limit` bytes, and move past them.

        An empty list with `offset` moved means that everything was filtered out: read again.
        """
        reading = self.log.read(self.offset, limit, self.channels)
        self.offset = reading.next
        return reading.chunks


def begin(
    log: Log,
    *,
    offset: int | None = None,
    tail: int | None = None,
    tail_bytes: int | None = None,
    line: int | None = None,
    since: float | None = None,
    channels: Collection[Channel] | None = None,
) -> int:
    """Return the offset at which to begin; 0 by default.

    Args:
        log: the log to read.
        offset: this offset.
        tail: this many lines before the end (of `channels`, if given).
        tail_bytes: this many bytes before the end.
        line: at this line, counted from 1.
        since: at the first byte of this time (seconds since the epoch) or later.
        channels: the channels that will be read.

    Raises:
        UsageError: more than one is given, or a value is negative or not a number.
        OffsetBeyondTail: `offset` lies past the tail.
        OffsetGone: the bytes at `offset` were dropped.
    """
    params = {"offset": offset, "tail": tail, "tail_bytes": tail_bytes, "line": line, "since": since}
    given = {name: value for name, value in params.items() if value is not None}
    if len(given) > 1:
        raise UsageError(
            f"expected one place to begin, got {' and '.join(sorted(given))}: choose one of them"
        )
    for name, value in given.items():
        if not isinstance(value, int | float if name == "since" else int):  # such as text from a query
            kind = "a number" if name == "since" else "a whole number"
            raise UsageError(f"expected {name} as {kind}, got {value!r:.100}")
        if value < 0:
            raise UsageError(f"expected {name} to be 0 or more, got {value}")
    if offset is not None:
        log.check_offset(offset)
        return offset
    if tail is not None:
        return log.offset_of_tail(tail, channels)
    if tail_bytes is not None:
        return max(log.tail_offset - tail_bytes, 0)
    if line is not None:
        return log.offset_of_line(line)
    if since is not None:
        return log.offset_of_time(since)
    return 0
