"""The bytes of a log in long stretches of one channel, for those who read all of it.

Owns how the labels of an index become stretches: neighbours of one channel are one, whatever their
times, which are looked up on demand. So a label costs little, and a log that was printed slowly has one
every few lines. Must not know what the bytes are read for.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterator
from typing import NamedTuple

from runcast.errors import StoreUnusable
from runcast.log.base import TRIES, Log
from runcast.log.extent import Dropped, Piece
from runcast.log.ranges import fetch
from runcast.log.spans import Span
from runcast.model import Channel, Chunk

__all__ = ["Stretch", "stretches"]

_NS = 1_000_000_000


class Stretch(NamedTuple):
    """A chunk of several labels.

    Attributes:
        chunk: the bytes; its time is that of the first one.
        starts: where the labels begin, in order; none for a gap.
        times_ns: the time of each, in nanoseconds since the epoch.
    """

    chunk: Chunk
    starts: list[int]
    times_ns: list[int]

    def time(self, offset: int) -> float:
        """Return when the byte at an offset came, in seconds since the epoch."""
        return self.times_ns[max(bisect_right(self.starts, offset) - 1, 0)] / _NS


def stretches(
    log: Log, start: int, end: int, size: int, channels: Collection[Channel] | None = None
) -> Iterator[Stretch]:
    """Yield what a log has between two offsets, at most `size` bytes at once.

    A gap is a chunk without bytes, as of `Log.read`. With `channels`, those of others are left out.

    Raises:
        StoreUnusable: the log changes faster than it can be listed.
    """
    tries = 0
    while start < end:
        try:
            for span in log._extents():
                if start < min(span.start, end):
                    yield Stretch(Chunk(start, span.start, Channel.GAP, 0.0, b""), [], [])
                    start = span.start
                for first, last, starts, times in _joined(span, start, min(span.end, end), size):
                    if channels is None or first.channel in channels or first.channel is Channel.UNKNOWN:
                        data = fetch(span.extent, first.start, last)
                        chunk = Chunk(first.start, last, first.channel, first.time_ns / _NS, data)
                        yield Stretch(chunk, starts, times)
                    start, tries = last, 0
            return
        except Dropped:
            tries += 1
            if tries == TRIES:
                raise StoreUnusable(f"expected the segments of {log!r} to stay in place") from None
            log._forget()


def _joined(span: Span, start: int, end: int, size: int) -> Iterator[tuple[Piece, int, list[int], list[int]]]:
    """Yield the first label of each stretch, where the stretch ends, and where and when its labels begin."""
    if start >= end:
        return
    first: Piece | None = None
    starts: list[int] = []
    times: list[int] = []
    for piece in span.extent.pieces(start, end):
        if first is not None and piece.channel is not first.channel:
            yield first, piece.start, starts, times
            first, starts, times = None, [], []
        starts.append(piece.start)
        times.append(piece.time_ns)
        first = first or piece
        while piece.end - first.start >= size:
            yield first, first.start + size, starts, times
            first = piece._replace(start=first.start + size)
            starts, times = [first.start], [piece.time_ns]
    if first is not None and first.start < end:
        yield first, end, starts, times
