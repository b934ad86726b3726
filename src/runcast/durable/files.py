"""Streams in files: each is a folder like a run's, so that all code that reads runs can read them.

    <store>/.streams/names/<hash>       a symbolic link to the id of the stream of that name
    <store>/.streams/<id>/run.json      its settings
    <store>/.streams/<id>/log/          its bytes, as for a run; a fork begins with hard links to its parent's
    <store>/.streams/<id>/outcome.json  exists if it is closed
    <store>/.streams/<id>/append/       the files for appending: tail, journal, forks/<id>

Any process of the machine may append: each stream has a lock, which is held during an append.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import secrets
import shutil
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator

from runcast import loggers
from runcast.durable.file_stream import FULL, FileStream
from runcast.durable.first_bytes import request_of, write_first
from runcast.durable.stream import Settings, Stream, channel_of
from runcast.durable.stream_log import link_segments
from runcast.durable.streams import Streams
from runcast.errors import FileDamaged, StoreUnusable, StreamElsewhere, StreamFull, StreamNotFound
from runcast.ids import is_run_id
from runcast.log.sync import Syncer
from runcast.own_thread import Background
from runcast.store.links import is_shared
from runcast.store.run_files import RunFiles
from runcast.supervisor.shared_streams import claim_stream, free_stream, host_of_stream
from runcast.sysio.files import create, folder, is_folder, names_in, remove
from runcast.sysio.forks import note_forks

__all__ = ["FileStreams"]

_OPEN_STREAMS = 64  # with four descriptors each
_ABANDONED = 3600.0  # seconds after which unfinished streams are swept
_SWEEP_SECONDS = 60.0
_GONE = "gone-"


class FileStreams(Streams):
    """The streams in a store's folder."""

    def __init__(self, store: str) -> None:
        super().__init__()
        self._store = store
        self.path = f"{store}/.streams"
        self._open: OrderedDict[str, FileStream] = OrderedDict()
        self._lock = threading.Lock()
        self._syncer = Syncer()
        self._swept = time.monotonic()
        note_forks(self)

    def __repr__(self) -> str:
        return f"<FileStreams {self.path}>"

    def in_child(self) -> None:
        """Replace the lock in a forked process: a thread of the parent may have held it."""
        self._lock = threading.Lock()

    def _link(self, name: str) -> str:
        return f"{self.path}/names/{_digest(name)}"

    def _find(self, name: str) -> FileStream | None:
        try:
            target = os.readlink(self._link(name))
        except OSError:
            return None
        gone = target.startswith(_GONE)
        return self._of_id(target.removeprefix(_GONE), gone=gone)

    def _of_id(self, stream_id: str, *, gone: bool = False) -> FileStream | None:
        with self._lock:
            stream = self._open.get(stream_id)
            if stream is not None:
                stream.gone = gone
                self._open.move_to_end(stream_id)
                return stream
        if not is_run_id(stream_id):  # not a link that runcast made
            return None
        path = f"{self.path}/{stream_id}"
        try:
            settings = _settings_in(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        stream = FileStream(path, settings, self.caps, gone=gone, appended=self._syncer.note)
        with self._lock:
            stream = self._open.setdefault(stream_id, stream)
            while len(self._open) > _OPEN_STREAMS:
                oldest = next(iter(self._open))
                if not self._open[oldest].close_if_idle():
                    break
                del self._open[oldest]
        return stream

    def knows(self, name: str) -> bool:
        """Return whether it is here, or on no other host, since the store is not shared."""
        try:
            return not is_shared(self._store) or os.path.lexists(self._link(name))
        except UnicodeEncodeError:  # which is no name
            return True

    def get(self, name: str) -> Stream:
        """Return the stream of a name.

        Raises:
            UsageError, StreamNotFound, StreamGone: see `Streams.get`.
            StreamElsewhere: it is on another host of a shared store.
        """
        try:
            return super().get(name)
        except StreamNotFound:
            if (host := host_of_stream(self._store, _digest(name))) is not None:
                raise StreamElsewhere(name, host) from None
            raise

    def by_id(self, stream_id: str) -> FileStream | None:
        """Return the stream with an id, for reading, if it still has its name."""
        if not is_run_id(stream_id):
            return None
        path = f"{self.path}/{stream_id}"
        try:
            settings = _settings_in(path)
            if os.readlink(self._link(settings.name)) != stream_id:
                return None
        except (OSError, StoreUnusable):
            return None
        # Not put into `_open`, whose limited size is for streams that are appended to.
        stream = FileStream(path, settings, self.caps, gone=False, appended=self._syncer.note)
        return None if stream.expired else stream

    def damaged(self, stream_id: str) -> bool:
        """Return whether the settings of a stream cannot be read, so that its name is unknown."""
        try:
            _settings_in(f"{self.path}/{stream_id}")
        except StoreUnusable:
            return True
        except OSError:
            pass
        return False

    def list(self, before: str | None = None) -> Iterator[FileStream]:
        """Yield the streams for reading, newest first; each is opened only when it is yielded.

        Args:
            before: yield only streams older than this id.
        """
        for stream_id in sorted(self.ids(), reverse=True):
            if (before is None or stream_id < before) and (stream := self.by_id(stream_id)) is not None:
                yield stream

    def ids(self) -> Iterator[str]:
        """Yield the ids of all streams, in no order, including those that are gone or have expired."""
        if not is_folder(self.path):
            return
        with contextlib.suppress(FileNotFoundError), os.scandir(self.path) as entries:
            for entry in entries:
                if is_run_id(entry.name) and entry.is_dir(follow_symlinks=False):
                    yield entry.name

    def delete_id(self, stream_id: str) -> None:
        """Delete the stream with an id.

        Raises:
            StreamNotFound: there is no such stream.
        """
        if is_run_id(stream_id) and self.damaged(stream_id):
            return self._discard(stream_id)
        seen = self.by_id(stream_id)
        stream = None if seen is None else self._find(seen.settings.name)
        if stream is None or stream.id != stream_id or stream.gone:
            raise StreamNotFound(stream_id)
        try:
            self._remove(stream)
        except StoreUnusable:
            self._discard(stream_id)

    def delete(self, name: str) -> None:
        """Delete the stream of a name, however damaged it is.

        Raises:
            UsageError, StreamNotFound, StreamGone: see `get`.
        """
        try:
            super().delete(name)
        except (StoreUnusable, StreamNotFound) as error:
            with contextlib.suppress(OSError):  # no such name
                stream_id = os.readlink(self._link(name)).removeprefix(_GONE)
                lost = not is_folder(f"{self.path}/{stream_id}")  # else a new one was created just now
                if is_run_id(stream_id) and (lost or isinstance(error, StoreUnusable)):
                    return self._discard(stream_id)
            raise

    def _measure(self) -> int:
        counted, size = set(), 0
        for stream_id in self.ids():
            with contextlib.suppress(OSError), os.scandir(folder(f"{self.path}/{stream_id}/log")) as files:
                for file in files:
                    status = file.stat(follow_symlinks=False)
                    if status.st_nlink > 1:  # shared by a fork and its parent
                        if status.st_ino in counted:
                            continue
                        counted.add(status.st_ino)
                    size += status.st_size
        return size

    def _make(
        self, settings: Settings, parent: Stream | None, offset: int, data: bytes, *, closed: bool
    ) -> Stream | None:
        if (host := claim_stream(self._store, _digest(settings.name))) is not None:
            raise StreamElsewhere(settings.name, host)
        folder(self.path, make=True)
        folder(f"{self.path}/names", make=True)
        self._sweep()
        draft, path = f"{self.path}/.new-{settings.id}", f"{self.path}/{settings.id}"
        try:
            directory = RunFiles.create(draft, request_of(settings))
            os.makedirs(f"{draft}/append/forks", 0o700)
            if parent is not None:
                assert isinstance(parent, FileStream)
                # The folder may be missing: some ways to copy a store omit empty folders.
                _touch(f"{folder(f'{parent.path}/append/forks', make=True)}/{settings.id}")
                link_segments(parent.directory, directory, offset)
            write_first(directory, channel_of(settings), data, closed=closed)
            os.rename(draft, path)
            try:
                os.symlink(settings.id, self._link(settings.name))
            except OSError as error:
                self._purge(path, settings, cascade=False)  # the caller holds the parent's lock
                if isinstance(error, FileExistsError):
                    return None
                raise
        except OSError as error:
            shutil.rmtree(draft, ignore_errors=True)
            if self._find(settings.name) is None:
                free_stream(self._store, _digest(settings.name))
            if error.errno in FULL:
                raise StreamFull(offset) from None
            raise
        made = self._of_id(settings.id)
        if made is not None:
            made.begun(offset if data else None)
        return made

    def _remove(self, stream: Stream) -> None:
        assert isinstance(stream, FileStream)
        link = self._link(stream.settings.name)
        with contextlib.suppress(StreamNotFound), stream.locked():
            if stream.forks:
                _relink(_GONE + stream.id, link)
                stream.gone = True
                return
            with contextlib.suppress(FileNotFoundError):
                if os.readlink(link).removeprefix(_GONE) == stream.id:
                    os.unlink(link)
                    free_stream(self._store, os.path.basename(link))
            stream.close_files()
            self._purge(stream.path, stream.settings)
        with self._lock:
            self._open.pop(stream.id, None)

    def _discard(self, stream_id: str) -> None:
        """Remove a stream by its folder, without its settings; its forks keep the bytes."""
        for name in names_in(f"{self.path}/names"):
            with contextlib.suppress(OSError):
                if os.readlink(f"{self.path}/names/{name}").removeprefix(_GONE) == stream_id:
                    os.unlink(f"{self.path}/names/{name}")
                    free_stream(self._store, name)
        with self._lock:
            self._open.pop(stream_id, None)
        self._purge(f"{self.path}/{stream_id}", Settings(stream_id, ""))

    def _purge(self, path: str, settings: Settings, *, cascade: bool = True) -> None:
        """Remove the folder of a stream without a name; its parent, too, if that is gone and has no fork."""
        hidden = f"{self.path}/.gone-{settings.id}"
        with contextlib.suppress(FileNotFoundError):
            os.rename(path, hidden)
        with contextlib.suppress(OSError):  # if it is not a folder: rmtree would block on a FIFO
            os.unlink(hidden)
        shutil.rmtree(hidden, ignore_errors=True)
        self.caps.deleted()
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
        for stream_id in self.ids():
            with contextlib.suppress(OSError, StoreUnusable):
                yield _settings_in(f"{self.path}/{stream_id}")

    def _sweep(self) -> None:
        """From time to time, delete expired and unfinished streams in the background."""
        now = time.monotonic()
        if now - self._swept < _SWEEP_SECONDS:
            return
        self._swept = now
        with contextlib.suppress(RuntimeError):  # no thread can be started: try later
            Background(target=self.sweep, name="runcast-streams-sweep").start()

    def sweep(self) -> None:
        """Delete expired streams, and those whose creation or deletion was interrupted."""
        loggers.debug("store", "sweep of the streams in %s", self.path)
        for settings in list(self._settings()):
            with contextlib.suppress(OSError, StoreUnusable):  # damaged streams are left for users to delete
                self._sweep_one(settings)
        for name in names_in(self.path):
            if name.startswith((".new-", ".gone-", ".outcome-")):
                path = f"{self.path}/{name}"
                with contextlib.suppress(OSError):
                    if time.time() - os.lstat(path).st_mtime > _ABANDONED:
                        remove(path)

    def _sweep_one(self, settings: Settings) -> None:
        stream = self._find(settings.name)
        if stream is not None and stream.id == settings.id:
            if stream.expired and not stream.gone:
                self._remove(stream)
        elif time.time() - settings.created_at > _ABANDONED:
            self._purge(f"{self.path}/{settings.id}", settings)

    def close(self) -> None:
        """Close all files. The streams are untouched."""
        self._syncer.sync()
        with self._lock:
            for stream in self._open.values():
                stream.close_if_idle()
            self._open.clear()


@functools.lru_cache(256)
def _digest(name: str) -> str:
    return hashlib.blake2b(name.encode(), digest_size=20).hexdigest()


def _touch(path: str) -> None:
    os.close(create(path, os.O_WRONLY))


def _settings_in(path: str) -> Settings:
    """Return the settings of the stream in a folder.

    Raises:
        FileNotFoundError, NotADirectoryError: there is no such folder.
        FileDamaged, FormatTooNew: they cannot be read.
    """
    if not is_folder(path):
        raise FileNotFoundError(path)
    settings = Settings.from_json(RunFiles(path).request(), f"{path}/run.json")
    if settings.id != os.path.basename(path):
        raise FileDamaged(f"{path}/run.json: expected the id of its folder, got {settings.id!r:.60}")
    return settings


def _relink(target: str, link: str) -> None:
    draft = f"{link}-{secrets.token_hex(4)}"
    os.symlink(target, draft)
    os.rename(draft, link)
