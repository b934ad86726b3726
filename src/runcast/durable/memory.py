"""Streams in this process's memory: for tests, and for data that need not outlive a server."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

from runcast.durable.caps import Caps
from runcast.durable.stream import AppendState, Busy, Settings, Stream, ended
from runcast.durable.streams import Streams
from runcast.errors import StreamNotFound
from runcast.log.memory import MemoryLog, MemoryLogWriter
from runcast.wire.durable import Appending

__all__ = ["MemoryStreams"]


class _MemoryStream(Stream):
    def __init__(self, settings: Settings, caps: Caps, parent: _MemoryStream | None, offset: int) -> None:
        super().__init__(settings, caps)
        self.parent = parent
        self.children = 0
        self.removed = False
        self._log: MemoryLog = MemoryLog() if parent is None else parent._log.fork(offset)
        self._writer = MemoryLogWriter(self._log, cap_bytes=None)
        self._kept = AppendState()
        self._lock = threading.Lock()
        self._used_at = time.time()

    def open_log(self) -> MemoryLog:
        return self._log

    @property
    def used_at(self) -> float:
        return self._used_at

    def touch(self) -> None:
        self._used_at = time.time()

    def check_exists(self) -> None:
        if self.removed:
            raise StreamNotFound(self.settings.name)

    @property
    def forks(self) -> int:
        return self.children

    @property
    def _state(self) -> AppendState:
        return self._kept

    @property
    def _tail(self) -> int:
        return self._writer.tail

    def _hold(self, *, wait: bool) -> None:
        if not self._lock.acquire(blocking=wait):
            raise Busy
        if self.removed:
            self._lock.release()
            self.check_exists()

    def _free(self) -> None:
        self._lock.release()

    def _append(self, params: Appending, data: bytes) -> None:
        if data:
            self._writer.append_whole(self.channel, data)
        self._kept.apply(params)
        self._used_at = time.time()
        if params.close:
            self._writer.close(ended())

    def begin(self, data: bytes, *, closed: bool) -> None:
        """Append the first bytes."""
        if data or closed:
            self._append(Appending(close=closed), data)

    @property
    def own_bytes(self) -> int:
        """The number of its bytes behind those of its parent."""
        return self._writer.tail - self.settings.begins_at

    def wake(self) -> None:
        """Wake all followers."""
        self._log._wake()


class MemoryStreams(Streams):
    """Streams that end with this process."""

    def __init__(self) -> None:
        super().__init__()
        self._streams: dict[str, _MemoryStream] = {}
        self._lock = threading.RLock()

    def _measure(self) -> int:
        return sum(stream.own_bytes for stream in list(self._streams.values()))

    def _find(self, name: str) -> _MemoryStream | None:
        return self._streams.get(name)

    def _make(
        self, settings: Settings, parent: Stream | None, offset: int, data: bytes, *, closed: bool
    ) -> Stream | None:
        assert parent is None or isinstance(parent, _MemoryStream)
        stream = _MemoryStream(settings, self.caps, parent, offset)
        stream.begin(data, closed=closed)
        with self._lock:
            if settings.name in self._streams:
                return None
            self._streams[settings.name] = stream
            if parent is not None:
                parent.children += 1
        return stream

    def _remove(self, stream: Stream) -> None:
        assert isinstance(stream, _MemoryStream)
        with self._lock:
            if stream.removed:
                return
            if stream.children:
                stream.gone = True
            else:
                stream.removed = True
                self.caps.deleted()
                del self._streams[stream.settings.name]
            parent = stream.parent
            if stream.removed and parent is not None:
                parent.children -= 1
                if parent.gone and not parent.children:
                    self._remove(parent)
        stream.wake()

    def names(self) -> Iterator[str]:
        """Yield the names of all streams, in no order."""
        yield from (stream.settings.name for stream in list(self._streams.values()) if not stream.gone)
