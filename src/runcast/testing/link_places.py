"""Places for links: an engine of its own for each check of `check_link`, and faults that it can have."""

from __future__ import annotations

from typing import Protocol

from runcast.link import Link
from runcast.link.memory import MemoryEngine, MemoryLink

__all__ = ["LinkPlace", "MemoryLinkPlace"]


class LinkPlace(Protocol):
    """An engine, empty at first, that several links share."""

    def link(self) -> Link:
        """Return another link, which is not connected yet."""

    def cut(self) -> None:
        """Cut the connections of all links."""

    def clear(self) -> None:
        """Have the engine lose all of its data."""

    def close(self) -> None:
        """End all links."""


class MemoryLinkPlace:
    """An engine in this process."""

    def __init__(self) -> None:
        self.engine = MemoryEngine()
        self._links: list[MemoryLink] = []

    def link(self) -> Link:
        """Return another link."""
        self._links.append(MemoryLink(self.engine))
        return self._links[-1]

    def cut(self) -> None:
        """Cut all links."""
        for link in self._links:
            link.cut()

    def clear(self) -> None:
        """Lose everything."""
        self.engine.clear()

    def close(self) -> None:
        """Close all links."""
        for link in self._links:
            link.close()
