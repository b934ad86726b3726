"""A log in this process's memory: for functions, generators and tests.

Owns bytearrays. The same writer logic and reader logic as every backend; a wake-up is a call.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from runcast.log.base import Log, Span
from runcast.log.extent import Extent
from runcast.log.records import RECORD_BYTES, Record, unpack
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

    def records(self, first: int, count: int) -> list[Record | None]:
        at = first * RECORD_BYTES
        return unpack(bytes(self.index[at : at + count * RECORD_BYTES]))

    def torn(self) -> bool:
        return False


class MemoryLog(Log):
    """Reads what a `MemoryLogWriter` of the same process keeps; any number of them share it."""

    def __init__(self) -> None:
        self._spans: list[_MemoryExtent] = []
        self._outcome: Outcome | None = None
        self._released = False
        self._listeners: set[Callable[[], None]] = set()
        self._lock = threading.Lock()

    def _extents(self) -> Sequence[Span]:
        return [Span(extent.start, extent.start + extent.size(), extent) for extent in list(self._spans)]

    @property
    def outcome(self) -> Outcome | None:
        """How what wrote the log ended; None while it goes on."""
        return self._outcome

    @property
    def closed(self) -> bool:
        """Whether no more bytes will ever come."""
        return self._released and self._outcome is not None

    def subscribe(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Have `wake` called after each append and the close; return what ends that."""
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
        super().__init__(segment_bytes=segment_bytes, cap_bytes=cap_bytes)
        self._log = log

    def append(self, channel: Channel, data: bytes) -> None:
        """Append bytes of one channel and wake who follows."""
        super().append(channel, data)
        self._log._wake()

    def _begin(self, start: int) -> None:
        self._log._spans.append(_MemoryExtent(start))

    def _write_record(self, record: bytes) -> None:
        self._log._spans[-1].index += record

    def _write(self, data: bytes | memoryview) -> int:
        self._log._spans[-1].data += data
        return len(data)

    def _drop(self, start: int) -> None:
        self._log._spans = [extent for extent in self._log._spans if extent.start != start]

    def _tell(self, outcome: Outcome) -> None:
        self._log._outcome = outcome
        self._log._wake()

    def _release(self) -> None:
        self._log._released = True
        self._log._wake()
