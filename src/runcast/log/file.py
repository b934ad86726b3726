"""A log in files: `log/<start>` holds raw bytes, `log/<start>.index` says whose they are.

Owns the segment files of a run's folder. Any process of the machine may read while one writes:
a reader looks at the size first, then at the index, then reads bytes. `cat log/*` is the output.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from runcast.errors import FileDamaged
from runcast.log.base import Log, Span, settled
from runcast.log.directory import RunDirectory
from runcast.log.extent import Dropped, Extent
from runcast.log.records import RECORD_BYTES, check_header, count_lines, header
from runcast.log.writer import CAP_BYTES, SEGMENT_BYTES, LogWriter, Segment
from runcast.model import OFFSET_DIGITS, Outcome
from runcast.sysio import open_folder, open_own, own_size

__all__ = ["FileLog", "FileLogWriter", "segment_name", "segment_starts", "sync_segment"]

_OPEN_SEGMENTS = 4  # of one log at a time: descriptors are scarcer than open() is dear
_MOST_INDEX = 2 * SEGMENT_BYTES  # a writer begins the next segment when an index is as long as its bytes
_ANY = 2**64  # more than any offset
_RACY_NS = 50_000_000  # a folder listed so soon after it changed may have changed again unseen
_fdatasync = getattr(os, "fdatasync", os.fsync)  # macOS has none
_O_WRITE = os.O_WRONLY | os.O_CREAT | os.O_APPEND


def segment_name(start: int) -> str:
    """Return the name of the segment that begins at an offset."""
    return f"{start:0{OFFSET_DIGITS}d}"


def segment_starts(folder: int | str) -> list[int]:
    """Return where the segments in a folder begin, in order; what has another name is none."""
    names = os.listdir(folder)
    return sorted(
        int(name) for name in names if len(name) == OFFSET_DIGITS and name.isascii() and name.isdigit()
    )


class _Segment(Extent):
    """One pair of files, opened at the first need; of its log's, only a few are open at a time."""

    def __init__(self, folder: str, start: int, opened: list[_Segment]) -> None:
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
            return None  # something else is in its place: as if it were lost
        except FileNotFoundError:
            if not os.path.lexists(self._path):  # bytes go first when a segment is dropped
                raise Dropped from None
            return None  # lost: every byte is there still, of unknown channel
        if os.fstat(index).st_size > _MOST_INDEX:  # damage, and nothing that could be searched in time
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
        """Return the size, looked at once: a later segment exists, so this one no longer grows."""
        if self._sealed is None:
            try:
                self._sealed = own_size(self._path)
            except (FileNotFoundError, FileDamaged):  # something else is in its place: a gap, too
                raise Dropped from None
        return self._sealed

    def pread(self, offset: int, count: int) -> bytes:
        return os.pread(self._open()[0], count, offset - self.start)

    def _index(self) -> int | None:
        data, index = self._open()
        if index is None:  # or not begun yet: an empty segment at the tail needs none
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

    def torn(self) -> bool:
        return self._index_size() % RECORD_BYTES != 0

    def close(self) -> None:
        if self._fds is not None:
            for fd in self._fds:
                if fd is not None:
                    os.close(fd)
            self._fds = None
            self._opened.remove(self)


class FileLog(Log):
    """Reads the log in a run's folder, from any process, while it is written and ever after.

    Not safe for several threads at once: it is cheap, open one each.
    """

    def __init__(self, path: str) -> None:
        self.directory = RunDirectory(path)
        self._segments: list[_Segment] = []
        self._sealed: list[Span] = []  # all segments but the last, whose end is looked at each time
        self._opened: list[_Segment] = []
        self._folder_fd: int | None = None
        self._listed: tuple[int, int] | None = None  # mtime of the folder, and when it was listed

    def __repr__(self) -> str:
        return f"<FileLog {self.directory.path}>"

    @settled
    def _extents(self) -> Sequence[Span]:
        self._refresh()
        if not self._segments:
            return []
        last = self._segments[-1]
        return [*self._sealed, Span(last.start, last.start + last.size(), last)]

    def _refresh(self) -> None:
        """List the segments anew if the folder changed since."""
        if self._folder_fd is None:
            self._folder_fd = open_folder(self.directory.log_path)
            # Tells who sweeps old runs that somebody reads this one. No lock: a sweeper is about to take
            # it away, as anybody may, or the file system has none.
            with contextlib.suppress(OSError):
                fcntl.flock(self._folder_fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        changed = os.fstat(self._folder_fd).st_mtime_ns
        if self._listed and self._listed[0] == changed and self._listed[1] - changed > _RACY_NS:
            return
        now = time.time_ns()
        starts = segment_starts(self._folder_fd)
        if starts != [segment.start for segment in self._segments]:
            gone = {segment.start: segment for segment in self._segments}
            segments = [
                gone.pop(start) if start in gone else _Segment(self.directory.log_path, start, self._opened)
                for start in starts
            ]
            self._sealed = list(_sealed(segments))
            self._segments = segments
            for segment in gone.values():
                segment.close()
        self._listed = changed, now

    def _forget(self) -> None:
        self.close()

    @property
    def outcome(self) -> Outcome | None:
        """How what wrote the log ended; None while it goes on."""
        return self.directory.outcome()

    @property
    def closed(self) -> bool:
        """Whether no more bytes will ever come: an outcome, and nobody holds the lock."""
        return self.directory.ended and not self.directory.held

    def subscribe(self, wake: Callable[[], None]) -> None:
        """Return None: the writer may be any process, see `watch_paths`."""

    def watch_paths(self) -> list[str]:
        """Return the folders whose changes mean news: the run's and its log's."""
        return [self.directory.path, self.directory.log_path]

    def close(self) -> None:
        """Close the files. A later read opens them again."""
        for segment in self._segments:
            segment.close()
        self._segments, self._sealed, self._listed = [], [], None
        if self._folder_fd is not None:
            os.close(self._folder_fd)
            self._folder_fd = None

    def __del__(self) -> None:
        with contextlib.suppress(Exception):
            self.close()


def _sealed(segments: Sequence[_Segment]) -> Iterator[Span]:
    """Yield the extents of all segments but the last, with their ends.

    One that was dropped since it was listed leaves a gap, as it would if it had been dropped
    before: who looked again until all of them stay would never be done beside a fast writer.
    """
    for one, following in pairwise(segments):
        with contextlib.suppress(Dropped):
            yield Span(one.start, min(one.start + one.sealed_size(), following.start), one)


class FileLogWriter(LogWriter):
    """Appends to the log in a run's folder, whose lock the caller holds.

    Going on where an earlier writer left off begins a new segment, so that nothing which that
    writer may have left half done is ever built upon; with `go_on`, the caller knows that nothing
    was, and the last segment is continued.
    """

    def __init__(
        self,
        directory: RunDirectory,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        cap_bytes: int | None = CAP_BYTES,
        go_on: bool = False,
    ) -> None:
        before = FileLog(directory.path)
        spans = before._extents()
        super().__init__(
            tail=spans[-1].end if spans else 0,
            lines=before.lines if spans else 0,
            time_ns=before._last_time_ns() if spans else 0,
            kept=[
                Segment(span.start, span.end - span.start, span.extent.record_count())
                for span in spans
                if span.start < spans[-1].end  # an empty one at the tail is where this writer begins
            ],
            segment_bytes=segment_bytes,
            cap_bytes=cap_bytes,
        )
        self._directory = directory
        self._data: int | None = None
        self._index: int | None = None
        self._newest = -1  # the segment that is being written
        self._unsynced: set[int] = set()  # this one, and those before it that no sync has seen finished
        if go_on and self._old and spans[-1].end > spans[-1].start and _is_whole(spans[-1]):
            self._go_on(self._old.pop())
        before.close()

    def _go_on(self, last: Segment) -> None:
        self._old_cost -= last.cost
        self._segment, self._size, self._records = last
        self._newest = last.start
        self._unsynced.add(last.start)

    def _path(self, start: int) -> str:
        return f"{self._directory.log_path}/{segment_name(start)}"

    def _begin(self, start: int) -> None:
        path = self._path(start)
        # What an earlier writer may have left in the index of an empty segment describes no byte.
        index = open_own(path + ".index", _O_WRITE | os.O_TRUNC)
        try:
            _write_whole(index, header(start))
            data = open_own(path, _O_WRITE)
        except BaseException:
            os.close(index)
            os.unlink(path + ".index")  # or a disk that stays full fills with empty files
            raise
        self._close_files()
        self._data, self._index = data, index
        self._newest = start
        self._unsynced.add(start)

    def _mark(self, start: int) -> None:
        # An empty file, without an index: a name is all that fits on a full disk.
        os.close(open_own(self._path(start), _O_WRITE))

    def _catch_up(self) -> None:
        if self._data is None or self._segment is None:
            return
        with open(self._path(self._segment), "rb") as file:
            data = file.read()
        self.tail, self._size = self._segment + len(data), len(data)
        self.lines = self._lines_before + count_lines(data)

    def park(self) -> None:
        """Close the files until there is more to append: a log that waits for long needs none."""
        self._close_files()

    def _unpark(self) -> None:
        path = self._path(self._newest)
        self._index = open_own(path + ".index", _O_WRITE)
        self._data = open_own(path, _O_WRITE)

    def _write_record(self, record: bytes) -> None:
        if self._index is None:
            self._unpark()
        assert self._index is not None
        _write_whole(self._index, record)

    def _write(self, data: bytes | memoryview) -> int:
        if self._data is None:
            self._unpark()
        assert self._data is not None
        return os.write(self._data, data)

    def _cut(self, size: int, records: int) -> None:
        if self._data is None or self._index is None:
            return  # they could not even be opened
        os.ftruncate(self._data, size)
        os.ftruncate(self._index, (records + 1) * RECORD_BYTES)  # behind the header

    def _drop(self, start: int) -> None:
        path = self._path(start)
        for name in (path, path + ".index"):  # bytes first: an index alone is nothing
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name)

    @property
    def unsynced(self) -> frozenset[int]:
        """Where the segments begin of which something may have to be synced."""
        return frozenset(self._unsynced)

    def sync(self) -> None:
        """Have what was appended so far survive a power loss.

        May take as long as the disk does, so another thread may call it while this one appends.
        """
        self._directory.sync()
        for start in list(self._unsynced):
            finished = start != self._newest
            sync_segment(self._directory, start)
            if finished:
                self._unsynced.discard(start)

    def _tell(self, outcome: Outcome) -> None:
        self.sync()
        self._directory.write_outcome(outcome)

    def _release(self) -> None:
        self._close_files()
        self._directory.release()

    def _close_files(self) -> None:
        fds = self._data, self._index
        self._data = self._index = None  # before: a process that is forked meanwhile closes nothing twice
        for fd in fds:
            if fd is not None:
                os.close(fd)


def sync_segment(directory: RunDirectory, start: int) -> None:
    """Have the segment that begins at `start` survive a power loss, its index as well."""
    path = f"{directory.log_path}/{segment_name(start)}"
    for name in (path, path + ".index"):
        with contextlib.suppress(OSError):  # dropped meanwhile, or the disk is failing
            fd = open_own(name, os.O_RDONLY)
            try:
                _fdatasync(fd)
            finally:
                os.close(fd)


def _is_whole(span: Span) -> bool:
    """Return whether an index says nothing of bytes that are not there: those may be lost with the power."""
    _, last = span.extent.last_before(0, _ANY)
    return not span.extent.torn() and (last is None or last.offset <= span.end)


def _write_whole(fd: int, data: bytes) -> None:
    """Append to an index all of a record or nothing: behind a part of one, no other would be found."""
    written = os.write(fd, data)
    if written < len(data):  # the disk, or RLIMIT_FSIZE, had room for a part
        os.ftruncate(fd, os.fstat(fd).st_size - written)
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
