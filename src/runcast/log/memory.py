"""A log in this process's memory: for functions, generators and tests.

Owns the bytearrays. Shares the logic of reading and writing with every backend; a wake-up is a call.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from runcast.log.base import Log
from runcast.log.extent import Extent
from runcast.log.records import RECORD_BYTES
from runcast.log.spans import Span
from runcast.log.writer import CAP_BYTES, SEGMENT_BYTES, LogWriter
from runcast.model import Channel, Outcome

__all__ = ["MemoryLog", "MemoryLogWriter"]


class _MemoryExtent(Extent):
    def __init__(self, start: int) -> None:
        super().__init__(start)
        self.data = bytearray()
        self.index = bytearray()

    def size(self) -> int:
        return len(self.data)

    def pread(self, offset: int, count: int) -> bytes:
        at = offset - self.start
        return bytes(self.data[at : at + count])

    def record_count(self) -> int:
        return len(self.index) // RECORD_BYTES

    def packed(self, first: int, count: int) -> bytes:
        at = first * RECORD_BYTES
        return bytes(self.index[at : at + count * RECORD_BYTES])

    def torn(self) -> bool:
        return False


class MemoryLog(Log):
    """Reads the log of a `MemoryLogWriter` in the same process; any number of readers share it."""

    def __init__(self) -> None:
        self._spans: list[_MemoryExtent] = []
        self._outcome: Outcome | None = None
        self._released = False
        self._whole: int | None = None  # the tail that readers see, where appends must be atomic
        self._listeners: set[Callable[[], None]] = set()
        self._lock = threading.Lock()

    def _extents(self) -> Sequence[Span]:
        whole, extents = self._whole, list(self._spans)  # in this order, since `_whole` only grows
        spans = [Span(extent.start, extent.start + extent.size(), extent) for extent in extents]
        for at in range(len(spans) - 1):  # the parent's last extent may extend behind a fork
            if spans[at].end > spans[at + 1].start:
                spans[at] = spans[at]._replace(end=spans[at + 1].start)
        if whole is not None:
            spans = [span._replace(end=min(span.end, whole)) for span in spans if span.start <= whole]
        return spans

    def fork(self, offset: int) -> MemoryLog:
        """Return another log that shares the bytes up to an offset, without copying them."""
        forked = MemoryLog()
        forked._spans = [extent for extent in self._spans if extent.start < offset]
        forked._spans.append(_MemoryExtent(offset))
        return forked

    @property
    def outcome(self) -> Outcome | None:
        """The outcome of the run; None while it has none."""
        return self._outcome

    @property
    def closed(self) -> bool:
        """Whether no more bytes will be appended."""
        return self._released and self._outcome is not None

    def subscribe(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Call `wake` after each append and the close; return a function that unsubscribes."""
        with self._lock:
            self._listeners.add(wake)
        return lambda: self._unsubscribe(wake)

    def _unsubscribe(self, wake: Callable[[], None]) -> None:
        with self._lock:
            self._listeners.discard(wake)

    def _wake(self) -> None:
        if self._listeners:
            with self._lock:
                listeners = list(self._listeners)
            for wake in listeners:
                wake()


class MemoryLogWriter(LogWriter):
    """Appends to a `MemoryLog`."""

    def __init__(
        self,
        log: MemoryLog,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        cap_bytes: int | None = CAP_BYTES,
    ) -> None:
        super().__init__(
            tail=log.tail_offset, lines=log.lines, segment_bytes=segment_bytes, cap_bytes=cap_bytes
        )
        self._log = log

    def append(self, channel: Channel, data: bytes) -> None:
        """Append bytes of one channel and wake subscribers."""
        super().append(channel, data)
        if self._log._whole is not None:
            self._log._whole = self.tail
        self._log._wake()

    def append_whole(self, channel: Channel, data: bytes) -> None:
        """Append bytes of one channel atomically and wake subscribers."""
        self._log._whole = self.tail
        super().append_whole(channel, data)
        self._log._whole = self.tail
        self._log._wake()

    def _begin(self, start: int) -> None:
        spans = self._log._spans
        if not spans or spans[-1].start != start:  # a fork already has an empty one
            spans.append(_MemoryExtent(start))

    def _cut(self, size: int, records: int) -> None:
        del self._log._spans[-1].data[size:]
        del self._log._spans[-1].index[records * RECORD_BYTES :]

    def _write_record(self, record: bytes) -> None:
        self._log._spans[-1].index += record

    def _write(self, data: bytes | memoryview) -> int:
        self._log._spans[-1].data += data
        return len(data)

    def _drop(self, start: int) -> None:
        self._log._spans = [extent for extent in self._log._spans if extent.start != start]

    def _store_outcome(self, outcome: Outcome) -> None:
        self._log._outcome = outcome
        self._log._wake()

    def _release(self) -> None:
        self._log._released = True
        self._log._wake()
