"""A log in files: `log/<start>` holds raw bytes, `log/<start>.index` their channels and times.

Owns the segment files of a run's folder. Any process of the machine may read while one writes:
a reader takes the size first, then the index, then the bytes. `cat log/*` prints the output.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import pairwise

from runcast.errors import FileDamaged, MirrorBehind, RunNotFound, SegmentAway
from runcast.log.awaited import with_awaited
from runcast.log.base import Log, retried
from runcast.log.extent import Dropped
from runcast.log.ranges import appended_in
from runcast.log.records import RECORD_BYTES, count_lines, header
from runcast.log.segments import AWAY, INDEX, segment_name, segment_starts, sync_segment
from runcast.log.spans import Span
from runcast.log.stored_segment import Opened, StoredSegment
from runcast.log.writer import CAP_BYTES, SEGMENT_BYTES, LogWriter, Segment
from runcast.model import CHUNK_BYTES, Channel, Chunk, Outcome, Reading
from runcast.store.mirrors import ask_for
from runcast.store.run_files import RunFiles
from runcast.sysio.files import open_folder, open_or_make, open_own
from runcast.sysio.writes import write_whole

__all__ = ["FileLog", "FileLogWriter"]

_ANY = 2**64  # more than any offset
_RACY_NS = 50_000_000  # a folder listed so soon after it changed may have changed again unseen
_O_WRITE = os.O_WRONLY | os.O_CREAT | os.O_APPEND


class FileLog(Log):
    """Reads the log in a run's folder, from any process, while it is written and afterwards.

    Not thread-safe. Instances are cheap: open one per thread.
    """

    def __init__(self, path: str) -> None:
        self.directory = RunFiles(path)
        self._segments: list[StoredSegment] = []
        self._sealed: list[Span] = []  # all segments but the last, the only one that grows
        self._opened = Opened()
        self._folder_fd: int | None = None
        self._listed: tuple[int, int] | None = None  # mtime of the folder, and when it was listed
        self._mirrors = False  # it may be that not all of it is here
        self._read_all = -1  # where the last read ended, if it found less than it could take

    def __repr__(self) -> str:
        return f"<FileLog {self.directory.path}>"

    @retried
    def _extents(self) -> Sequence[Span]:
        try:
            return self._spans()
        except FileNotFoundError:
            store, run_id = os.path.split(self.directory.path)
            raise RunNotFound(run_id, f"the store {store}: it was removed, or moved with its store") from None

    def read(
        self,
        offset: int,
        limit: int = CHUNK_BYTES,
        channels: Collection[Channel] | None = None,
        *,
        labelled: bool = True,
    ) -> Reading:
        """Return up to `limit` bytes from `offset` on, without waiting; see `Log.read`."""
        self._read_all = -1
        if channels is None and limit > 0 and (data := self._appended(offset, limit)):
            last, end = self._segments[-1], offset + len(data)
            self._read_all = end if len(data) < limit else -1
            if not labelled:
                return Reading([Chunk(offset, end, Channel.UNKNOWN, 0.0, data)], end)
            with contextlib.suppress(Dropped):
                return Reading(appended_in(last, offset, data), end)
        return super().read(offset, limit, channels, labelled=labelled)

    def _appended(self, offset: int, limit: int) -> bytes:
        """Return what the segment that was the newest has from an offset on; empty where that is not known.

        A reader at the tail needs no listing, and no size: what it reads there was appended, and its index
        was written before. Where there is nothing a newer segment may have it.
        """
        if self._segments:
            newest = self._segments[-1]
        elif offset == 0 and self._listed is not None:  # it was empty: most logs begin with this one
            newest = StoredSegment(self.directory.log_path, 0, self._opened)
        else:
            return b""
        data = b""
        with contextlib.suppress(Dropped, FileDamaged, SegmentAway, OverflowError):  # as the whole way finds
            data = newest.pread(offset, limit) if offset >= newest.start else b""
        if data and not self._segments:
            self._segments, self._listed = [newest], None
        elif not self._segments:
            newest.close()
        return data

    def _spans(self) -> Sequence[Span]:
        """Return the extents; raise `FileNotFoundError` where the run was removed."""
        self._refresh()
        spans: list[Span] = []
        if self._segments:
            last = self._segments[-1]
            spans = [*self._sealed, Span(last.start, last.start + last.size(), last)]
        return self._with_awaited(spans) if self._mirrors else spans

    def _with_awaited(self, spans: list[Span]) -> list[Span]:
        """Add what is known of a mirror's log beyond its end on this disk."""
        self._mirrors, spans = with_awaited(self.directory, spans, self._opened.wait_for)
        return spans

    def had_all(self, end: int) -> bool:
        """Return whether the last read took all of the newest segment, and there is no newer one."""
        if end != self._read_all or self._folder_fd is None:
            return False
        return self._is_listed(self._changed(self._folder_fd))

    @staticmethod
    def _changed(folder_fd: int) -> int:
        return os.fstat(folder_fd).st_mtime_ns

    def _is_listed(self, changed: int) -> bool:
        return (
            self._listed is not None and self._listed[0] == changed and self._listed[1] - changed > _RACY_NS
        )

    def _refresh(self) -> None:
        """List the segments again if the folder has changed."""
        if self._folder_fd is None:
            self._folder_fd = open_folder(self.directory.log_path)
            self._mirrors = self.directory.is_mirror
            self.directory.mark_read(self._folder_fd)
        changed = self._changed(self._folder_fd)
        if self._is_listed(changed):
            return
        now = time.time_ns()
        starts = segment_starts(self._folder_fd)
        if starts != [segment.start for segment in self._segments]:
            os.stat(self.directory.path)  # a missing segment is a gap only if the run still exists
            gone = {segment.start: segment for segment in self._segments}
            segments = [
                gone.pop(start)
                if start in gone
                else StoredSegment(self.directory.log_path, start, self._opened)
                for start in starts
            ]
            self._segments, self._sealed = segments, list(_sealed(segments))
            for segment in gone.values():
                segment.close()
        self._listed = changed, now

    def _forget(self) -> None:
        self.close()

    @property
    def outcome(self) -> Outcome | None:
        """The outcome of the run; None while it has none."""
        return self.directory.outcome()

    @property
    def closed(self) -> bool:
        """Whether the log is complete: there is an outcome, the lock is free, and a mirror is whole."""
        return self.directory.ended and not (self.directory.held or self.directory.awaited)

    def subscribe(self, wake: Callable[[], None]) -> None:
        """Return None: the writer may be any process, see `watch_paths`."""

    def watch_paths(self) -> list[str]:
        """Return the run's folder, to watch for any change, and the log's, to watch for new segments."""
        return [self.directory.path, self.directory.log_path]

    def growing(self) -> tuple[object, int] | None:
        """Return the newest known segment, and its descriptor: no other one grows."""
        try:
            if not self._segments:
                self._refresh()
            fd = self._segments[-1].growing() if self._segments else None
            return None if fd is None else (self._segments[-1], fd)
        except (Dropped, FileDamaged):  # the next read finds a newer one, or raises the error
            return None

    def away(self, offset: int) -> SegmentAway | None:
        """Return what a read at an offset lacks on this disk; looks at no file if nothing was away."""
        known = self._segments and not self._mirrors
        here = known and all(segment.lines_to_end() is None for segment in self._segments)
        if here or (away := super().away(offset)) is not None:
            return None if here else away
        tail = self.tail_offset
        return self._behind(offset, tail)

    def _behind(self, offset: int, tail: int) -> MirrorBehind | None:
        """Return the error for an offset past the tail of a mirror that may be behind; None if none is."""
        behind = self._mirrors and offset > tail
        return MirrorBehind(self.directory.path, offset, tail) if behind else None

    def beyond(self, offset: int, tail: int) -> Exception:
        """Return the error for an offset past the tail: a mirror may be behind, and then it is waited for."""
        return self._behind(offset, tail) or super().beyond(offset, tail)

    def want(self, offset: int) -> bool:
        """Ask the store's agent for the segment that begins at an offset; return whether it hears."""
        return ask_for(self.directory.path, offset)

    def on_away(self, wait: Callable[[SegmentAway, Callable[[], bool]], object]) -> None:
        """Have `wait` called where a read needs bytes that are not on this disk, in place of the error."""
        self._opened.wait_for = wait

    def close(self) -> None:
        """Close the files. A later read reopens them."""
        for segment in self._segments:
            segment.close()
        self._segments, self._sealed, self._listed = [], [], None
        if self._folder_fd is not None:
            os.close(self._folder_fd)
            self._folder_fd = None

    def __del__(self) -> None:
        with contextlib.suppress(Exception):
            self.close()


def _sealed(segments: Sequence[StoredSegment]) -> Iterator[Span]:
    """Yield the extents of all segments but the last, with their ends.

    A segment that was dropped after it was listed leaves a gap. Listing again until none is dropped
    might never finish while a fast writer appends.
    """
    for one, following in pairwise(segments):
        with contextlib.suppress(Dropped):
            yield Span(one.start, min(one.start + one.sealed_size(), following.start), one)


class FileLogWriter(LogWriter):
    """Appends to the log in a run's folder, whose lock the caller holds.

    A writer that continues an existing log begins a new segment, so it never depends on what an earlier
    writer left unfinished. With `go_on`, the caller knows that nothing is unfinished, and the last segment
    is continued; with `new`, that the log is empty, and no segments are listed.
    """

    def __init__(
        self,
        directory: RunFiles,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        cap_bytes: int | None = CAP_BYTES,
        go_on: bool = False,
        new: bool = False,
    ) -> None:
        before = None if new else FileLog(directory.locate().path)
        spans: Sequence[Span] = () if before is None else before._extents()
        super().__init__(
            tail=spans[-1].end if spans else 0,
            lines=before.lines if before is not None and spans else 0,
            time_ns=before._last_time_ns() if before is not None and spans else 0,
            kept=[
                Segment(one.start, one.end - one.start, one.extent.record_count())
                for one in spans
                if one.start < spans[-1].end  # an empty one at the tail is where this writer begins
            ],
            segment_bytes=segment_bytes,
            cap_bytes=cap_bytes,
        )
        self._directory, self.name = directory, f"run {os.path.basename(directory.path)}"
        self._data: int | None = None
        self._index: int | None = None
        self._newest = -1  # the segment that is being written
        self._unsynced: set[int] = set()  # this one, and earlier ones not synced since they were finished
        if go_on and self._old and spans[-1].end > spans[-1].start and _is_whole(spans[-1]):
            self._go_on(self._old.pop())
        if before is not None:
            before.close()

    def _go_on(self, last: Segment) -> None:
        self._old_cost -= last.cost
        self._segment, self._size, self._records = last
        self._newest = last.start
        self._unsynced.add(last.start)

    def _path(self, start: int) -> str:
        return f"{self._directory.locate().log_path}/{segment_name(start)}"

    def _begin(self, start: int) -> None:
        self._directory.located(lambda: self._begin_here(start))

    def _begin_here(self, start: int) -> None:
        path = f"{self._directory.log_path}/{segment_name(start)}"
        # Records that an earlier writer left in the index of an empty segment describe no bytes.
        index = open_or_make(path + ".index", _O_WRITE | os.O_TRUNC)
        try:
            write_whole(index, header(start))
            data = open_or_make(path, _O_WRITE)
        except BaseException:
            os.close(index)
            os.unlink(path + ".index")  # else a full disk would collect empty files
            raise
        self._close_files()
        self._data, self._index = data, index
        self._newest = start
        self._unsynced.add(start)

    def _mark(self, start: int) -> None:
        # An empty file without an index: nothing more fits on a full disk.
        os.close(open_own(self._path(start), _O_WRITE))

    def _catch_up(self) -> None:
        if self._data is None or self._segment is None:
            return
        with open(self._path(self._segment), "rb") as file:
            data = file.read()
        self.tail, self._size = self._segment + len(data), len(data)
        self.lines = self._lines_before + count_lines(data)

    def park(self) -> None:
        """Close the files until the next append: an idle log needs no descriptors."""
        self._close_files()

    def _unpark(self) -> None:
        self._close_files()  # only one is open if the log was moved in between
        path = self._path(self._newest)
        self._index = open_own(path + ".index", _O_WRITE)
        self._data = open_own(path, _O_WRITE)

    def _write_record(self, record: bytes) -> None:
        if self._index is None:
            self._directory.located(self._unpark)
        assert self._index is not None
        write_whole(self._index, record)

    def _write(self, data: bytes | memoryview) -> int:
        if self._data is None:
            self._directory.located(self._unpark)
        assert self._data is not None
        return os.write(self._data, data)

    def _cut(self, size: int, records: int) -> None:
        if self._data is None or self._index is None:
            return  # they could not even be opened
        os.ftruncate(self._data, size)
        os.ftruncate(self._index, (records + 1) * RECORD_BYTES)  # behind the header

    def _drop(self, start: int) -> None:
        path = self._path(start)
        # The index last: it alone is ignored. The mark first: else the bytes would be away for a moment.
        for name in (path + AWAY, path, path + INDEX):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name)

    @property
    def unsynced(self) -> frozenset[int]:
        """The starts of the segments that may need a sync."""
        return frozenset(self._unsynced)

    def sync(self, *, outcome_follows: bool = False) -> None:
        """Sync all appends so far to the disk; `outcome_follows`: see `RunFiles.sync`.

        May block on the disk, so another thread may call it while this one appends.
        """
        self._directory.locate().sync(outcome_follows=outcome_follows)
        for start in list(self._unsynced):
            finished = start != self._newest
            sync_segment(self._directory.log_path, start)
            if finished:
                self._unsynced.discard(start)

    def _store_outcome(self, outcome: Outcome) -> None:
        self.sync(outcome_follows=True)
        self._directory.write_outcome(outcome)

    def _release(self) -> None:
        self._close_files()
        self._directory.release()

    def _close_files(self) -> None:
        fds = [fd for fd in (self._data, self._index) if fd is not None]
        self._data = self._index = None  # first: a process forked meanwhile must not close them again
        for fd in fds:
            os.close(fd)


def _is_whole(span: Span) -> bool:
    """Return whether the bytes are here, and all that the index describes: a power loss can remove some."""
    if span.extent.lines_to_end() is not None:
        return False
    _, last = span.extent.last_before(0, _ANY)
    return not span.extent.torn() and (last is None or last.offset <= span.end)
