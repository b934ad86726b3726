"""The engine of links within one process: what they share, and nothing of how they are called."""

from __future__ import annotations

import os
import time
from typing import Protocol

from runcast.errors import NoRun
from runcast.link.base import Ask, Entry

__all__ = ["MemoryEngine", "MemoryRun"]


class Hearing(Protocol):
    """A link, as its engine knows it."""

    def hear(self, name: str, of_bytes: bool) -> None:
        """Take note that a log has grown, or that something else has changed."""

    def take(self, ticket: str, answer: bytes) -> None:
        """Settle a question, if it is one of this link's."""


class MemoryRun:
    """What an engine has of one run."""

    def __init__(self, request: bytes, host: str, key: str | None) -> None:
        self.request, self.host, self.key = request, host, key
        self.fields: dict[str, bytes] = {}
        self.entries: list[Entry] = []
        self.first = self.tail = self.fence = 0


class MemoryEngine:
    """What `MemoryLink`s share: runs, names, leases and questions. For one thread.

    Attributes:
        epoch: its name; `clear` gives it another one.
    """

    def __init__(self) -> None:
        self.links: set[Hearing] = set()
        self.clear()

    def clear(self) -> None:
        """Lose everything."""
        self.epoch = os.urandom(8).hex()
        self.runs: dict[str, MemoryRun] = {}
        self.names: dict[str, bytes] = {}
        self.leases: dict[str, tuple[float, bytes]] = {}
        self.asks: dict[str, list[tuple[float, Ask]]] = {}

    def run(self, run: str) -> MemoryRun:
        """Return a run.

        Raises:
            NoRun: it is not there.
        """
        found = self.runs.get(run)
        if found is None:
            raise NoRun(run)
        return found

    def leased(self, host: str) -> bool:
        """Return whether a host has a lease."""
        return self.leases.get(host, (0.0, b""))[0] > time.monotonic()

    def wake(self, name: str, *, of_bytes: bool = False) -> None:
        """Tell the links that watch a name that a log has grown, or that something else has changed."""
        for link in self.links:
            link.hear(name, of_bytes)
