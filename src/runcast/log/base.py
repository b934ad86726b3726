"""The interface for reading a log: one append-only range of bytes, read at offsets.

Owns the logic of reading: gaps, filters, lines, times. A backend implements `_extents`, `outcome`
and `closed`, in about 100 lines. Nothing here blocks: `read` returns the bytes that exist. Must not
know how readers wait, or how writers write.
"""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Final, ParamSpec, TypeVar

from runcast.errors import OffsetBeyondTail, OffsetGone, SegmentAway, StoreUnusable, UsageError
from runcast.log.extent import Dropped
from runcast.log.ranges import blocks_back, chunks_of, fetch, is_wanted
from runcast.log.records import count_lines
from runcast.log.spans import Span, last_record, offset_of_time, time_before
from runcast.log.states import offset_of_states
from runcast.model import CHUNK_BYTES, Channel, Chunk, Outcome, Reading

__all__ = ["TRIES", "Log"]

_OFFSET: Final = 0  # places of the fields in Record
_LINES: Final = 2
_SCAN_PIECES = 4096  # pieces after which a filtered read returns what it has: some 10 ms
_NS = 1_000_000_000
TRIES: Final = 16  # a writer drops one segment at a time, far slower than they can be listed again

Params = ParamSpec("Params")
Result = TypeVar("Result")


def retried(method: Callable[Params, Result]) -> Callable[Params, Result]:
    """Have a method of a log try again when an extent was dropped after it was listed."""

    @functools.wraps(method)
    def retrying(*args: Params.args, **kwargs: Params.kwargs) -> Result:
        for _ in range(TRIES):
            try:
                return method(*args, **kwargs)
            except Dropped:
                log = args[0]
                assert isinstance(log, Log)
                log._forget()
        raise StoreUnusable(
            f"expected the segments of {args[0]!r} to stay in place, they vanish as soon as they are "
            "listed: does something else than runcast remove files there?"
        )

    return retrying


class Log(ABC):
    """A log for reading. Offsets are bytes from its start, of all channels together."""

    _counted = (0, 0)  # an offset and the lines before it, where a damaged index made us count

    @abstractmethod
    def _extents(self) -> Sequence[Span]:
        """Return the present extents in order, with gaps between; not empty once the log is written to."""

    @property
    @abstractmethod
    def outcome(self) -> Outcome | None:
        """The outcome of the run; None while it has none."""

    @property
    @abstractmethod
    def closed(self) -> bool:
        """Whether no more bytes will be appended. After it turns true, read once more up to the tail."""

    @abstractmethod
    def subscribe(self, wake: Callable[[], None]) -> Callable[[], None] | None:
        """Call `wake` after each append and the close; return a function that unsubscribes.

        None where the writer may be another process: then watch `watch_paths`.
        """

    def watch_paths(self) -> list[str]:
        """Return folders to watch: the first for any change, others for new files; none with `subscribe`."""
        return []

    def had_all(self, end: int) -> bool:
        """Return whether a read that ended there had all that there was; False where only a read can tell."""
        return False

    def growing(self) -> tuple[object, int] | None:
        """Return a key for the file that grows, if a read has found it, and its descriptor."""
        return None

    def close(self) -> None:  # noqa: B027  not abstract: a backend without descriptors needs none
        """Release resources of the reader (file descriptors). The log itself is untouched."""

    def want(self, offset: int) -> bool:
        """Ask for the segment that begins at an offset and is away; return whether anybody hears it."""
        return False

    def on_away(self, wait: Callable[[SegmentAway, Callable[[], bool]], object]) -> None:  # noqa: B027  not abstract: most backends have all bytes
        """Have `wait` called where a read needs bytes that are not on this disk, in place of the error."""

    @retried
    def away(self, offset: int) -> SegmentAway | None:
        """Return what a read at an offset lacks on this disk; None if it finds what it begins with."""
        spans = self._extents()
        at = bisect_right(spans, offset, key=_start) - 1
        return spans[at].extent.missing() if at >= 0 and offset < spans[at].end else None

    def _forget(self) -> None:  # noqa: B027  not abstract: a backend without a cache needs none
        """Drop cached extents, which turned out to be stale."""

    @property
    def tail_offset(self) -> int:
        """The offset just past the last byte."""
        spans = self._extents()
        return spans[-1].end if spans else 0

    def check_offset(self, offset: int, end: int | None = None) -> None:
        """Refuse an offset at which no read can begin, or from which none can reach `end` without a gap.

        Raises:
            OffsetBeyondTail: it lies past the tail.
            OffsetGone: its bytes were dropped, or some before `end`.
        """
        spans = self._extents()
        tail = spans[-1].end if spans else 0
        if not 0 <= offset <= tail:
            raise self.beyond(offset, tail)
        if spans and (gap_end := self._gap_end(spans, offset)):
            raise OffsetGone(offset, gap_end)
        if end is not None and (gap := self._first_gap(spans, offset, end)) < end:
            raise OffsetGone(gap, self._gap_end(spans, gap))

    @retried
    def read(
        self,
        offset: int,
        limit: int = CHUNK_BYTES,
        channels: Collection[Channel] | None = None,
        *,
        labelled: bool = True,
    ) -> Reading:
        """Return up to `limit` bytes from `offset` on, without waiting.

        A gap is a chunk of channel `gap` without bytes. With `channels`, chunks of others are left out
        (bytes of unknown channel and gaps never are). With `labelled=False`, all bytes are one chunk of
        channel `unknown`, without a time: that is twice as fast.

        Raises:
            OffsetBeyondTail: `offset` lies past the tail.
            SegmentAway: the first bytes are not on this disk (log/away.py).
            UsageError: a limit below 1.
        """
        spans, begun = self._extents(), offset
        tail = spans[-1].end if spans else 0
        if not 0 <= offset <= tail:
            raise self.beyond(offset, tail)
        if limit < 1:
            raise UsageError(f"expected a limit of 1 byte or more, got {limit}")
        chunks: list[Chunk] = []
        scanned = 0
        while offset < tail and limit > 0 and scanned < _SCAN_PIECES:
            if gap_end := self._gap_end(spans, offset):
                if not chunks:
                    return Reading([Chunk(offset, gap_end, Channel.GAP, 0.0, b"")], gap_end)
                break
            span = spans[bisect_right(spans, offset, key=_start) - 1]
            if channels is None:
                end = min(span.end, offset + limit)
                if not labelled:
                    data = fetch(span.extent, offset, end)
                    return Reading([Chunk(offset, end, Channel.UNKNOWN, 0.0, data)], end)
                return Reading(chunks_of(span.extent, offset, end), end)
            for piece in span.extent.pieces(offset, span.end):
                scanned += 1
                offset = piece.end
                if is_wanted(piece, channels):
                    offset = min(offset, piece.start + limit)
                    limit -= offset - piece.start
                    try:
                        data = fetch(span.extent, piece.start, offset)
                    except SegmentAway:
                        if piece.start == begun:
                            raise
                        return Reading(chunks, piece.start)
                    chunks.append(Chunk(piece.start, offset, piece.channel, piece.time_ns / _NS, data))
                if limit <= 0 or scanned >= _SCAN_PIECES:
                    break
        return Reading(chunks, offset)

    def beyond(self, offset: int, tail: int) -> Exception:
        """Return the error for an offset that lies past the tail."""
        return OffsetBeyondTail(offset, tail)

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

    @retried
    def lines_before(self, offset: int) -> int:
        """Return how many line feeds lie before `offset`, dropped ones included where they were counted."""
        spans = self._extents()
        offset = min(offset, spans[-1].end if spans else 0)
        base, lines = self._counted if self._counted[0] <= offset else (0, 0)
        for span in reversed(spans):
            if span.start > offset:
                continue
            if span.end <= offset and (known := span.extent.lines_to_end()) is not None:
                if span.end >= base:
                    base, lines = span.end, known
                break
            _, record = last_record(span, _OFFSET, offset)
            if record is not None:
                if record.offset >= base:
                    base, lines = record.offset, record.lines
                break
            # The whole index is lost: look further back, and count the bytes.
        lines += self._count(base, offset)
        self._counted = offset, lines
        return lines

    @retried
    def lines_of(self, channel: Channel, offset: int) -> int:
        """Return how many line feeds of one channel lie before `offset`; dropped ones are not counted."""
        lines = 0
        for span in reversed(self._extents()):
            if span.start >= offset:
                continue
            for part in span.extent.parts_back(min(offset, span.end), {channel}):
                if part.lines is not None:
                    lines += part.lines
                    continue
                for start, end, labelled, _ in span.extent.pieces(part.start, part.end):
                    if labelled is not channel:
                        continue
                    try:
                        lines += self._count(start, end)
                    except SegmentAway:  # from a record to the end, both of which are known
                        lines += self.lines_before(end) - self.lines_before(start)
        return lines

    @retried
    def offset_of_line(self, number: int) -> int:
        """Return where line `number` begins, counted from 1; the tail if there is no such line yet.

        For a line that was dropped it is where the gap begins.
        """
        before = number - 1  # line feeds before it
        if before <= 0:
            return 0
        spans = self._extents()
        tail = spans[-1].end if spans else 0
        offset = lines = 0
        known: int | None = None  # an offset before which the index counts at least as many line feeds
        for span in reversed(spans):
            at, record = last_record(span, _LINES, before, strict=True)
            following = next((after for _, after in span.extent.walk(at + 1) if after), None)
            if following is not None and following.offset <= span.end:
                known = following.offset
            if record is not None:
                offset, lines = record.offset, record.lines
                break
        for start, data in self._blocks(offset, tail if known is None else known):
            here = count_lines(data)
            if lines + here < before:
                lines += here
                continue
            at = -1
            for _ in range(before - lines):
                at = data.index(b"\n", at + 1)
            return start + at + 1
        return tail if known is None else self._first_gap(spans, offset, known)

    @retried
    def offset_of_time(self, time: float) -> int:
        """Return where the bytes begin that were appended at `time` (seconds since the epoch) or later.

        As exact as the index, 10 ms; somewhat early where the index is damaged.
        """
        return offset_of_time(self._extents(), time)

    @retried
    def time_before(self, offset: int) -> float:
        """Return when the byte before an offset was appended, in seconds since the epoch; 0.0 if unknown.

        As exact as the index, 10 ms, and the same for every reader. Never less for a later byte.
        """
        return time_before(self._extents(), offset)

    @retried
    def offset_of_tail(self, lines: int, channels: Collection[Channel] | None = None) -> int:
        """Return where the last `lines` lines begin; an unfinished line counts.

        Each state of a line that CRs overwrite counts as one line, too: otherwise a progress bar would
        be a single line of any length. With `channels`, it may be early where the index is damaged.
        """
        start, tail = self._offset_of_last(lines, channels), self.tail_offset
        if start >= tail:
            return start

        def read(offset: int, limit: int) -> Reading:
            return self.read(offset, limit, channels)

        return offset_of_states(read, start, tail, lines)

    def _offset_of_last(self, lines: int, channels: Collection[Channel] | None) -> int:
        """Return where the last `lines` lines begin, counting line feeds only."""
        tail = self.tail_offset
        if lines <= 0 or not tail:
            return tail
        if channels is None:
            last = next(iter(self._blocks(tail - 1, tail)), (tail, b"\n"))[1]
            total = self.lines_before(tail) + (last != b"\n")
            return self.offset_of_line(total - lines + 1)
        if lines > self.lines_before(tail):
            return 0  # all channels together have fewer
        fresh = True  # a line feed at the very end ends the last line, and begins none
        for span in reversed(self._extents()):
            for part in span.extent.parts_back(min(tail, span.end), channels):
                if not fresh and part.lines is not None and part.lines < lines:
                    lines -= part.lines
                    continue
                for start, data in blocks_back(span.extent, part, channels):
                    at = len(data)
                    if fresh and data.endswith(b"\n"):
                        at -= 1
                    fresh = False
                    while (at := data.rfind(b"\n", 0, at)) >= 0:
                        lines -= 1
                        if not lines:
                            return start + at + 1
        return 0

    def _last_time_ns(self) -> int:
        """Return the time of the last good record, in nanoseconds; 0 if there is none."""
        records = (last_record(span, _OFFSET, span.end)[1] for span in reversed(self._extents()))
        return next((record.time_ns for record in records if record), 0)

    @staticmethod
    def _first_gap(spans: Sequence[Span], offset: int, end: int) -> int:
        """Return where the first gap between two offsets begins; `end` if there is none."""
        before = 0
        for span in spans:
            if before < span.start and offset < span.start and before < end:
                return before
            before = span.end
        return end

    def _blocks(self, start: int, end: int) -> Iterator[tuple[int, bytes]]:
        """Yield the bytes from `start` to `end`, block by block, without gaps."""
        spans = self._extents()
        for span in spans[max(bisect_right(spans, start, key=_start) - 1, 0) :]:
            offset, stop = max(start, span.start), min(end, span.end)
            while offset < stop:
                data = fetch(span.extent, offset, min(stop, offset + CHUNK_BYTES))
                yield offset, data
                offset += len(data)
            if span.end >= end:
                break

    def _count(self, start: int, end: int) -> int:
        return sum(count_lines(data) for _, data in self._blocks(start, end))


def _start(span: Span) -> int:
    return span.start
