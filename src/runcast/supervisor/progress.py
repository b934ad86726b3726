"""Progress that a command's output contains, or that its programs say, published for viewers.

Owns the rate: the first value at once, then at most one in 50 ms, and the last one always. Times are
monotonic seconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from runcast.escapes.found import Found
from runcast.escapes.progress import BEGINNING, ENDS, KEEPS_VALUE, PROGRESS, progress_of

__all__ = ["PROGRESS_SECONDS", "OutputProgress"]

PROGRESS_SECONDS = 0.05  # between writes of progress; the last value is always written


class OutputProgress:
    """The progress of one run.

    Args:
        write: publishes a value.
    """

    def __init__(self, write: Callable[[dict[str, Any]], object]) -> None:
        self._write = write
        self._value: dict[str, Any] | None = None
        self._last: dict[str, Any] = {"done": None, "total": None}
        self._at = 0.0

    def watch(self) -> Callable[[bytes], object]:
        """Return what is called with the output of one channel."""
        found = Found(PROGRESS, BEGINNING, ENDS)

        def take(data: bytes) -> None:
            for match in found.feed(data):
                value = progress_of(match)
                if value["status"] in KEEPS_VALUE and value["total"] is None:
                    value |= {"done": self._last["done"], "total": self._last["total"]}
                self._value = self._last = value

        return take

    def take(self, value: dict[str, Any]) -> None:
        """Take what a program says in place of what the output had."""
        self._value = self._last = value

    def due(self) -> float | None:
        """Return when to publish a value; None for never."""
        return None if self._value is None else self._at

    def expire(self, now: float) -> None:
        """Publish the last value, if it is time to."""
        if self._value is not None and now >= self._at:
            self._at = now + PROGRESS_SECONDS
            self.flush()

    def flush(self) -> None:
        """Publish the last value, if it has not been."""
        value, self._value = self._value, None
        if value is not None:
            self._write({"time": time.time()} | value)
