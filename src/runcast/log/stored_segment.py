"""A segment of a log as its two files have it: bytes, and the index of their channels and times.

Owns their descriptors, and what is logged where one of the files is missing or damaged. What the
records of an index mean is `extent.py`'s; which segments there are is `file.py`'s.
"""

from __future__ import annotations

import os

from runcast import loggers
from runcast.errors import FileDamaged
from runcast.log.extent import Dropped, Extent
from runcast.log.records import RECORD_BYTES, Record, check_header
from runcast.log.segments import segment_name
from runcast.log.writer import SEGMENT_BYTES
from runcast.sysio.files import open_own, own_size

__all__ = ["StoredSegment"]

_OPEN_SEGMENTS = 4  # of one log at a time: descriptors are scarcer than open() is dear
_MOST_INDEX = 2 * SEGMENT_BYTES  # a writer begins a new segment when the index is as large as its bytes


class StoredSegment(Extent):
    """One pair of files, opened on demand; only a few segments of a log are open at a time."""

    def __init__(self, folder: str, start: int, opened: list[StoredSegment]) -> None:
        super().__init__(start)
        self._path = f"{folder}/{segment_name(start)}"
        self._opened = opened
        self._fds: tuple[int, int | None] | None = None  # of the bytes, and of the index if there is one
        self._sealed: int | None = None

    def _open(self) -> tuple[int, int | None]:
        if self._fds is None:
            try:
                data = open_own(self._path, os.O_RDONLY)
            except FileNotFoundError:
                raise Dropped from None
            try:
                index = self._open_index()
            except BaseException:
                os.close(data)
                raise
            self._fds = data, index
            self._opened.append(self)
            if len(self._opened) > _OPEN_SEGMENTS:
                self._opened[0].close()
        return self._fds

    def _open_index(self) -> int | None:
        try:
            index = open_own(self._path + ".index", os.O_RDONLY)
        except FileDamaged:
            self._log_damage("its index is no regular file")
            return None  # the same as a lost index
        except FileNotFoundError:
            try:
                size = os.lstat(self._path).st_size
            except FileNotFoundError:  # bytes go first when a segment is dropped
                raise Dropped from None
            if size:
                self._log_damage("its index is missing")
            return None  # all bytes remain, of unknown channel
        if os.fstat(index).st_size > _MOST_INDEX:
            self._log_damage("its index is too large to search")
            os.close(index)
            return None
        try:
            check_header(os.pread(index, RECORD_BYTES, 0), self._path)
        except BaseException:
            os.close(index)
            raise
        return index

    def size(self) -> int:
        return os.fstat(self._open()[0]).st_size

    def sealed_size(self) -> int:
        """Return the size, which is read once: a later segment exists, so this one no longer grows."""
        if self._sealed is None:
            try:
                self._sealed = own_size(self._path)
            except (FileNotFoundError, FileDamaged) as error:  # a gap
                if isinstance(error, FileDamaged):
                    self._log_damage("it is no regular file")
                raise Dropped from None
        return self._sealed

    def pread(self, offset: int, count: int) -> bytes:
        return os.pread(self._open()[0], count, offset - self.start)

    def _index(self) -> int | None:
        data, index = self._open()
        if index is None:  # or not written yet: an empty segment at the tail has none
            index = self._open_index()
            self._fds = data, index
        return index

    def _index_size(self) -> int:
        index = self._index()
        return 0 if index is None else os.fstat(index).st_size

    def record_count(self) -> int:
        return max(self._index_size() // RECORD_BYTES - 1, 0)

    def packed(self, first: int, count: int) -> bytes:
        index = self._index()
        return b"" if index is None else os.pread(index, count * RECORD_BYTES, (first + 1) * RECORD_BYTES)

    def records(self, first: int, count: int) -> list[Record | None]:
        records = super().records(first, count)
        if None in records[:-1]:  # the last one may be just being written
            self._log_damage("records of its index are damaged")
        return records

    def _log_damage(self, what: str) -> None:
        loggers.warning_once("store", "the log segment %s is damaged: %s", self._path, what)

    def torn(self) -> bool:
        return self._index_size() % RECORD_BYTES != 0

    def close(self) -> None:
        if self._fds is not None:
            for fd in self._fds:
                if fd is not None:
                    os.close(fd)
            self._fds = None
            self._opened.remove(self)
