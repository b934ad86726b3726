"""The link as an agent has it: up or down, and the one way back.

Owns when `hello` is called, and what is said of a link that is down. Who has requests under way
compares `number`: after another connection, replies to those of the one before mean nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from runcast import loggers
from runcast.errors import LinkDown, LinkError
from runcast.link import Hello, Link, Reply
from runcast.store.links import LinkStatus

__all__ = ["Connection"]

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 0.5  # seconds: a run is seen again within one of the link's return
_SOON_SECONDS = 3.0  # after it went down, in which it is worth waiting for: a server was started again
_SETTLE_SECONDS = 2.0  # after other processes began to serve: by then all agents are back, with their keys
_EMPTIED_SECONDS = 600.0  # for which `ls` says that the engine lost its data


class Connection:
    """A link that comes and goes.

    Args:
        link: not connected yet.
        store: the folder, where it says how the link is.
        came: called when it is up, with whether the engine may lack what it had: it lost its data, or
            other processes serve, after a restart or in place of those that failed.

    Attributes:
        up: whether requests have a chance.
        number: of the connection; another one after each `hello`.
        failures: how often it went down, or could not come up.
    """

    def __init__(self, link: Link, store: str, came: Callable[[bool], object]) -> None:
        self.link = link
        self.up = False
        self.number = 0
        self.failures = 0
        self._store, self._came = store, came
        self._greeting: Reply[Hello] | None = None
        self._epoch: str | None = None
        self._servers: str | None = None
        self._pause, self._next = _FIRST_PAUSE, 0.0
        self._status = LinkStatus(True, 0.0, None)
        self._notes: dict[str, str] = {}
        self._silent: dict[str, float] = {}
        self._emptied_at = float("inf")
        self._down_at = float("-inf")
        self._settled_at = float("inf")
        self._closed = False

    def close(self) -> None:
        """End it. What fails by that says nothing of the engine: the status stays as it was."""
        self._closed = True
        self.link.close()

    def turn(self, now: float) -> set[str]:
        """Send, receive, connect if it is time for that; return the news."""
        self.link.step()
        if now - self._emptied_at > _EMPTIED_SECONDS:
            self._emptied_at = float("inf")
            self.note("emptied", None)
        if self.up:
            try:
                return self.link.news()
            except LinkError as error:
                self.lost(error)
        if self._greeting is not None and self._greeting.done:
            self._greeted(self._greeting)
        elif self._greeting is None and now >= self._next:
            self._greeting = self.link.hello()
            self.link.step()
        return set()

    def due(self) -> float | None:
        """Return when the next turn is due, in monotonic seconds; None if only the link knows."""
        return self._next if not self.up and self._greeting is None else None

    def try_soon(self) -> None:
        """Connect without a pause, if it is down: somebody waits for it."""
        if not self.up:
            self._next = 0.0

    def lost(self, error: LinkError) -> None:
        """Take note that the link is down."""
        if self._closed or (not self.up and self._greeting is None):
            return
        if self.up:
            self._down_at = time.monotonic()
        self.up, self._greeting = False, None
        self.failures += 1
        self._next = time.monotonic() + self._pause
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)
        self._say(up=False, message=str(error))

    def failed(self, error: LinkError) -> None:
        """Take note of what became of a request: the link may be down."""
        if isinstance(error, LinkDown):
            self.lost(error)

    def _greeted(self, greeting: Reply[Hello]) -> None:
        try:
            hello = greeting.result()
        except LinkError as error:
            self.lost(error)
            return
        self._greeting, self._pause = None, _FIRST_PAUSE
        self.up = True
        self.number += 1
        emptied, others = hello.epoch != self._epoch, hello.servers != self._servers
        if emptied and self._epoch is not None:
            loggers.warning("agent", "the engine of %s lost its data: all is put there again", self._store)
            self._emptied_at, clock = time.monotonic(), time.strftime("%H:%M:%S")
            self._notes["emptied"] = f"the engine lost its data before {clock}: all is put there again"
        self._epoch, self._servers = hello.epoch, hello.servers
        self._settled_at = time.monotonic() + max(0.0, _SETTLE_SECONDS - hello.age)
        self.note("", None)
        self._came(emptied or others)

    @property
    def settled(self) -> bool:
        """Whether the engine has all keys that are taken, as far as their hosts are connected."""
        return self.up and time.monotonic() >= self._settled_at

    @property
    def soon(self) -> bool:
        """Whether that may be so in a moment, if it is not."""
        begins = not self.number and not self.failures
        return begins or self.up or time.monotonic() - self._down_at < _SOON_SECONDS

    def note(self, about: str, message: str | None) -> None:
        """Have people know what is wrong, though the link is up; None for nothing any more."""
        if message is None:
            self._notes.pop(about, None)
        else:
            self._notes[about] = message
        if self.up:
            self._say(up=True, message="; ".join(self._notes.values()) or None)

    def note_silent(self, silent: dict[str, float]) -> None:
        """Have people know of which hosts nothing is heard, and since when, in seconds since the epoch."""
        if silent != self._silent:
            self._silent = silent
            if self.up:
                self._say(up=True, message="; ".join(self._notes.values()) or None)

    def _say(self, *, up: bool, message: str | None) -> None:
        before = self._status
        since = before.since if before.since and up == before.up else time.time()
        self._status = LinkStatus(up, since, message, dict(self._silent), dict(self._notes))
        if self._status != before:
            self._status.write(self._store)
