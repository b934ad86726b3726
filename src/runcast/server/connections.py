"""The connections of a server: how many there may be, and which makes room for another.

Owns two bounds. A connection is a stranger until a request on it has passed the guard. All
connections together are bounded by the descriptors that the process may have; strangers are bounded
further, and by the memory that their half requests take. Where a bound is reached the oldest
stranger is closed, of the address that has the most: so clients that only connect keep no others out,
and a known client that reconnects gets in, because its request arrives a moment later. Known
ones are never closed for others; when there are none but known ones, a new one gets a 503.

Knows nothing of HTTP and of the event loop.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from typing import Protocol

__all__ = ["KNOWN", "Connection", "Connections", "bound", "network"]

KNOWN = "runcast.known"  # in the state of a request's scope: call it when the request may pass
MOST_STRANGERS = 2048  # 7 KiB each
MOST_PENDING = 32 * 1024 * 1024  # bytes that the unfinished requests of all strangers take together
LEAST_RESERVE = 32  # descriptors; fewer do not do for logs, sockets of the store and the loop itself
LEAST_LEAVING, MOST_LEAVING = 8, 256  # connections that have a moment to read that they are closed
_NOTE_SECONDS = 60.0  # between two equal lines of the log

log = logging.getLogger("runcast.server")


class Connection(Protocol):
    """The part of a connection that the bounds need."""

    address: str
    pending: int  # bytes that its unfinished request takes

    def turn_away(self) -> None:
        """Answer that there is no room, and close."""

    def abort(self) -> None:
        """Close at once."""


def bound(descriptors: int) -> int:
    """Return how many connections there may be, of so many descriptors."""
    return max(descriptors - max(descriptors // 10, LEAST_RESERVE), 1)


def network(address: str) -> str:
    """Return what counts as one address: of IPv6 the first 64 bits, which one machine has to itself."""
    if ":" not in address or "." in address:
        return address
    head = address.partition("::")[0].split(":")
    return ":".join([*head, *["0"] * 4][:4])


class Connections:
    """All connections of a server.

    Args:
        limit: how many there may be; None for any number.
        count: returns how many there are, the one that is added included.
        shares: among how many processes the bounds of strangers are divided. The limit is each one's own.
    """

    def __init__(
        self, limit: int | None = None, count: Callable[[], int] = lambda: 0, *, shares: int = 1
    ) -> None:
        self._limit = math.inf if limit is None else limit
        self._count = count
        self._most_strangers = min(MOST_STRANGERS // shares, self._limit)
        self._most_pending = MOST_PENDING // shares
        self._most_leaving = min(max(self._limit // 40, LEAST_LEAVING), MOST_LEAVING)
        self._strangers: dict[str, dict[Connection, None]] = {}
        self._leaving: dict[Connection, None] = {}
        self.strangers = 0
        self.pending = 0
        self._noted: dict[str, float] = {}

    def add(self, one: Connection) -> None:
        """Take in a new connection, as a stranger: another may be closed for it, or it is turned away."""
        if self._count() - len(self._leaving) > self._limit:
            self._note("%d connections, as many as there may be (ulimit -n): others get a 503", self._limit)
            if not self._make_room():
                self._turn_away(one)
                return
        elif self.strangers >= self._most_strangers:
            self._make_room()
            self._note(
                "%d connections without a request that may pass: the oldest are closed", self.strangers
            )
        self._strangers.setdefault(one.address, {})[one] = None
        self.strangers += 1

    def discard(self, one: Connection) -> None:
        """Forget a connection: it is known now, or gone."""
        self._leaving.pop(one, None)
        same = self._strangers.get(one.address)
        if same is not None and one in same:
            del same[one]
            self.strangers -= 1
            self.pending -= one.pending
            one.pending = 0
            if not same:
                del self._strangers[one.address]

    def weigh(self, one: Connection, pending: int) -> None:
        """Note what a stranger's unfinished request takes now."""
        self.pending += pending - one.pending
        one.pending = pending
        while self.pending > self._most_pending and self._make_room():
            self._note("%d bytes of unfinished requests: the oldest are closed", self._most_pending)

    def _make_room(self) -> bool:
        """Close a stranger; return whether there was one."""
        if not self._strangers:
            return False
        _, most = max(self._strangers.items(), key=lambda item: len(item[1]))
        oldest = next(iter(most))
        self.discard(oldest)
        self._turn_away(oldest)
        return True

    def _turn_away(self, one: Connection) -> None:
        """Have it closed; a few have a moment to read why, which is what resets would prevent."""
        if len(self._leaving) >= self._most_leaving:
            first = next(iter(self._leaving))
            del self._leaving[first]
            first.abort()
        self._leaving[one] = None
        one.turn_away()

    def _note(self, text: str, number: float) -> None:
        """Write a line to the log, not more often than now and then."""
        now = time.monotonic()
        if now - self._noted.get(text, -math.inf) >= _NOTE_SECONDS:
            self._noted[text] = now
            log.warning(text, number)
