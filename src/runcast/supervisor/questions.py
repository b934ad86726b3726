"""When a run may be waiting for input: after a second of silence, by a look at its processes.

Owns the times: the first look is due when output and input have rested, further ones come at growing
intervals while they rest, so that a silent run costs nothing to speak of. What the run waits for is
published once, and withdrawn at the next byte in either direction. How to look is awaited.py's; times are
monotonic seconds.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from runcast.model import Waiting
from runcast.supervisor.awaited import Input, awaited

__all__ = ["Questions"]

SILENCE_SECONDS = 1.0
_LONGEST_SECONDS = 4.0  # between looks; a look takes some 0.1 ms


class Questions:
    """What one run may be waiting for.

    Args:
        given: returns what it reads; None if that has ended, or is nothing that can be looked at.
        question: returns the unfinished line of its output.
        publish: called with each change of what it waits for.
        now: the time.
    """

    def __init__(
        self,
        given: Callable[[], Input | None],
        question: Callable[[], str],
        publish: Callable[[Waiting | None], object],
        now: float,
    ) -> None:
        self._given, self._question, self._publish = given, question, publish
        self._interval = SILENCE_SECONDS
        self._at = now + SILENCE_SECONDS
        self._waiting: Waiting | None = None

    def heard(self, now: float) -> None:
        """Begin anew: there was output or input."""
        self._interval = SILENCE_SECONDS
        self._at = now + SILENCE_SECONDS
        self._tell(None)

    def due(self) -> float | None:
        """Return when to look again; None for never."""
        return None if self._given() is None and self._waiting is None else self._at

    def expire(self, now: float) -> None:
        """Look, if it is time to."""
        if now < self._at:
            return
        given = self._given()
        waiting = None
        if given is not None and awaited(given, os.getpid()):
            waiting = Waiting.of(self._question(), hidden=given.hidden())
        unchanged = waiting == self._waiting
        self._interval = min(2 * self._interval, _LONGEST_SECONDS) if unchanged else SILENCE_SECONDS
        self._at = now + self._interval
        self._tell(waiting)

    def _tell(self, waiting: Waiting | None) -> None:
        if waiting != self._waiting:
            self._waiting = waiting
            self._publish(waiting)
