"""The writing end of a copy of a log: the same bytes, the same records, in segments of its own.

Owns where segments are cut, at the beginning of a record, so that each segment has labels for all of its
bytes; and how a copy goes on whose writer was killed between any two steps: bytes that are there count,
records behind them are cut off and come again. Must not know where entries come from.
"""

from __future__ import annotations

import os
from typing import Final

from runcast.log.away import away_at
from runcast.log.eviction import mark_away
from runcast.log.records import RECORD_BYTES, header, unpack
from runcast.log.segments import INDEX, segment_name, segment_starts, sync_segment
from runcast.store.run_files import RunFiles
from runcast.sysio.files import open_or_make, open_own
from runcast.sysio.writes import write_all

__all__ = ["COPY_SEGMENT_BYTES", "LogCopy", "copied_to"]

COPY_SEGMENT_BYTES: Final = 4 * 1024 * 1024  # what is brought, and taken away again, at once
_O_WRITE = os.O_RDWR | os.O_CREAT | os.O_APPEND


class LogCopy:
    """Appends to the copy of a log, whose run this process owns.

    Args:
        directory: of the run.
        segment_bytes: size after which a new segment is begun.

    Attributes:
        tail: where the copy ends.

    Raises:
        OSError: it cannot be read or mended.
    """

    def __init__(self, directory: RunFiles, segment_bytes: int = COPY_SEGMENT_BYTES) -> None:
        self._directory, self._segment_bytes = directory, segment_bytes
        self._fds: tuple[int, int] | None = None  # of the bytes and the index
        self._start = self._size = self._indexed = 0  # of the segment that is written, if any
        self._unsynced: set[int] = set()
        starts = segment_starts(directory.log_path)
        self.tail = 0
        if starts:
            self._unsynced = set(starts)
            away = away_at(self._path(starts[-1]))
            if away is not None and not os.path.lexists(self._path(starts[-1])):
                self._start = self.tail = starts[-1] + away.bytes
            else:
                self._open(starts[-1])
                self.tail = self._start + self._size

    def append(self, start: int, end: int, data: bytes, records: bytes) -> None:
        """Append an entry that begins at the tail or before it; what is here already is passed over.

        Args:
            start: the offset of its first byte.
            end: the offset after its last byte.
            data: the bytes; none for a gap.
            records: the packed records that begin in it.

        Raises:
            OSError: there is no room; the copy is as it was.
        """
        if end <= self.tail:
            return
        if not data:
            self._gap(end)
            return
        if start < self.tail:
            data, records = data[self.tail - start :], _from(records, self.tail)
        if not self._size:
            self._begin(self.tail)
        elif self._size >= self._segment_bytes and (cut := _first(records)) is not None:
            at, number = cut
            if at > self.tail:
                self._write(data[: at - self.tail], records[: number * RECORD_BYTES])
            data, records = data[len(data) - (end - at) :], records[number * RECORD_BYTES :]
            self._begin(at)
        self._write(data, records)

    def _gap(self, end: int) -> None:
        """Have the copy end behind bytes that were dropped: an empty segment marks where."""
        self.park()
        os.close(open_or_make(self._path(end), _O_WRITE))
        self._start, self._size, self.tail = end, 0, end

    def append_away(self, size: int, lines: int, records: bytes) -> None:
        """Append a segment whose bytes are kept elsewhere.

        Args:
            size: how many bytes, more than none.
            lines: how many line feeds the log has up to their end.
            records: the packed records that begin in them.
        """
        self.park()
        start = self.tail
        index = open_or_make(self._path(start) + INDEX, _O_WRITE | os.O_TRUNC)
        try:
            write_all(index, header(start) + records)
            os.fsync(index)
        finally:
            os.close(index)
        mark_away(self._directory, start, size, lines)
        self._unsynced.add(start)
        self._start, self._size, self.tail = start + size, 0, start + size

    def _path(self, start: int) -> str:
        return f"{self._directory.log_path}/{segment_name(start)}"

    def _begin(self, start: int) -> None:
        self.park()
        path = self._path(start)
        index = open_or_make(path + INDEX, _O_WRITE | os.O_TRUNC)
        try:
            write_all(index, header(start))
            data = open_or_make(path, _O_WRITE)
        except BaseException:
            os.close(index)
            raise
        self._fds, self._start, self._size = (data, index), start, 0
        self._indexed = RECORD_BYTES
        self._unsynced.add(start)

    def _open(self, start: int) -> None:
        """Go on with a segment, without the records in its index that have no bytes."""
        path = self._path(start)
        data = open_own(path, _O_WRITE)
        index = open_or_make(path + INDEX, _O_WRITE)
        self._fds, self._start, self._size = (data, index), start, os.fstat(data).st_size
        whole = max((os.fstat(index).st_size - RECORD_BYTES) // RECORD_BYTES, 0)
        records = unpack(os.pread(index, whole * RECORD_BYTES, RECORD_BYTES))
        while records and (records[-1] is None or records[-1].offset >= start + self._size):
            records.pop()
        self._indexed = (len(records) + 1) * RECORD_BYTES
        os.ftruncate(index, self._indexed)

    def _write(self, data: bytes, records: bytes) -> None:
        if self._fds is None:
            self._open(self._start)
        assert self._fds is not None
        fd, index = self._fds
        try:
            if records:
                write_all(index, records)
            write_all(fd, data)
        except BaseException:
            os.ftruncate(fd, self._size)
            os.ftruncate(index, self._indexed)
            raise
        self._indexed += len(records)
        self._size += len(data)
        self.tail = self._start + self._size

    def park(self) -> None:
        """Close the files until the next entry."""
        if self._fds is not None:
            for fd in self._fds:
                os.close(fd)
            self._fds = None

    def sync(self) -> None:
        """Have the copy survive a power loss."""
        for start in sorted(self._unsynced):
            sync_segment(self._directory.log_path, start)
        self._unsynced.clear()


def copied_to(log_path: str) -> int:
    """Return where the segments in the folder of a log end, whether their bytes are here or away."""
    starts = segment_starts(log_path)
    if not starts:
        return 0
    path = f"{log_path}/{segment_name(starts[-1])}"
    away = away_at(path)
    if away is not None and not os.path.lexists(path):
        return starts[-1] + away.bytes
    return starts[-1] + os.path.getsize(path)


def _first(records: bytes) -> tuple[int, int] | None:
    """Return where the first good record begins, and how many are before it."""
    for number, record in enumerate(unpack(records)):
        if record is not None:
            return record.offset, number
    return None


def _from(records: bytes, offset: int) -> bytes:
    """Return the records that begin at an offset or later."""
    found = unpack(records)
    first = next((at for at, one in enumerate(found) if one and one.offset >= offset), len(found))
    return records[first * RECORD_BYTES :]
