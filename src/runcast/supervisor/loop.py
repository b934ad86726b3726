"""The loop of a supervisor: which descriptors it listens to, and what is called when one is ready.

Owns the poll. One thread, one poll; all times are monotonic seconds. A call may close or forget
any descriptor: an event of the same round for one that is forgotten is dropped. Does not know runs.
"""

from __future__ import annotations

import select
import time
from collections.abc import Callable

__all__ = ["CALM", "Call", "Loop"]

_MOST_MS = 86_400_000.0  # poll(2) takes an int of milliseconds: a longer wait takes several rounds
_ROUND_UP_MS = 0.5  # so that a round never ends a little before what it waits for

CALM = object()
"""What a call returns after which nothing is due any sooner."""

Call = Callable[[int, float], object]
"""What is called for a descriptor, with its events as poll(2) has them and the time of the round."""


class Loop:
    """Calls a function for each descriptor that is ready."""

    def __init__(self) -> None:
        self._poll = select.poll()
        self._calls: dict[int, Call] = {}

    def hear(self, fd: int, call: Call, events: int = select.POLLIN) -> None:
        """Call a function whenever a descriptor has one of these events, or is hung up."""
        self._calls[fd] = call
        self._poll.register(fd, events)

    def forget(self, fd: int) -> None:
        """Call nothing more for a descriptor, if anything was: needed before it is closed."""
        if self._calls.pop(fd, None) is not None:
            self._poll.unregister(fd)

    def turn(self, due: float | None, now: float) -> float:
        """Wait until a descriptor is ready or the time `due` has come, do the calls; return the time.

        As long as all calls of a round are calm the next round follows: between a line of output and the
        wait for the next one there is nothing but the append.
        """
        while True:
            wait = None if due is None else min(max((due - now) * 1000, 0) + _ROUND_UP_MS, _MOST_MS)
            ready = self._poll.poll(wait)
            now = time.monotonic()
            calm = bool(ready)
            for fd, events in ready:
                call = self._calls.get(fd)
                if call is not None and call(events, now) is not CALM:
                    calm = False
            if not calm or (due is not None and now >= due):
                return now
