"""A log in entries: its bytes as they are, with the packed index records that begin in them.

Owns how a log is cut for somebody who copies it (`copied.py` is the other end): an entry is within one
segment, and what was dropped is an entry without bytes. Records are copied as they are, damaged ones
included, so a copy has the same labels as the log. Must not know where the entries go.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from typing import NamedTuple

from runcast.log.base import Span, retried
from runcast.log.extent import Extent
from runcast.log.file import FileLog
from runcast.log.records import RECORD_BYTES, RECORD_SPAN, unpack

__all__ = ["EntryLog", "RawEntry"]

_RECORDS = 64  # fetched at once


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
    """A log that can be read in entries. Not thread-safe."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._at = -1, -1, 0  # the extent and offset that the last entry ended at, and the next record

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
        found: list[RawEntry] = []
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
            records, number = _records(extent, number, end)
            self._at = span.start, end, number
            yield RawEntry(offset, end, data, records)
            offset = end


def _records(extent: Extent, number: int, end: int) -> tuple[bytes, int]:
    """Return the packed records from a number on that begin before an offset, and the next number."""
    parts: list[bytes] = []
    while True:
        packed = extent.packed(number, _RECORDS)
        records = unpack(packed)
        count = next((at for at, one in enumerate(records) if one and one.offset >= end), len(records))
        parts.append(packed[: count * RECORD_BYTES])
        number += count
        if count < _RECORDS:
            return b"".join(parts), number
