"""Looks at many things again and again, of which each takes a system call or some: a share at each turn.

Owns whose turn it is. A loop that looked at all of a thousand at once would let what has just come wait for
tens of milliseconds, every time. Must not know what is looked at.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection

__all__ = ["Rounds"]

_SHARES = 100  # of a round, at most


class Rounds:
    """Rounds over names.

    Args:
        seconds: what a round takes: the time between two looks at the same one, if there are turns meanwhile.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._at = self._next = float("-inf")
        self._left: deque[str] = deque()
        self._size = 0  # of this round

    def take(self, now: float, names: Collection[str]) -> list[str]:
        """Return those that are to be looked at now: all of them, if the last turn was a round ago.

        Args:
            now: in monotonic seconds.
            names: of all that there are; those that come during a round have their turn in the next one.
        """
        if now < self._next:
            return []
        count = int(min((now - self._at) / self._seconds, 1.0) * (self._size or len(names)))
        if not count:
            return []
        self._at, self._next = now, now + self._seconds / _SHARES
        found = [self._left.popleft() for _ in range(min(count, len(self._left)))]
        if len(found) < count:
            self._left, self._size = deque(names), len(names)
            seen = set(found)
            while self._left and len(found) < count:
                if (name := self._left.popleft()) not in seen:
                    found.append(name)
        return found
