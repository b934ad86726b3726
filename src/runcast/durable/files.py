"""Streams in files: each is a folder like a run's, so that whatever reads runs reads them, too.

    <store>/.streams/names/<hash>       a symbolic link to the id of the stream that has the name
    <store>/.streams/<id>/run.json      what it was made with
    <store>/.streams/<id>/log/          the bytes, as of any run; of a fork first its parent's, hard links
    <store>/.streams/<id>/outcome.json  it is closed
    <store>/.streams/<id>/append/       what only those look at who append: tail, journal, forks/<id>

Any process of the machine may append: a lock per stream, held for the time of one append. Whoever
takes it and was not the last one reads anew what is there, and mends what a killed one left.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import shutil
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from runcast.durable.journal import Journal
from runcast.durable.pending import Pending, PendingFile
from runcast.durable.stream import Busy, Settings, State, Stream, channel_of, ended
from runcast.durable.stream_log import StreamLog, cut_back, link_segments
from runcast.durable.streams import Streams
from runcast.durable.sync import Syncer
from runcast.errors import StreamFull, StreamNotFound
from runcast.ids import is_run_id
from runcast.log import FileLogWriter, RunDirectory
from runcast.wire.durable import Appending

__all__ = ["FileStreams"]

FORMAT = 1
_OPEN_STREAMS = 64  # with four descriptors each
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_ABANDONED = 3600.0  # seconds after which what was never finished is swept away
_SWEEP_SECONDS = 60.0
_GONE = "gone-"


class _FileStream(Stream):
    def __init__(
        self, path: str, settings: Settings, *, gone: bool, appended: Callable[[_FileStream], None]
    ) -> None:
        super().__init__(settings)
        self._appended = appended
        self.path = path
        self.gone = gone
        self.directory = RunDirectory(path)
        self._mutex = threading.Lock()
        self._pid = os.getpid()
        self._token = secrets.randbits(63) | 1
        self._pending: PendingFile | None = None
        self._journal = Journal(f"{path}/append/journal")
        self._writer: FileLogWriter | None = None
        self._kept = State()
        self._known = False  # the state and the writer are those of the last append

    def open_log(self) -> StreamLog:
        return StreamLog(self.path)

    @property
    def used_at(self) -> float:
        try:
            return os.stat(f"{self.path}/append/tail").st_mtime
        except FileNotFoundError:
            return 0.0

    def touch(self) -> None:
        if self.settings.ttl is not None:
            with contextlib.suppress(OSError):
                os.utime(f"{self.path}/append/tail")

    def settle(self) -> None:
        if not os.path.isdir(self.path):
            raise StreamNotFound(self.settings.name)

    @property
    def forks(self) -> int:
        folder = f"{self.path}/append/forks"
        try:
            names = os.listdir(folder)
        except FileNotFoundError:
            return 0
        above = os.path.dirname(self.path)
        alive = 0
        for name in names:
            if os.path.isdir(f"{above}/{name}") or os.path.isdir(f"{above}/.new-{name}"):
                alive += 1
            else:  # whoever made or removed it was killed in the middle
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(f"{folder}/{name}")
        return alive

    @property
    def _state(self) -> State:
        return self._kept

    @property
    def _tail(self) -> int:
        assert self._writer is not None
        return self._writer.tail

    @contextmanager
    def _held(self, *, wait: bool) -> Iterator[None]:
        if not self._mutex.acquire(blocking=wait):
            raise Busy
        try:
            if self._pid != os.getpid():  # a fork shares the lock with its parent: let go of it
                self.forget()
                self._pid, self._token = os.getpid(), secrets.randbits(63) | 1
            try:
                pending = self._pending = self._pending or PendingFile(f"{self.path}/append/tail")
            except FileNotFoundError:
                raise StreamNotFound(self.settings.name) from None
            if not pending.lock(wait=wait):
                raise Busy
            try:
                self._look(pending)
                yield
            finally:
                if pending.fd >= 0:  # it was not deleted in the block
                    pending.unlock()
        finally:
            self._mutex.release()

    def _look(self, pending: PendingFile) -> None:
        """Find out what the last append left, unless it was ours."""
        last = pending.read()
        if self._known and last.token == self._token:
            return
        self.settle()
        self._known = False
        if self._writer is not None:
            self._writer.park()
        whole = cut_back(self.directory, last)
        self._writer = FileLogWriter(self.directory, cap_bytes=None, go_on=whole)
        tail = self._writer.tail
        self._kept = self._journal.load(tail)
        told = os.path.exists(f"{self.path}/outcome.json")
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
            if error.errno in _FULL:
                raise StreamFull(start) from None
            raise
        self._kept.take(ask)
        self._appended(self)
        if ask.close:
            try:
                writer.close(ended())
            except OSError as error:  # it is in the journal: whoever comes next closes it
                if error.errno in _FULL:
                    raise StreamFull(start) from None
                raise
        self._known = True

    def sync(self) -> None:
        """Have what was appended survive a power loss."""
        writer = self._writer
        if writer is not None:
            writer.sync()
        with contextlib.suppress(OSError):  # deleted meanwhile, or a stream without a journal
            fd = os.open(f"{self.path}/append/journal", os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)

    def forget(self) -> None:
        """Close the files; the next append opens them again. The caller sees that nobody appends."""
        self._known = False
        self._journal.close()
        if self._writer is not None:
            self._writer.park()
            self._writer = None
        if self._pending is not None:
            self._pending.close()
            self._pending = None

    def rest(self) -> bool:
        """Close the files unless somebody appends just now; return whether that was done."""
        if not self._mutex.acquire(blocking=False):
            return False
        try:
            self.forget()
        finally:
            self._mutex.release()
        return True


class FileStreams(Streams):
    """The streams in a store's folder."""

    def __init__(self, store: str) -> None:
        self.path = f"{store}/.streams"
        self._open: OrderedDict[str, _FileStream] = OrderedDict()
        self._lock = threading.Lock()
        self._syncer = Syncer()
        self._swept = time.monotonic()

    def __repr__(self) -> str:
        return f"<FileStreams {self.path}>"

    def _link(self, name: str) -> str:
        digest = hashlib.blake2b(name.encode(), digest_size=20).hexdigest()
        return f"{self.path}/names/{digest}"

    def _find(self, name: str) -> _FileStream | None:
        try:
            target = os.readlink(self._link(name))
        except OSError:
            return None
        gone = target.startswith(_GONE)
        return self._of_id(target.removeprefix(_GONE), gone=gone)

    def _of_id(self, stream_id: str, *, gone: bool = False) -> _FileStream | None:
        with self._lock:
            stream = self._open.get(stream_id)
            if stream is not None:
                stream.gone = gone
                self._open.move_to_end(stream_id)
                return stream
        path = f"{self.path}/{stream_id}"
        try:
            request = RunDirectory(path).request()
        except (FileNotFoundError, NotADirectoryError):
            return None
        stream = _FileStream(path, Settings.from_json(request), gone=gone, appended=self._syncer.note)
        with self._lock:
            stream = self._open.setdefault(stream_id, stream)
            while len(self._open) > _OPEN_STREAMS:
                oldest = next(iter(self._open))
                if not self._open[oldest].rest():
                    break
                del self._open[oldest]
        return stream

    def by_id(self, stream_id: str) -> Stream | None:
        """Return the stream with an id, if it still is the one of its name."""
        stream = self._of_id(stream_id) if is_run_id(stream_id) else None
        if stream is None:
            return None
        now = self._find(stream.settings.name)
        return None if now is None or now.id != stream_id or now.gone or now.expired else now

    def _make(
        self, settings: Settings, parent: Stream | None, offset: int, data: bytes, *, closed: bool
    ) -> Stream | None:
        os.makedirs(f"{self.path}/names", 0o700, exist_ok=True)
        self._sweep()
        draft, path = f"{self.path}/.new-{settings.id}", f"{self.path}/{settings.id}"
        try:
            directory = RunDirectory.create(draft, _request(settings))
            os.makedirs(f"{draft}/append/forks", 0o700)
            if parent is not None:
                assert isinstance(parent, _FileStream)
                _touch(f"{parent.path}/append/forks/{settings.id}")
                link_segments(parent.directory, directory, offset)
            writer = FileLogWriter(directory, cap_bytes=None)
            if data:
                writer.append_whole(channel_of(settings), data)
            tail = PendingFile(f"{draft}/append/tail", create=True)
            tail.write(Pending(0, writer.tail, writer.tail))
            tail.close()
            writer.close(ended()) if closed else writer.park()
            os.rename(draft, path)
            try:
                os.symlink(settings.id, self._link(settings.name))
            except FileExistsError:
                self._purge(path, settings, cascade=False)  # the parent is locked just now
                return None
        except OSError as error:
            shutil.rmtree(draft, ignore_errors=True)
            if error.errno in _FULL:
                raise StreamFull(offset) from None
            raise
        return self._of_id(settings.id)

    def _remove(self, stream: Stream) -> None:
        assert isinstance(stream, _FileStream)
        link = self._link(stream.settings.name)
        with contextlib.suppress(StreamNotFound), stream.still():
            if stream.forks:
                _relink(_GONE + stream.id, link)
                stream.gone = True
                return
            with contextlib.suppress(FileNotFoundError):
                if os.readlink(link).removeprefix(_GONE) == stream.id:
                    os.unlink(link)
            stream.forget()
            self._purge(stream.path, stream.settings)
        with self._lock:
            self._open.pop(stream.id, None)

    def _purge(self, path: str, settings: Settings, *, cascade: bool = True) -> None:
        """Remove the folder of a stream that has no name any more, and its parent if it waited for that."""
        hidden = f"{self.path}/.gone-{settings.id}"
        with contextlib.suppress(FileNotFoundError):
            os.rename(path, hidden)
        shutil.rmtree(hidden, ignore_errors=True)
        for draft in (f"{self.path}/.outcome-{settings.id}", f"{self.path}/.outcome-.new-{settings.id}"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(draft)
        if settings.parent is None or not is_run_id(settings.parent):
            return
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{self.path}/{settings.parent}/append/forks/{settings.id}")
        if not cascade:
            return
        parent = self._of_id(settings.parent, gone=self._is_gone(settings.parent, settings.forked_from))
        if parent is not None and parent.gone and not parent.forks:
            self._remove(parent)

    def _is_gone(self, stream_id: str, name: str | None) -> bool:
        with contextlib.suppress(OSError):
            return name is not None and os.readlink(self._link(name)) == _GONE + stream_id
        return False

    def names(self) -> Iterator[str]:
        """Yield the names of all streams, in no order."""
        for settings in self._settings():
            link = self._link(settings.name)
            with contextlib.suppress(OSError):
                if os.readlink(link) == settings.id:
                    yield settings.name

    def _settings(self) -> Iterator[Settings]:
        try:
            found = os.listdir(self.path)
        except FileNotFoundError:
            return
        for stream_id in found:
            if is_run_id(stream_id):
                with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                    yield Settings.from_json(RunDirectory(f"{self.path}/{stream_id}").request())

    def _sweep(self) -> None:
        """Now and then, delete what has expired and what was never finished."""
        now = time.monotonic()
        if now - self._swept < _SWEEP_SECONDS:
            return
        self._swept = now
        threading.Thread(target=self.sweep, name="runcast-streams-sweep", daemon=True).start()

    def sweep(self) -> None:
        """Delete what has expired, and what was left by who was killed making or deleting a stream."""
        for settings in list(self._settings()):
            stream = self._find(settings.name)
            if stream is not None and stream.id == settings.id:
                if stream.expired and not stream.gone:
                    self._remove(stream)
            elif time.time() - settings.created_at > _ABANDONED:
                self._purge(f"{self.path}/{settings.id}", settings)
        for entry in os.scandir(self.path):
            if entry.name.startswith((".new-", ".gone-", ".outcome-")):
                with contextlib.suppress(OSError):
                    if time.time() - entry.stat().st_mtime > _ABANDONED:
                        shutil.rmtree(entry.path) if entry.is_dir() else os.unlink(entry.path)

    def close(self) -> None:
        """Close all files. The streams are untouched."""
        self._syncer.close()
        with self._lock:
            for stream in self._open.values():
                stream.rest()
            self._open.clear()


def _request(settings: Settings) -> dict[str, object]:
    """Return what `run.json` holds: the stream's settings, and what every run has."""
    return {"format": FORMAT, "source": "stream", "command": [], **settings.to_json()}


def _touch(path: str) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))


def _relink(target: str, link: str) -> None:
    draft = f"{link}-{secrets.token_hex(4)}"
    os.symlink(target, draft)
    os.rename(draft, link)
