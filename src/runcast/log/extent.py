"""An extent: contiguous bytes of a log, with the index that labels them.

Owns every search in an index: the channel of bytes, the last record before an offset, a time, a line.
Damaged records are skipped, and bytes that they may have described are labelled `unknown`. A backend
stores bytes and records; it never searches.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator
from typing import Literal, NamedTuple

from runcast.errors import SegmentAway
from runcast.log.records import RECORD_BYTES, RECORD_SPAN, Record, last_good, lines_of, none_of, unpack
from runcast.model import Channel

__all__ = ["Dropped", "Extent", "Part", "Piece", "WaitFor"]

_FEW, _MANY = 8, 128  # records fetched at once: at first, and (4 KiB, one page) at most
_MOST = 4096  # … where they are only counted
_NEVER = -1

WaitFor = Callable[[SegmentAway, Callable[[], bool]], object]
"""Called with what is away, and what returns whether it is here by now: waits for it, or raises the error."""


class Dropped(Exception):
    """The cap dropped the extent after it was listed and before it was read: list and read again."""


class Piece(NamedTuple):
    """A range of the log with one label."""

    start: int
    end: int
    channel: Channel
    time_ns: int


class Part(NamedTuple):
    """A range of the log, and how many line feeds of some channels it has, if the index has the count."""

    start: int
    end: int
    lines: int | None


class Extent(ABC):
    """Bytes from `start` on, without a hole. Offsets are those of the log, not of the extent.

    The methods raise `Dropped` when the extent is gone, and `pread` raises `SegmentAway` where the bytes
    are not on this disk: the others do without them. Cached values are replaced as a whole, so
    several threads may search at once if the backend allows it.
    """

    def __init__(self, start: int) -> None:
        self.start = start
        self._hint = 0  # where the last search ended, which is mostly where the next one begins
        self._damaged = (0, 0)  # a long range of damaged records, read once and then skipped

    @abstractmethod
    def size(self) -> int:
        """Return the present number of bytes."""

    @abstractmethod
    def pread(self, offset: int, count: int) -> bytes:
        """Return up to `count` bytes from `offset` on; fewer only at the end."""

    @abstractmethod
    def record_count(self) -> int:
        """Return the present number of records, damaged ones included."""

    @abstractmethod
    def packed(self, first: int, count: int) -> bytes:
        """Return up to `count` packed records from number `first` on."""

    def records(self, first: int, count: int) -> list[Record | None]:
        """Return up to `count` records from number `first` on, None for each damaged one."""
        return unpack(self.packed(first, count))

    def lines_to_end(self) -> int | None:
        """Return how many line feeds the log has up to the end, where that is known without its bytes."""
        return None

    def missing(self) -> SegmentAway | None:
        """Return what of the bytes is not on this disk now; None if they are here."""
        return None

    @abstractmethod
    def torn(self) -> bool:
        """Return whether the index ends in a part of a record."""

    def last_before(
        self, key: Literal[0, 1, 2], value: int, *, strict: bool = False
    ) -> tuple[int, Record | None]:
        """Return the last good record whose field is at most (`strict`: less than) `value`.

        `key` is the place of the field in `Record`: all of them only ever grow. The record comes
        with its number; -1 and None if there is none.
        """
        low, high = 0, self.record_count()
        best: tuple[int, Record | None] = _NEVER, None
        while low < high:
            middle = (low + high) // 2
            number, record = self._good_from(middle, low)
            if record is None:
                low = middle + 1
            elif record[key] < value or (record[key] == value and not strict):
                best, low = (number, record), middle + 1
            else:
                high = number
        return best

    def _good_from(self, number: int, least: int) -> tuple[int, Record | None]:
        """Return the first good record from `number` downwards, to number `least`."""
        right, count = number + 1, 1
        while right > least:
            first, end = self._damaged
            if first < right <= end:
                right = first
                continue
            left = max(right - count, least)
            block = self.records(left, right - left)
            for at in range(len(block) - 1, -1, -1):
                if block[at] is not None:
                    if left + at < number:
                        self._remember(left + at + 1, number + 1)
                    return left + at, block[at]
            right, count = left, _MANY
        self._remember(least, number + 1)
        return _NEVER, None

    def _remember(self, first: int, end: int) -> None:
        """Cache a range of damaged records; only the longest contiguous one is kept.

        A few are not worth caching, and the last one may be just being written.
        """
        known_first, known_end = self._damaged
        if first <= known_end and end >= known_first:
            first, end = min(first, known_first), max(end, known_end)
        if end - first >= max(known_end - known_first, _FEW):
            self._damaged = first, end

    def walk(
        self, first: int, block: list[Record | None] | None = None
    ) -> Iterator[tuple[int, Record | None]]:
        """Yield the records from number `first` on, with their numbers.

        Of a long range of damaged ones only some are yielded. `block` has the first `_FEW` records,
        if they were fetched already.
        """
        count = _FEW
        while True:
            if block is None:
                damaged, end = self._damaged
                if damaged <= first < end:
                    yield first, None
                    first = end
                block = self.records(first, count)
            if block and not any(block):
                self._remember(first, first + len(block))
            yield from enumerate(block, first)
            if len(block) < count:
                return
            first, count, block = first + len(block), min(2 * count, _MANY), None

    def pieces(self, start: int, end: int) -> Iterator[Piece]:
        """Yield the labels of the bytes from `start` to `end`, in order and without a hole."""
        at = self._hint
        near = self.records(at, _FEW)
        block: list[Record | None] | None = near
        first, last = (near[0], near[-1]) if near else (None, None)
        if (
            first is None
            or first.offset > start
            or (len(near) == _FEW and (last is None or last.offset <= start))
        ):
            at, block = self.last_before(0, start)[0], None
        current: Record | None = None
        doubtful = at == _NEVER
        for number, record in self.walk(max(at, 0), block):
            if record is None:
                doubtful = True
                continue
            if record.offset > start:
                stop = min(end, record.offset)
                yield from _label(start, stop, current, doubtful)
                start = stop
                if start >= end:
                    return
            current, doubtful, self._hint = record, False, number
        yield from _label(start, end, current, doubtful or self.torn())

    def newest_label(self, start: int, end: int) -> Piece | None:
        """Return the label of bytes that were appended just now, if it is one; None where `pieces` must tell.

        So it is with most lines: they begin at the last record of the index, or behind it.
        """
        at = self._hint
        packed = self.packed(at, _FEW)
        count, torn = divmod(len(packed), RECORD_BYTES)
        newest = last_good(packed)
        if (
            torn
            or count == _FEW
            or newest is None
            or not newest.offset <= start < end <= newest.offset + RECORD_SPAN
        ):
            return None
        self._hint = at + count - 1
        return Piece(start, end, newest.channel, newest.time_ns)

    def parts_back(self, end: int, channels: Collection[Channel]) -> Iterator[Part]:
        """Yield the ranges before `end` that may have bytes of some channels, the last ones first.

        Bytes of unknown channel are included, but a damaged record among records of other channels
        is skipped: labelling each would take a hundred times as long.
        """
        at, record = self.last_before(0, end, strict=True)
        packed, count = b"", _MANY  # behind the last record there is none to tell how many lines it has
        while end > self.start:
            start = record.offset if record is not None and at > 0 else self.start
            self._hint = max(at, 0)
            if not packed or record is None or record.offset != start:
                yield Part(start, end, None)
            elif not none_of(packed[:-RECORD_BYTES], channels):
                yield Part(start, end, lines_of(packed, channels))
            last, first, end = at, max(at - count, 0), start
            at, record = self._good_from(first, 0)
            packed = self.packed(first, last - first + 1) if at == first else b""
            count = min(2 * count, _MOST)


def _label(start: int, end: int, record: Record | None, doubtful: bool) -> Iterator[Piece]:
    """Yield the label of a range that the record describes, unless it is doubtful."""
    if record is not None and not doubtful:
        known = min(end, record.offset + RECORD_SPAN)
        if known > start:
            yield Piece(start, known, record.channel, record.time_ns)
            start = known
    if start < end:
        yield Piece(start, end, Channel.UNKNOWN, record.time_ns if record else 0)
