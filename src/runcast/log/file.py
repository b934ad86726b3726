"""A log in files: `log/<start>` holds raw bytes, `log/<start>.index` says whose they are.

Owns the segment files of a run's folder. Any process of the machine may read while one writes:
a reader looks at the size first, then at the index, then reads bytes. `cat log/*` is the output.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Sequence

from runcast.log.base import Log, Span
from runcast.log.directory import FILE_MODE, RunDirectory
from runcast.log.extent import Extent
from runcast.log.records import RECORD_BYTES, Record, check_header, header, unpack
from runcast.log.writer import CAP_BYTES, SEGMENT_BYTES, LogWriter
from runcast.model import OFFSET_DIGITS, Outcome

__all__ = ["FileLog", "FileLogWriter"]

_OPEN_SEGMENTS = 4  # of one log at a time: descriptors are scarcer than open() is dear
_RACY_NS = 50_000_000  # a folder listed so soon after it changed may have changed again unseen
_O_READ = os.O_RDONLY | os.O_CLOEXEC


def _name(start: int) -> str:
    return f"{start:0{OFFSET_DIGITS}d}"


class _Segment(Extent):
    """One pair of files, opened at the first need."""

    def __init__(self, folder: str, start: int) -> None:
        super().__init__(start)
        self._path = f"{folder}/{_name(start)}"
        self._data: int | None = None
        self._index: int | None = None
        self._sealed: int | None = None

    def _data_fd(self) -> int:
        if self._data is None:
            self._data = os.open(self._path, _O_READ)
        return self._data

    def _index_fd(self) -> int:
        if self._index is None:
            try:
                self._index = os.open(self._path + ".index", _O_READ)
            except FileNotFoundError:  # lost: every byte is there still, of unknown channel
                self._index = os.open(os.devnull, _O_READ)
            check_header(os.pread(self._index, RECORD_BYTES, 0), self._path)
        return self._index

    def seal(self) -> None:
        """Remember the size: a later segment exists, so this one no longer grows."""
        if self._sealed is None:
            self._sealed = self.size()

    def size(self) -> int:
        if self._sealed is not None:
            return self._sealed
        return os.fstat(self._data_fd()).st_size

    def pread(self, offset: int, count: int) -> bytes:
        return os.pread(self._data_fd(), count, offset - self.start)

    def record_count(self) -> int:
        return max(os.fstat(self._index_fd()).st_size // RECORD_BYTES - 1, 0)

    def records(self, first: int, count: int) -> list[Record | None]:
        return unpack(os.pread(self._index_fd(), count * RECORD_BYTES, (first + 1) * RECORD_BYTES))

    def torn(self) -> bool:
        return os.fstat(self._index_fd()).st_size % RECORD_BYTES != 0

    def close(self) -> None:
        for fd in (self._data, self._index):
            if fd is not None:
                os.close(fd)
        self._data = self._index = None


class FileLog(Log):
    """Reads the log in a run's folder, from any process, while it is written and ever after.

    Not safe for several threads at once: it is cheap, open one each.
    """

    def __init__(self, path: str) -> None:
        self.directory = RunDirectory(path)
        self._segments: list[_Segment] = []
        self._folder_fd: int | None = None
        self._listed: tuple[int, int] | None = None  # mtime of the folder, and when it was listed

    def _refresh(self) -> None:
        """List the segments anew if the folder changed since."""
        if self._folder_fd is None:
            self._folder_fd = os.open(self.directory.log_path, _O_READ | os.O_DIRECTORY)
        changed = os.fstat(self._folder_fd).st_mtime_ns
        if self._listed and self._listed[0] == changed and self._listed[1] - changed > _RACY_NS:
            return
        now = time.time_ns()
        found = sorted(int(name) for name in os.listdir(self._folder_fd) if name.isdigit())
        starts = [segment.start for segment in self._segments]
        if found != starts:
            known = dict(zip(starts, self._segments, strict=True))
            for gone in set(starts).difference(found):
                known.pop(gone).close()
            self._segments = [known.get(start) or _Segment(self.directory.log_path, start) for start in found]
        self._listed = changed, now

    def _extents(self) -> Sequence[Span]:
        while True:
            self._refresh()
            try:
                for segment in self._segments[:-1]:
                    segment.seal()
                self._close_idle()
                spans = []
                following: int | None = None
                for segment in reversed(self._segments):
                    end = segment.start + segment.size()
                    spans.append(
                        Span(
                            segment.start,
                            end if following is None else min(end, following),
                            segment,
                        )
                    )
                    following = segment.start
                return spans[::-1]
            except FileNotFoundError:  # dropped by the cap a moment ago
                self._listed = None

    def _close_idle(self) -> None:
        opened = [segment for segment in self._segments[:-1] if segment._data is not None]
        for segment in opened[: max(len(opened) - _OPEN_SEGMENTS, 0)]:
            segment.close()

    @property
    def outcome(self) -> Outcome | None:
        """How what wrote the log ended; None while it goes on."""
        return self.directory.outcome()

    @property
    def closed(self) -> bool:
        """Whether no more bytes will ever come: an outcome, and nobody holds the lock."""
        return os.path.exists(f"{self.directory.path}/outcome.json") and not self.directory.held

    def subscribe(self, wake: Callable[[], None]) -> None:
        """Return None: the writer may be any process, see `watch_paths`."""

    def watch_paths(self) -> list[str]:
        """Return the folders whose changes mean news: the run's and its log's."""
        return [self.directory.path, self.directory.log_path]

    def close(self) -> None:
        """Close the files. A later read opens them again."""
        for segment in self._segments:
            segment.close()
        self._segments = []
        self._listed = None
        if self._folder_fd is not None:
            os.close(self._folder_fd)
            self._folder_fd = None

    def __del__(self) -> None:
        with contextlib.suppress(Exception):
            self.close()


class FileLogWriter(LogWriter):
    """Appends to the log in a run's folder, whose lock the caller holds.

    Going on where an earlier writer left off begins a new segment, so that nothing which that
    writer may have left half done is ever built upon.
    """

    def __init__(
        self,
        directory: RunDirectory,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        cap_bytes: int | None = CAP_BYTES,
    ) -> None:
        tail = lines = time_ns = 0
        if any(os.scandir(directory.log_path)):
            before = FileLog(directory.path)
            tail, lines = before.tail_offset, before.lines
            chunks = before.read(max(tail - 1, 0)).chunks
            time_ns = round(chunks[-1].time * 1_000_000_000) if chunks else 0
            before.close()
        super().__init__(
            tail=tail,
            lines=lines,
            time_ns=time_ns,
            segment_bytes=segment_bytes,
            cap_bytes=cap_bytes,
        )
        self._directory = directory
        self._data: int | None = None
        self._index: int | None = None

    def _begin(self, start: int) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        path = f"{self._directory.log_path}/{_name(start)}"
        index = os.open(path + ".index", flags, FILE_MODE)
        try:
            if not os.fstat(index).st_size:
                os.write(index, header(start))
            data = os.open(path, flags, FILE_MODE)
        except BaseException:
            os.close(index)
            raise
        self._close_files()
        self._data, self._index = data, index

    def _write_record(self, record: bytes) -> None:
        assert self._index is not None
        os.write(self._index, record)

    def _write(self, data: bytes | memoryview) -> int:
        assert self._data is not None
        return os.write(self._data, data)

    def _drop(self, start: int) -> None:
        path = f"{self._directory.log_path}/{_name(start)}"
        for name in (path, path + ".index"):  # bytes first: an index alone is nothing
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name)

    def sync(self) -> None:
        """Have what was appended so far survive a power loss. May take as long as the disk does."""
        for fd in (self._data, self._index):
            if fd is not None:
                with contextlib.suppress(OSError):
                    os.fdatasync(fd)

    def _tell(self, outcome: Outcome) -> None:
        self.sync()
        self._directory.write_outcome(outcome)

    def _release(self) -> None:
        self._close_files()
        self._directory.release()

    def _close_files(self) -> None:
        for fd in (self._data, self._index):
            if fd is not None:
                os.close(fd)
        self._data = self._index = None
