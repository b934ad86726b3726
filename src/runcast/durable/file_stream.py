"""One stream in files: its append lock, and recovery from an append that was interrupted.

Owns the order of writes in an append: its range (pending.py), its change of the state (journal.py),
then the bytes. A process that takes the lock after another one has appended reloads the state. A
forked process drops its parent's lock and appends with its own.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import threading
from collections.abc import Callable

from runcast import loggers
from runcast.durable.caps import Caps
from runcast.durable.journal import Journal
from runcast.durable.pending import Pending, PendingFile
from runcast.durable.stream import AppendState, Busy, Settings, Stream, ended
from runcast.durable.stream_log import StreamLog, cut_back
from runcast.errors import FileDamaged, StreamFull, StreamNotFound
from runcast.log import FileLogWriter
from runcast.log.segments import sync_segment
from runcast.store.run_files import RunFiles
from runcast.sysio.files import is_folder, names_in, open_own
from runcast.sysio.forks import note_forks
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
        self.directory = RunFiles(path)
        self._mutex = threading.Lock()
        self._token = secrets.randbits(63) | 1
        self._pending: PendingFile | None = None
        self._journal = Journal(f"{path}/append/journal")
        self._writer: FileLogWriter | None = None
        self._unsynced: set[int] = set()  # segments of earlier writers
        self._kept = AppendState()
        self._known = False  # the state and the writer are current: the last append was made here
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

    def check_exists(self) -> None:
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
            else:  # the process that created or removed it was killed meanwhile
                with contextlib.suppress(OSError):
                    os.unlink(f"{folder}/{name}")
        return alive

    @property
    def _state(self) -> AppendState:
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
                self.check_exists()
                raise FileDamaged(f"{self.path}/append/tail: expected a file, it is missing") from None
            if not pending.lock(wait=wait):
                raise Busy
            try:
                self._load(pending)
            except BaseException:
                pending.unlock()
                raise
        except BaseException:
            self._mutex.release()
            raise

    def _free(self) -> None:
        try:
            if self._pending is not None:  # None if the stream was deleted meanwhile
                self._pending.unlock()
        finally:
            self._mutex.release()

    def _load(self, pending: PendingFile) -> None:
        """Load the state after the last append, unless this object made it."""
        last = pending.read()
        if self._known and last.token == self._token:
            return
        self.check_exists()
        self._known = False
        self._park()
        whole = cut_back(self.directory, last)
        self._writer = FileLogWriter(self.directory, cap_bytes=None, go_on=whole)
        tail = self._writer.tail
        self._kept = self._journal.load(tail)
        has_outcome = self.directory.ended
        if self._kept.closed and not has_outcome:  # killed between the journal and the outcome
            self._writer.close(ended())
        self._kept.closed = self._kept.closed or has_outcome
        pending.write(Pending(self._token, tail, tail))
        self._known = True

    def _append(self, params: Appending, data: bytes) -> None:
        writer, pending = self._writer, self._pending
        assert writer is not None
        assert pending is not None
        start = writer.tail
        journal_size = self._journal.size
        self._known = False
        try:
            if params.producer is not None or params.seq is not None or params.close:
                self._journal.compact(self._kept, start)
                journal_size = self._journal.size
            pending.write(Pending(self._token, start, start + len(data)))
            if params.producer is not None or params.seq is not None or params.close:
                self._journal.write(params, start + len(data))
            if data:
                writer.append_whole(self.channel, data)
        except OSError as error:
            self._journal.truncate(journal_size)
            pending.write(Pending(self._token, start, start))
            self._known = True
            if error.errno in FULL:
                loggers.warning("store", "%s: there is no room for an append: %s", self.path, error.strerror)
                raise StreamFull(start) from None
            raise
        self._kept.apply(params)
        self._appended(self)
        if params.close:
            try:
                writer.close(ended())
            except OSError as error:  # the journal has it: the next process to take the lock closes the log
                if error.errno in FULL:
                    raise StreamFull(start) from None
                raise
        self._known = True

    def begun(self, start: int | None) -> None:
        """Schedule a sync of a new stream, whose first bytes, if any, are in the segment at `start`."""
        if start is not None:
            self._unsynced.add(start)
        self._appended(self)

    def sync(self) -> None:
        """Sync the stream, with all appends so far, to the disk."""
        self.directory.sync()
        writer = self._writer
        if writer is not None:
            writer.sync()
        while self._unsynced:
            with contextlib.suppress(KeyError):  # another thread took the last one
                sync_segment(self.directory.log_path, self._unsynced.pop())
        with contextlib.suppress(OSError):  # deleted meanwhile, or a stream without a journal
            fd = open_own(f"{self.path}/append/journal", os.O_RDONLY)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)

    def close_files(self) -> None:
        """Close the files; the next append reopens them. The caller prevents concurrent appends."""
        self._known = False
        self._journal.close()
        self._park()
        if self._pending is not None:
            self._pending.close()
            self._pending = None

    def _park(self) -> None:
        if self._writer is not None:
            self._writer.park()
            # Before the writer is dropped: a thread that syncs meanwhile sees one or the other.
            self._unsynced |= self._writer.unsynced
            self._writer = None

    def in_child(self) -> None:
        """Drop what a forked process shares with its parent: the lock and the writer."""
        self._mutex = threading.Lock()  # a thread of the parent may have held it
        self.close_files()
        self._unsynced = set()  # the parent syncs these
        self._token = secrets.randbits(63) | 1

    def __del__(self) -> None:
        with contextlib.suppress(Exception):
            self.close_files()

    def close_if_idle(self) -> bool:
        """Close the files unless an append is in progress; return whether they were closed."""
        if not self._mutex.acquire(blocking=False):
            return False
        try:
            self.close_files()
        finally:
            self._mutex.release()
        return True
