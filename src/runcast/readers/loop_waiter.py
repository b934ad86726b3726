"""Who waits for the hub: a thread or, again and again and without a task, an event loop.

Owns one wait: which watches it is for, when its time is up, and the call that ends it. What has changed is
the hub's to know. Must not import asyncio (hub.py says why).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio

__all__ = ["LoopWaiter", "Waiter"]

_TIMER_SLACK = 0.002  # seconds: event loops round the times of their timers


class Waiter:
    """A thread that waits for any of some watches.

    Attributes:
        watches: the watches.
        wake: wakes it; from any thread.
    """

    def __init__(self, watches: Sequence[Any], wake: Callable[[], object]) -> None:
        self.watches, self.wake = watches, wake


class LoopWaiter:
    """Calls a function in an event loop when a wait is over. For that loop, but woken from any thread.

    The function is called once for each wait, never within it. A timer stays for the next wait: output comes
    long before a timeout, and to cancel and make one for each burst costs as much as a read.

    Args:
        loop: the event loop.
        call: the function; with the context variables that there are now.
        over: called at the end of a wait, before the function.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        call: Callable[[], object],
        over: Callable[[LoopWaiter], object],
    ) -> None:
        self.watches: Sequence[Any] = ()
        self.loop = loop
        self._call, self._over, self._context = call, over, copy_context()
        self._waits = 0  # counted, so that a call for an earlier wait ends none
        self._waiting = False
        self._due = math.inf
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, watches: Sequence[Any]) -> None:
        """Begin to wait; `end_in` comes next."""
        self.watches = watches
        self._waiting = True
        self._waits += 1

    def end_in(self, seconds: float | None) -> None:
        """End the wait after this time at the latest; 0 is the next round of the loop."""
        if seconds == 0:
            self._due = math.inf
            self.loop.call_soon(self._finish, self._waits)
            return
        self._due = math.inf if seconds is None else self.loop.time() + seconds
        if seconds is not None and (self._timer is None or self._timer.when() > self._due):
            self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_at(self._due, self._expire)

    def _expire(self) -> None:
        self._timer = None
        if not self._waiting or self._due == math.inf:
            return
        if self.loop.time() < self._due - _TIMER_SLACK:
            self._set_timer()
        else:
            self.finish()

    def wake(self) -> None:
        """End the wait, from any thread."""
        try:
            self.loop.call_soon_threadsafe(self._finish, self._waits)
        except RuntimeError:  # the loop is closed, and its tasks are gone
            self._waiting = False
            self._over(self)

    def _finish(self, number: int) -> None:
        if number == self._waits:
            self.finish()

    def finish(self) -> None:
        """End the wait, if there is one, with the call."""
        if self._waiting:
            self._waiting = False
            self._over(self)
            self._context.run(self._call)

    def close(self) -> None:
        """End the wait without the call, and let go of whatever the call belongs to."""
        if self._waiting:
            self._waiting = False
            self._over(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._call = _nothing


def _nothing() -> None:
    pass
