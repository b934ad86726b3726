"""A log in entries: its bytes as they are, with the packed index records that begin in them.

Owns how a log is cut for somebody who copies it (`copied.py` is the other end): an entry is within one
segment, and what was dropped is an entry without bytes. Records are copied as they are, damaged ones
included, so a copy has the same labels as the log. Must not know where the entries go.
"""

from __future__ import annotations

import contextlib
import sys
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import NamedTuple

from runcast.errors import FileDamaged, SegmentAway
from runcast.log.base import retried
from runcast.log.extent import Dropped, Extent
from runcast.log.file import FileLog
from runcast.log.records import RECORD_BYTES, RECORD_SPAN, last_good, unpack
from runcast.log.spans import Span

__all__ = ["EntryLog", "RawEntry", "count_before"]

_SPARE, _MOST = 8, 4096  # records fetched at once: as many as the last entry had, and some; never more


class RawEntry(NamedTuple):
    """Part of a log.

    Attributes:
        start: the offset of its first byte.
        end: the offset after its last byte.
        data: the bytes; empty for a gap.
        records: the packed index records that begin in it.
    """

    start: int
    end: int
    data: bytes
    records: bytes


class EntryLog(FileLog):
    """A log that can be read in entries. Not thread-safe.

    Attributes:
        listed_anew: whether the last `entries` looked which segments there are.
    """

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._at = -1, -1, 0  # the extent and offset that the last entry ended at, and the next record
        self._likely = _SPARE  # of records that an entry may have
        self.listed_anew = False

    @retried
    def entries(self, offset: int, most: int, size: int = RECORD_SPAN) -> list[RawEntry]:
        """Return the entries from an offset on; none at the tail, or beyond it.

        Args:
            offset: where the first one begins.
            most: how many, at most.
            size: bytes of one, at most.

        Raises:
            RunNotFound: the run was removed.
            SegmentAway: the bytes are not on this disk.
        """
        found = self._appended_entries(offset, most, size)
        self.listed_anew = not found
        if found:
            return found
        spans = self._extents()
        for span in spans[max(bisect_right(spans, offset, key=lambda span: span.start) - 1, 0) :]:
            if offset < span.start:
                found.append(RawEntry(offset, span.start, b"", b""))
                offset = span.start
            for entry in self._of(span, offset, most - len(found), size):
                found.append(entry)
                offset = entry.end
            if len(found) >= most:
                break
        return found[:most]

    def _appended_entries(self, offset: int, most: int, size: int) -> list[RawEntry]:
        """Return what was appended behind the last entry, if that was in the newest segment and it has more.

        That takes two calls of the system an entry; where there is nothing, the segments are to be listed.
        """
        if not self._segments or self._at[:2] != (self._segments[-1].start, offset):
            return []
        newest, found = self._segments[-1], list[RawEntry]()
        with contextlib.suppress(Dropped, FileDamaged, SegmentAway):  # as the whole way finds
            while len(found) < most and (data := newest.pread(offset, size)):
                end = offset + len(data)
                records, number = self._records(newest, self._at[2], end)
                self._at = newest.start, end, number
                found.append(RawEntry(offset, end, data, records))
                offset = end
                if len(data) < size:
                    break
        return found

    def _of(self, span: Span, offset: int, most: int, size: int) -> Iterator[RawEntry]:
        if most <= 0 or offset >= span.end:
            return
        extent = span.extent
        known = self._at[:2] == (span.start, offset)
        number = self._at[2] if known else extent.last_before(0, offset, strict=True)[0] + 1
        for _ in range(most):
            end = min(offset + size, span.end)
            if offset == end:
                return
            data = extent.pread(offset, end - offset)
            records, number = self._records(extent, number, end)
            self._at = span.start, end, number
            yield RawEntry(offset, end, data, records)
            offset = end

    def _records(self, extent: Extent, number: int, end: int) -> tuple[bytes, int]:
        """Return the packed records from a number on that begin before an offset, and the next number."""
        parts: list[bytes] = []
        first, want = number, self._likely
        while True:
            packed = extent.packed(number, want)
            count = count_before(packed, end)
            parts.append(packed[: count * RECORD_BYTES])
            number += count
            if count < want:
                self._likely = min(number - first + _SPARE, _MOST)
                return b"".join(parts), number
            want = min(2 * want, _MOST)


def count_before(data: bytes, offset: int) -> int:
    """Return how many records in `data` are before the first good one that begins at `offset` or later.

    Damaged ones count. Looks at the records at that place only, however many there are, and at all of them
    only where one of these is damaged: offsets of good ones only ever grow.
    """
    whole = len(data) // RECORD_BYTES
    if not whole:  # lines right behind others: they begin no record
        return 0
    if (newest := last_good(data)) is not None and newest.offset < offset:  # where nothing is ahead
        return whole
    if sys.byteorder == "little":
        with memoryview(data)[: whole * RECORD_BYTES].cast("Q") as fields:
            at = bisect_left(fields[:: RECORD_BYTES // 8], offset)
        last, first = (unpack(data[n * RECORD_BYTES : (n + 1) * RECORD_BYTES]) for n in (max(at - 1, 0), at))
        if (at == 0 or (last[0] and last[0].offset < offset)) and (
            at == whole or (first[0] and first[0].offset >= offset)
        ):
            return at
    return next((n for n, one in enumerate(unpack(data)) if one and one.offset >= offset), whole)
