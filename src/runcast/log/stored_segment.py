"""A segment of a log as its two files have it: bytes, and the index of their channels and times.

Owns their descriptors, and what is logged where one of the files is missing or damaged. Bytes that are
away (away.py) are looked for again whenever they are read. What the records of an index mean is
`extent.py`'s; which segments there are is `file.py`'s.
"""

from __future__ import annotations

import os

from runcast import loggers
from runcast.errors import FileDamaged, SegmentAway
from runcast.log.away import Away, away_at
from runcast.log.extent import Dropped, Extent, WaitFor
from runcast.log.records import RECORD_BYTES, Record, check_header
from runcast.log.segments import segment_name
from runcast.log.writer import SEGMENT_BYTES
from runcast.sysio.files import open_own, own_size

__all__ = ["Opened", "StoredSegment"]

_OPEN_SEGMENTS = 4  # of one log at a time: descriptors are scarcer than open() is dear
_MOST_INDEX = 2 * SEGMENT_BYTES  # a writer begins a new segment when the index is as large as its bytes


class Opened:
    """What the segments of one log share: which are open, and who waits for what is away."""

    def __init__(self) -> None:
        self.segments: list[StoredSegment] = []
        self.wait_for: WaitFor | None = None


class StoredSegment(Extent):
    """One pair of files, opened on demand; only a few segments of a log are open at a time.

    Args:
        folder: of the log.
        start: where it begins.
        opened: what the segments of the log share.
    """

    def __init__(self, folder: str, start: int, opened: Opened) -> None:
        super().__init__(start)
        self._path = f"{folder}/{segment_name(start)}"
        self._opened = opened
        # Of the bytes, unless they are away, and of the index if there is one.
        self._fds: tuple[int | None, int | None] | None = None
        self._away: Away | None = None
        self._sealed: int | None = None

    def _open(self) -> tuple[int | None, int | None]:
        if self._fds is None:
            data: int | None = None
            try:
                data = open_own(self._path, os.O_RDONLY)
                self._away = None
            except FileNotFoundError:
                self._away = away_at(self._path)
                if self._away is None:
                    raise Dropped from None
            try:
                index = self._open_index()
            except BaseException:
                if data is not None:
                    os.close(data)
                raise
            self._fds = data, index
            self._opened.segments.append(self)
            if len(self._opened.segments) > _OPEN_SEGMENTS:
                self._opened.segments[0].close()
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

    def growing(self) -> int | None:
        """Return the descriptor of the bytes; None if they are away, and so grow no more."""
        return self._open()[0]

    def _came(self) -> bool:
        """Return whether bytes that were away are here now, and open then.

        Raises:
            Dropped: they are neither here nor away any more.
        """
        if self._fds is not None and self._fds[0] is None:
            self.close()
        return self._open()[0] is not None

    def size(self) -> int:
        data = self._open()[0]
        if data is None:
            assert self._away is not None
            return self._away.bytes
        return os.fstat(data).st_size

    def missing(self) -> SegmentAway | None:
        if self._away is None or self._came():
            return None
        return SegmentAway(self._path.rpartition("/log/")[0], self.start, self.start + self._away.bytes)

    def lines_to_end(self) -> int | None:
        return None if self._away is None else self._away.lines

    def sealed_size(self) -> int:
        """Return the size, which is read once: a later segment exists, so this one no longer grows."""
        if self._sealed is None:
            try:
                self._sealed = self._size_closed()
            except (FileNotFoundError, FileDamaged) as error:  # a gap
                if isinstance(error, FileDamaged):
                    self._log_damage("it, or its mark, is no regular file, or damaged")
                raise Dropped from None
        return self._sealed

    def _size_closed(self) -> int:
        """Return the size without opening the bytes."""
        try:
            return own_size(self._path)
        except FileNotFoundError:
            self._away = away_at(self._path)
            if self._away is None:
                raise
            return self._away.bytes

    def pread(self, offset: int, count: int) -> bytes:
        data = self._open()[0]
        if data is None and (away := self.missing()) is not None:
            if self._opened.wait_for is None:
                raise away
            self._opened.wait_for(away, self._came)
        if data is None:
            data = self._open()[0]
            assert data is not None, "bytes that were waited for are here"
        return os.pread(data, count, offset - self.start)

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
            self._opened.segments.remove(self)
