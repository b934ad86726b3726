"""Limits on the size of streams: a cap for each, and one for all of them together.

Owns the accounting. The size of one stream is its tail offset, which every append knows. The total is
measured from time to time, and this process adds its own appends in between. Other processes append
and delete, too, so the total may exceed its cap by what they add between two measurements.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from runcast.errors import CapReached, StreamFull
from runcast.log import CAP_BYTES
from runcast.own_thread import Background
from runcast.sysio.forks import note_forks

__all__ = ["Busy", "Caps"]

_FRESH_SECONDS = 60.0  # between measurements, each of which visits every stream
_AGAIN_SECONDS = 1.0  # … when the cap is reached: streams deleted to make room must count soon


class Busy(Exception):
    """The operation would block: retry it in a thread that may."""


class Caps:
    """The size limits of a set of streams, in bytes.

    Args:
        measure: returns the total size.

    Attributes:
        stream: the limit for the own bytes of each; None for no limit.
        total: the limit for all together; None for no limit.
    """

    def __init__(self, measure: Callable[[], int]) -> None:
        self.stream: int | None = CAP_BYTES
        self.total: int | None = None
        self._measure = measure
        self._lock = threading.Lock()
        self._used = 0
        self._since = 0  # of these bytes, those added since a measurement began
        self._measured: float | None = None
        self._deleted = self._measuring = False
        note_forks(self)

    def reserve(self, size: int, tail: int, begins_at: int = 0, *, wait: bool = True) -> None:
        """Count the bytes of an append, or refuse it.

        Args:
            size: of the append.
            tail: where the stream ends.
            begins_at: where its own bytes begin.
            wait: block while all streams are measured; otherwise raise `Busy`.

        Raises:
            CapReached: the stream would exceed its limit.
            StreamFull: all streams together would.
        """
        if self.stream is not None and tail - begins_at + size > self.stream:
            raise CapReached(tail, self.stream)
        if self.total is not None:
            lock = self._lock
            if not lock.acquire(blocking=wait):
                raise Busy
            try:
                self._reserve_of_total(size, tail, self.total, wait)
            finally:
                lock.release()

    def _reserve_of_total(self, size: int, tail: int, total: int, wait: bool) -> None:
        now = time.monotonic()
        if self._measured is None or (
            self._used + size > total and (self._deleted or now - self._measured >= _AGAIN_SECONDS)
        ):
            if not wait:
                raise Busy
            self._deleted = False
            self._used, self._measured = self._measure(), now
        elif now - self._measured >= _FRESH_SECONDS and not self._measuring:
            self._measuring, self._since = True, 0
            thread = Background(target=self._measure_in_background, name="runcast-streams-size")
            try:
                thread.start()
            except RuntimeError:  # no thread can be started: keep using the last measurement
                self._measuring = False
        if self._used + size > total:
            raise StreamFull(
                tail,
                f"expected at most {total} bytes in all streams together, this append would exceed that: "
                f"nothing of it was stored, the stream ends at {tail}; remove streams (runcast rm) or raise "
                "the limit (runcast serve --streams-cap; streams_cap= in an application), then send it again",
            )
        self._used += size
        self._since += size

    def _measure_in_background(self) -> None:
        """Measure in a thread, without blocking appends."""
        used: int | None = None
        try:
            used = self._measure()
        finally:
            with self._lock:
                self._measuring = False
                if used is not None:
                    self._used, self._measured = used + self._since, time.monotonic()

    def deleted(self) -> None:
        """Note a deletion: measure again before the next append is refused."""
        self._deleted = True

    def in_child(self) -> None:
        """Replace the lock in a forked process: a thread of the parent may have held it."""
        self._lock = threading.Lock()
        self._measuring = False
