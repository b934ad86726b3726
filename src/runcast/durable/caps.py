"""How much streams may have: a cap for each, and one for all of them together.

Owns the counting. What one stream has is its tail, which is known to who appends. What all have
is measured now and then and counted on in between, for other processes append and delete, too: so
that bound is kept to within what they add between two measurements.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from runcast.errors import CapReached, StreamFull
from runcast.forked import note_forks
from runcast.log import CAP_BYTES

__all__ = ["Busy", "Caps"]

_FRESH_SECONDS = 60.0  # a measurement looks at every stream
_AGAIN_SECONDS = 1.0  # … and what is deleted to make room must count soon


class Busy(Exception):
    """Somebody else is at it just now, or it takes long: try again where waiting blocks nobody."""


class Caps:
    """What the streams of one set may have, in bytes.

    Args:
        measure: returns what all of them have.

    Attributes:
        stream: what each may have of its own; None for no bound.
        total: what all may have together; None for no bound.
    """

    def __init__(self, measure: Callable[[], int]) -> None:
        self.stream: int | None = CAP_BYTES
        self.total: int | None = None
        self._measure = measure
        self._lock = threading.Lock()
        self._used = 0
        self._since = 0  # of them, what was added since a measurement began
        self._measured: float | None = None
        self._deleted = self._measuring = False
        note_forks(self)

    def take(self, size: int, tail: int, begins_at: int = 0, *, wait: bool = True) -> None:
        """Allow so many bytes more behind a tail.

        Args:
            size: of an append.
            tail: where the stream ends.
            begins_at: where its own bytes begin.
            wait: block while all streams are measured; otherwise raise `Busy`.

        Raises:
            CapReached: the stream would have too many.
            StreamFull: all of them together would.
        """
        if self.stream is not None and tail - begins_at + size > self.stream:
            raise CapReached(tail, self.stream)
        if self.total is not None:
            lock = self._lock
            if not lock.acquire(blocking=wait):
                raise Busy
            try:
                self._take_of_total(size, tail, self.total, wait)
            finally:
                lock.release()

    def _take_of_total(self, size: int, tail: int, total: int, wait: bool) -> None:
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
            thread = threading.Thread(target=self._measure_aside, name="runcast-streams-size", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # too many threads: what was measured last is good for a while longer
                self._measuring = False
        if self._used + size > total:
            raise StreamFull(
                tail,
                f"expected streams of at most {total} bytes together, with this append they would have "
                f"more: nothing of it was kept, the stream ends at {tail}; remove some (runcast rm), or "
                "have the server keep more (runcast serve --streams-cap; streams_cap= in an application), "
                "and send it again",
            )
        self._used += size
        self._since += size

    def _measure_aside(self) -> None:
        """Measure without letting anybody wait."""
        used: int | None = None
        try:
            used = self._measure()
        finally:
            with self._lock:
                self._measuring = False
                if used is not None:
                    self._used, self._measured = used + self._since, time.monotonic()

    def deleted(self) -> None:
        """Note that something was deleted: before anything is refused, it is measured anew."""
        self._deleted = True

    def in_child(self) -> None:
        """Forget, in a forked process, the threads of its parent: one may have held the lock."""
        self._lock = threading.Lock()
        self._measuring = False
