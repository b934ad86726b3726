"""The log as everybody reads it: one append-only range of bytes, read at offsets.

Owns the logic of reading: gaps, filters, lines, times. A backend gives extents and says when
the log is closed; it fills in `_extents`, `outcome` and `closed`, about 100 lines. Nothing here
waits: `read` answers with what there is. Must not know who waits (readers) or who writes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Final, NamedTuple

from runcast.errors import OffsetBeyondTail, OffsetGone
from runcast.log.extent import Extent, Piece
from runcast.model import CHUNK_BYTES, Channel, Chunk, Outcome, Reading

__all__ = ["Log", "Span"]

_OFFSET: Final = 0  # places of the fields in Record
_TIME: Final = 1
_LINES: Final = 2
_SCAN_PIECES = 4096  # a filtered read gives up after so many and answers "go on from here": some 10 ms
_NS = 1_000_000_000


class Span(NamedTuple):
    """An extent with its end: no further than where the next one begins."""

    start: int
    end: int
    extent: Extent


class Log(ABC):
    """A log for reading. Offsets are bytes from its start, of all channels together."""

    @abstractmethod
    def _extents(self) -> Sequence[Span]:
        """Return what there is now, in order; the ranges between are gaps. Never empty of a written log."""

    @property
    @abstractmethod
    def outcome(self) -> Outcome | None:
        """How what wrote the log ended; None while it goes on."""

    @property
    @abstractmethod
    def closed(self) -> bool:
        """Whether no more bytes will ever come. Look at the tail once more after it turned true."""

    @abstractmethod
    def subscribe(self, wake: Callable[[], None]) -> Callable[[], None] | None:
        """Have `wake` called after each append and the close; return what ends that.

        None where the writer may be another process: then `watch_paths` tells what to watch.
        """

    def watch_paths(self) -> list[str]:
        """Return the folders whose changes mean news; empty where `subscribe` does it."""
        return []

    def close(self) -> None:  # noqa: B027  a backend without descriptors has nothing to let go of
        """Let go of what reading holds open (file descriptors). The log itself is untouched."""

    @property
    def tail_offset(self) -> int:
        """The offset just past the last byte."""
        spans = self._extents()
        return spans[-1].end if spans else 0

    def check_offset(self, offset: int) -> None:
        """Refuse an offset at which no read can begin.

        Raises:
            OffsetBeyondTail: it lies past the tail.
            OffsetGone: its bytes were dropped.
        """
        spans = self._extents()
        tail = spans[-1].end if spans else 0
        if not 0 <= offset <= tail:
            raise OffsetBeyondTail(offset, tail)
        if spans and (gap_end := self._gap_end(spans, offset)):
            raise OffsetGone(offset, gap_end)

    def read(
        self, offset: int, limit: int = CHUNK_BYTES, channels: Collection[Channel] | None = None
    ) -> Reading:
        """Return up to `limit` bytes from `offset` on, without waiting.

        A gap is a chunk of channel `gap` and of no bytes. With `channels`, chunks of others are
        left out (bytes of unknown channel and gaps never are).

        Raises:
            OffsetBeyondTail: `offset` lies past the tail.
        """
        spans = self._extents()
        tail = spans[-1].end if spans else 0
        if offset > tail:
            raise OffsetBeyondTail(offset, tail)
        scanned = 0
        while offset < tail and scanned < _SCAN_PIECES:
            if gap_end := self._gap_end(spans, offset):
                return Reading([Chunk(offset, gap_end, Channel.GAP, 0.0, b"")], gap_end)
            span = spans[bisect_right(spans, offset, key=_start) - 1]
            end = min(span.end, offset + limit)
            pieces = span.extent.pieces(offset, end)
            scanned += len(pieces)
            chunks = [self._chunk(span.extent, piece) for piece in pieces if _wanted(piece, channels)]
            if chunks:
                return Reading(chunks, end)
            offset = end
        return Reading([], offset)

    @staticmethod
    def _chunk(extent: Extent, piece: Piece) -> Chunk:
        data = extent.pread(piece.start, piece.end - piece.start)
        return Chunk(piece.start, piece.end, piece.channel, piece.time_ns / _NS, data)

    @staticmethod
    def _gap_end(spans: Sequence[Span], offset: int) -> int:
        """Return where the gap around `offset` ends; 0 if there is none."""
        after = bisect_right(spans, offset, key=_start)
        if after and (offset < spans[after - 1].end or after == len(spans)):
            return 0
        return spans[after].start

    @property
    def lines(self) -> int:
        """How many line feeds there are in the log so far, all channels together."""
        return self.lines_before(self.tail_offset)

    def lines_before(self, offset: int) -> int:
        """Return how many line feeds lie before `offset`, dropped ones included where they were counted."""
        lines, end = 0, offset
        for span in reversed(self._extents()):
            if span.start > offset:
                continue
            at = span.extent.last_before(_OFFSET, end)
            if at >= 0:
                record = span.extent.records(at, 1)[0]
                assert record is not None  # last_before finds good ones only
                return record.lines + self._count(record.offset, end) + lines
            lines += self._count(span.start, end)  # the whole index is lost: count its bytes
            end = span.start
        return lines

    def offset_of_line(self, number: int) -> int:
        """Return where line `number` begins, counted from 1; the tail if there is no such line yet."""
        wanted = number - 1  # line feeds before it
        if wanted <= 0:
            return 0
        spans = self._extents()
        offset = lines = 0
        for span in reversed(spans):
            at = span.extent.last_before(_LINES, wanted, strict=True)
            if at >= 0:
                record = span.extent.records(at, 1)[0]
                assert record is not None
                offset, lines = record.offset, record.lines
                break
        for start, data in self._blocks(offset, spans[-1].end if spans else 0):
            here = data.count(b"\n")
            if lines + here < wanted:
                lines += here
                continue
            at = -1
            for _ in range(wanted - lines):
                at = data.index(b"\n", at + 1)
            return start + at + 1
        return self.tail_offset

    def offset_of_time(self, time: float) -> int:
        """Return where the bytes begin that came at `time` (seconds since the epoch) or later."""
        for span in reversed(self._extents()):
            at = span.extent.last_before(_TIME, round(time * _NS), strict=True)
            if at >= 0:
                following = (record for _, record in span.extent.walk(at + 1) if record)
                return min(next((record.offset for record in following), span.end), span.end)
        return 0

    def offset_of_tail(self, lines: int, channels: Collection[Channel] | None = None) -> int:
        """Return where the last `lines` lines begin, a line without its end counted as one."""
        tail = self.tail_offset
        if lines <= 0 or not tail:
            return tail
        if channels is None:
            last = next(iter(self._blocks(tail - 1, tail)), (tail, b"\n"))[1]
            total = self.lines_before(tail) + (last != b"\n")
            return self.offset_of_line(total - lines + 1)
        fresh = True  # the line feed at the very end ends the last line, it begins none
        for piece, data in self._backwards(tail, channels):
            at = len(data)
            if fresh and data.endswith(b"\n"):
                at -= 1
            fresh = False
            while (at := data.rfind(b"\n", 0, at)) >= 0:
                lines -= 1
                if not lines:
                    return piece.start + at + 1
        return 0

    def _backwards(self, end: int, channels: Collection[Channel]) -> Iterator[tuple[Piece, bytes]]:
        for span in reversed(self._extents()):
            end = min(end, span.end)
            while end > span.start:
                start = max(span.start, end - CHUNK_BYTES)
                for piece in reversed(span.extent.pieces(start, end)):
                    if _wanted(piece, channels):
                        yield piece, span.extent.pread(piece.start, piece.end - piece.start)
                end = start

    def _blocks(self, start: int, end: int) -> Iterator[tuple[int, bytes]]:
        """Yield the bytes that are there from `start` to `end`, block by block, gaps left out."""
        for span in self._extents():
            offset, stop = max(start, span.start), min(end, span.end)
            while offset < stop:
                data = span.extent.pread(offset, min(CHUNK_BYTES, stop - offset))
                if not data:
                    break
                yield offset, data
                offset += len(data)

    def _count(self, start: int, end: int) -> int:
        return sum(data.count(b"\n") for _, data in self._blocks(start, end))


def _start(span: Span) -> int:
    return span.start


def _wanted(piece: Piece, channels: Collection[Channel] | None) -> bool:
    return channels is None or piece.channel in channels or piece.channel is Channel.UNKNOWN
