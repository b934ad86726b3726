"""The link as an agent has it: up or down, and the one way back.

Owns when `hello` is called, and what is said of a link that is down. Who has requests under way
compares `number`: after another connection, replies to those of the one before mean nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from runcast import loggers
from runcast.errors import LinkError
from runcast.link import Hello, Link, Reply
from runcast.store.links import LinkStatus

__all__ = ["Connection"]

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0


class Connection:
    """A link that comes and goes.

    Args:
        link: not connected yet.
        store: the folder, where it says how the link is.
        came: called when it is up, with whether the engine is another one than before, or lost its data.

    Attributes:
        up: whether requests have a chance.
        number: of the connection; another one after each `hello`.
        tried: whether it has been up, or could not be.
    """

    def __init__(self, link: Link, store: str, came: Callable[[bool], object]) -> None:
        self.link = link
        self.up = False
        self.number = 0
        self.tried = False
        self._store, self._came = store, came
        self._greeting: Reply[Hello] | None = None
        self._epoch: str | None = None
        self._pause, self._next = _FIRST_PAUSE, 0.0
        self._status = LinkStatus(True, 0.0, None)
        self._notes: dict[str, str] = {}

    def turn(self, now: float) -> set[str]:
        """Send, receive, connect if it is time for that; return the news."""
        self.link.step()
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

    def lost(self, error: LinkError) -> None:
        """Take note that the link is down."""
        if not self.up and self._greeting is None:
            return
        self.up, self._greeting, self.tried = False, None, True
        self._next = time.monotonic() + self._pause
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)
        self._say(up=False, message=str(error))

    def _greeted(self, greeting: Reply[Hello]) -> None:
        try:
            hello = greeting.result()
        except LinkError as error:
            self.lost(error)
            return
        self._greeting, self._pause = None, _FIRST_PAUSE
        self.up = self.tried = True
        self.number += 1
        fresh = hello.epoch != self._epoch
        if fresh and self._epoch is not None:
            loggers.warning("agent", "the engine of %s lost its data: all is put there again", self._store)
        self._epoch = hello.epoch
        self.note("", None)
        self._came(fresh)

    def note(self, about: str, message: str | None) -> None:
        """Have people know what is wrong, though the link is up; None for nothing any more."""
        if message is None:
            self._notes.pop(about, None)
        else:
            self._notes[about] = message
        if self.up:
            self._say(up=True, message="; ".join(self._notes.values()) or None)

    def _say(self, *, up: bool, message: str | None) -> None:
        if (up, message) != (self._status.up, self._status.message) or not self._status.since:
            same = self._status.since and up == self._status.up
            self._status = LinkStatus(up, self._status.since if same else time.time(), message)
            self._status.write(self._store)
