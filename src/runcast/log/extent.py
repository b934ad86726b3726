"""An extent: bytes of a log that lie together, with the index that labels them.

Owns every search in an index: who wrote these bytes, which record comes last before an offset,
a time, a line. Damaged records are passed over, and what they may have described is labelled
`unknown`. A backend says where bytes and records are kept; it never searches.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Literal, NamedTuple

from runcast.log.records import RECORD_SPAN, Record
from runcast.model import Channel

__all__ = ["Extent", "Piece"]

_FEW, _MANY = 8, 128  # records fetched at once: at first, and (4 KiB, one page) at most
_NEVER = -1


class Piece(NamedTuple):
    """A range of the log with one label."""

    start: int
    end: int
    channel: Channel
    time_ns: int


class Extent(ABC):
    """Bytes from `start` on, without a hole. Offsets are those of the log, not of the extent."""

    def __init__(self, start: int) -> None:
        self.start = start
        self._hint = 0  # where the last search ended: the next one mostly begins there

    @abstractmethod
    def size(self) -> int:
        """Return how many bytes there are now."""

    @abstractmethod
    def pread(self, offset: int, count: int) -> bytes:
        """Return up to `count` bytes from `offset` on; fewer only at the end."""

    @abstractmethod
    def record_count(self) -> int:
        """Return how many records there are now, damaged ones included."""

    @abstractmethod
    def records(self, first: int, count: int) -> list[Record | None]:
        """Return up to `count` records from number `first` on, None for each damaged one."""

    @abstractmethod
    def torn(self) -> bool:
        """Return whether the index ends in a part of a record."""

    def last_before(self, key: Literal[0, 1, 2], value: int, *, strict: bool = False) -> int:
        """Return the number of the last good record whose field is at most (`strict`: less than) `value`.

        `key` is the place of the field in `Record`: all of them only ever grow. -1 if there is none.
        """
        low, high, found = 0, self.record_count(), _NEVER
        while low < high:
            middle = probe = (low + high) // 2
            record = self.records(probe, 1)[0]
            while record is None and probe > low:  # damaged: ask its left neighbour
                probe -= 1
                record = self.records(probe, 1)[0]
            if record is None:
                low = middle + 1
            elif record[key] < value or (record[key] == value and not strict):
                found, low = probe, middle + 1
            else:
                high = probe
        return found

    def walk(
        self, first: int, block: list[Record | None] | None = None
    ) -> Iterator[tuple[int, Record | None]]:
        """Yield the records from number `first` on, with their numbers; `block` are those already fetched."""
        count = _FEW
        while block := block or self.records(first, count):
            yield from enumerate(block, first)
            first, count, block = first + len(block), min(2 * count, _MANY), None

    def pieces(self, start: int, end: int) -> list[Piece]:
        """Return the labels of the bytes from `start` to `end`, in order and without a hole."""
        at = self._hint
        near: list[Record | None] | None = self.records(at, _FEW)
        first, last = (near[0], near[-1]) if near else (None, None)
        if (
            not near
            or not first
            or first.offset > start
            or (len(near) == _FEW and not (last and last.offset > start))
        ):
            at, near = self.last_before(0, start), None
        current: Record | None = None
        doubtful = at == _NEVER
        pieces: list[Piece] = []
        for number, record in self.walk(max(at, 0), near):
            if record is None:
                doubtful = True
                continue
            if record.offset > start:
                start = self._label(pieces, start, min(end, record.offset), current, doubtful)
                if start >= end:
                    break
            current, doubtful, self._hint = record, False, number
        else:
            self._label(pieces, start, end, current, doubtful or self.torn())
        return pieces

    @staticmethod
    def _label(pieces: list[Piece], start: int, end: int, record: Record | None, doubtful: bool) -> int:
        """Label a range that the record (if it is not in doubt) describes; return its end."""
        if record is not None and not doubtful:
            known = min(end, record.offset + RECORD_SPAN)
            if known > start:
                pieces.append(Piece(start, known, record.channel, record.time_ns))
                start = known
        if start < end:
            pieces.append(Piece(start, end, Channel.UNKNOWN, record.time_ns if record else 0))
        return end
