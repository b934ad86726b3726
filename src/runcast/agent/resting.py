"""When mirrors rest: those whose log nobody has wanted for a while are brought up to date no more.

Owns how often that is looked at, since there may be many of them. Must not know how a mirror is brought.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from runcast.agent.copies import WANTED_SECONDS
from runcast.agent.mirror_run import Mirror

__all__ = ["Resting"]

_EVERY_SECONDS = 1.0


class Resting:
    """Has mirrors rest.

    Args:
        runs: the mirrors, by id.
        busy: ids of those that are brought from elsewhere now, and do not rest.
        stop: called with one that rests from now on.

    Attributes:
        due: when to look next, in monotonic seconds; None while all of them rest.
    """

    def __init__(
        self, runs: Mapping[str, Mirror], busy: Collection[str], stop: Callable[[Mirror], object]
    ) -> None:
        self._runs, self._busy, self._stop = runs, busy, stop
        self.due: float | None = None

    def begin(self, now: float) -> None:
        """Take note that a mirror is wanted."""
        if self.due is None:
            self.due = now + _EVERY_SECONDS

    def turn(self, now: float) -> None:
        """Have those rest that nobody wants any more."""
        if self.due is None or now < self.due:
            return
        active = [one for one in self._runs.values() if one.active]
        for one in active:
            if one.id not in self._busy and now - one.wanted > WANTED_SECONDS:
                self._stop(one)
        self.due = now + _EVERY_SECONDS if active else None
