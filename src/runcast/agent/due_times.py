"""When things are due, by name: which are now, and when the next one is.

Owns that neither of these looks at all of them, where there may be thousands and nothing is due: a loop asks
at each of its turns.
"""

from __future__ import annotations

__all__ = ["DueTimes"]


class DueTimes:
    """Names with a time each, in monotonic seconds.

    Attributes:
        next: nothing is due before; infinite where there is nothing.
    """

    def __init__(self) -> None:
        self._times: dict[str, float] = {}
        self.next = float("inf")

    def no_later(self, name: str, when: float) -> None:
        """Have something be due at a time, or when it was due already."""
        if when < self._times.get(name, float("inf")):
            self._times[name] = when
            self.next = min(self.next, when)

    def forget(self, name: str) -> None:
        """Have it not be due."""
        self._times.pop(name, None)

    def take(self, now: float) -> list[str]:
        """Return what is due, and forget that."""
        if now < self.next:
            return []
        found = [name for name, when in self._times.items() if when <= now]
        for name in found:
            del self._times[name]
        self.next = min(self._times.values(), default=float("inf"))
        return found
