"""One stream in files: its append lock, and what an append that was killed leaves to be mended.

Owns the order in which an append is made: where it is to reach (pending.py), what it changes
(journal.py), then the bytes. Whoever takes the lock and was not the last to append reads anew what
is there. A process that was forked lets go of its parent's lock, and is another appender.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import threading
from collections.abc import Callable

from runcast.durable.caps import Caps
from runcast.durable.journal import Journal
from runcast.durable.pending import Pending, PendingFile
from runcast.durable.stream import Busy, Settings, State, Stream, ended
from runcast.durable.stream_log import StreamLog, cut_back
from runcast.errors import FileDamaged, StreamFull, StreamNotFound
from runcast.forked import note_forks
from runcast.log import FileLogWriter, RunDirectory
from runcast.log.file import sync_segment
from runcast.sysio import is_folder, names_in, open_own
from runcast.wire.durable import Appending

__all__ = ["FULL", "FileStream"]

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class FileStream(Stream):
    def __init__(
        self,
        path: str,
        settings: Settings,
        caps: Caps,
        *,
        gone: bool,
        appended: Callable[[FileStream], None],
    ) -> None:
        super().__init__(settings, caps)
        self._appended = appended
        self.path = path
        self.gone = gone
        self.directory = RunDirectory(path)
        self._mutex = threading.Lock()
        self._token = secrets.randbits(63) | 1
        self._pending: PendingFile | None = None
        self._journal = Journal(f"{path}/append/journal")
        self._writer: FileLogWriter | None = None
        self._unsynced: set[int] = set()  # segments of writers before it
        self._kept = State()
        self._known = False  # the state and the writer are those of the last append
        note_forks(self)

    def open_log(self) -> StreamLog:
        return StreamLog(self.path)

    @property
    def used_at(self) -> float:
        try:
            return os.lstat(f"{self.path}/append/tail").st_mtime
        except OSError:
            return 0.0

    def touch(self) -> None:
        if self.settings.ttl is not None:
            with contextlib.suppress(OSError):
                os.utime(f"{self.path}/append/tail", follow_symlinks=False)

    def settle(self) -> None:
        if not is_folder(self.path):
            raise StreamNotFound(self.settings.name)

    @property
    def forks(self) -> int:
        folder = f"{self.path}/append/forks"
        names = list(names_in(folder))
        above = os.path.dirname(self.path)
        alive = 0
        for name in names:
            if os.path.isdir(f"{above}/{name}") or os.path.isdir(f"{above}/.new-{name}"):
                alive += 1
            else:  # whoever made or removed it was killed in the middle
                with contextlib.suppress(OSError):
                    os.unlink(f"{folder}/{name}")
        return alive

    @property
    def _state(self) -> State:
        return self._kept

    @property
    def _tail(self) -> int:
        assert self._writer is not None
        return self._writer.tail

    def _hold(self, *, wait: bool) -> None:
        if not self._mutex.acquire(blocking=wait):
            raise Busy
        try:
            try:
                pending = self._pending = self._pending or PendingFile(f"{self.path}/append/tail")
            except FileNotFoundError:
                self.settle()
                raise FileDamaged(f"{self.path}/append/tail: expected a file, it is missing") from None
            if not pending.lock(wait=wait):
                raise Busy
            try:
                self._look(pending)
            except BaseException:
                pending.unlock()
                raise
        except BaseException:
            self._mutex.release()
            raise

    def _free(self) -> None:
        try:
            if self._pending is not None:  # it was not deleted meanwhile
                self._pending.unlock()
        finally:
            self._mutex.release()

    def _look(self, pending: PendingFile) -> None:
        """Find out what the last append left, unless it was ours."""
        last = pending.read()
        if self._known and last.token == self._token:
            return
        self.settle()
        self._known = False
        self._park()
        whole = cut_back(self.directory, last)
        self._writer = FileLogWriter(self.directory, cap_bytes=None, go_on=whole)
        tail = self._writer.tail
        self._kept = self._journal.load(tail)
        told = self.directory.ended
        if self._kept.closed and not told:  # killed between the journal and the outcome
            self._writer.close(ended())
        self._kept.closed = self._kept.closed or told
        pending.write(Pending(self._token, tail, tail))
        self._known = True

    def _append(self, ask: Appending, data: bytes) -> None:
        writer, pending = self._writer, self._pending
        assert writer is not None
        assert pending is not None
        start = writer.tail
        mark = self._journal.size
        self._known = False
        try:
            if ask.producer is not None or ask.seq is not None or ask.close:
                self._journal.shorten(self._kept, start)
                mark = self._journal.size
            pending.write(Pending(self._token, start, start + len(data)))
            if ask.producer is not None or ask.seq is not None or ask.close:
                self._journal.write(ask, start + len(data))
            if data:
                writer.append_whole(self.channel, data)
        except OSError as error:
            self._journal.cut(mark)
            pending.write(Pending(self._token, start, start))
            self._known = True
            if error.errno in FULL:
                raise StreamFull(start) from None
            raise
        self._kept.take(ask)
        self._appended(self)
        if ask.close:
            try:
                writer.close(ended())
            except OSError as error:  # it is in the journal: whoever comes next closes it
                if error.errno in FULL:
                    raise StreamFull(start) from None
                raise
        self._known = True

    def begun(self, start: int | None) -> None:
        """Note that it was made, with bytes in the segment that begins at `start` if there are some."""
        if start is not None:
            self._unsynced.add(start)
        self._appended(self)

    def sync(self) -> None:
        """Have the stream, and what was appended to it, survive a power loss."""
        self.directory.sync()
        writer = self._writer
        if writer is not None:
            writer.sync()
        while self._unsynced:
            with contextlib.suppress(KeyError):  # another thread, which ends, took it
                sync_segment(self.directory, self._unsynced.pop())
        with contextlib.suppress(OSError):  # deleted meanwhile, or a stream without a journal
            fd = open_own(f"{self.path}/append/journal", os.O_RDONLY)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)

    def forget(self) -> None:
        """Close the files; the next append opens them again. The caller sees that nobody appends."""
        self._known = False
        self._journal.close()
        self._park()
        if self._pending is not None:
            self._pending.close()
            self._pending = None

    def _park(self) -> None:
        if self._writer is not None:
            self._writer.park()
            # Before the writer is gone: a thread that syncs meanwhile sees one or the other.
            self._unsynced |= self._writer.unsynced
            self._writer = None

    def in_child(self) -> None:
        """Let go of what a forked process shares with its parent: the lock, the place in the log."""
        self._mutex = threading.Lock()  # whoever held it is not in this process
        self.forget()
        self._unsynced = set()  # is the parent's to sync
        self._token = secrets.randbits(63) | 1

    def __del__(self) -> None:
        with contextlib.suppress(Exception):
            self.forget()

    def rest(self) -> bool:
        """Close the files unless somebody appends just now; return whether that was done."""
        if not self._mutex.acquire(blocking=False):
            return False
        try:
            self.forget()
        finally:
            self._mutex.release()
        return True
