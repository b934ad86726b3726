"""Answers that come later than another host waits for one: to input that a program does not read yet.

Owns that nobody waits for one that does not come any more. It is sent once, and may be lost: with the link,
or with an agent that dies. So who waits for it asks its host now and then whether it is still under way, and
a host remembers the last ones that it gave. Must not know what the requests are about.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection
from functools import partial
from typing import Any, Final

from runcast.agent.clients import LOOK_THERE, Client, Later, unreachable
from runcast.errors import LinkError
from runcast.json_objects import parse_object
from runcast.link import Reply

__all__ = ["UNDER_WAY", "LaterAnswers"]

UNDER_WAY: Final = "under way"
"""The operation that asks a host whether an answer of it is."""

_EVERY_SECONDS = 2.0  # between two such questions
_LOST_SECONDS = 10.0  # without a word of the host, or without the link, as long as a lease
_REMEMBERED = 64


class LaterAnswers:
    """Those who wait for such an answer here, and the answers of this host that others may wait for.

    Args:
        ask: asks another host.
        finish: called with who waits, and the answer.
    """

    def __init__(
        self,
        ask: Callable[[str, dict[str, Any]], Reply[bytes]],
        finish: Callable[[Later, dict[str, Any]], object],
    ) -> None:
        self._ask, self._finish = ask, finish
        self._waiting: dict[str, _Waiting] = {}
        self._early: deque[tuple[str, dict[str, Any]]] = deque(maxlen=_REMEMBERED)  # before `wait`
        self._given: deque[tuple[str, dict[str, Any]]] = deque(maxlen=_REMEMBERED)

    @property
    def busy(self) -> bool:
        """Whether somebody waits."""
        return bool(self._waiting)

    def wait(self, mark: str, later: Later) -> None:
        """Have somebody wait for the answer with a mark, which may be here already."""
        early = dict(self._early).get(mark)
        if early is not None:
            self._finish(later, early)
        else:
            self._waiting[mark] = _Waiting(later)

    def came(self, mark: str, answer: dict[str, Any]) -> None:
        """Take an answer."""
        waiting = self._waiting.pop(mark, None)
        if waiting is None:
            self._early.append((mark, answer))
        else:
            self._finish(waiting.later, answer)

    def left(self, client: Client) -> None:
        """Take note that a client is gone, and waits no more."""
        for mark in [mark for mark, one in self._waiting.items() if one.later.client is client]:
            del self._waiting[mark]

    def turn(self, now: float, silent: Collection[str], *, up: bool) -> None:
        """Ask for what has not come; end the waiting for hosts that say nothing.

        Args:
            now: in monotonic seconds.
            silent: hosts that hold no lease.
            up: whether the link is.
        """
        for mark, one in list(self._waiting.items()):
            host = one.later.host
            if host in silent:
                self._give_up(mark, f"host {host} is silent")
            elif now - one.heard > _LOST_SECONDS:
                self._give_up(mark, f"host {host} does not answer" if up else "the link is down")
            elif up and now >= one.next:
                one.next = now + _EVERY_SECONDS
                reply = self._ask(host, {"op": UNDER_WAY, "mark": mark})
                reply.then(partial(self._heard, mark, one))

    def _heard(self, mark: str, one: _Waiting, reply: Reply[bytes]) -> None:
        if self._waiting.get(mark) is not one:
            return
        try:
            found = parse_object(reply.result())
        except (LinkError, ValueError):  # the next question may get an answer
            return
        if isinstance(answer := found.get("reply"), dict):
            self.came(mark, answer)
        elif "later" in found:
            one.heard = time.monotonic()
        else:
            self._give_up(mark, f"host {one.later.host} knows nothing of it any more")

    def _give_up(self, mark: str, why: str) -> None:
        self._finish(self._waiting.pop(mark).later, unreachable(f"{why}: {LOOK_THERE}"))

    # Of this host

    def given(self, mark: str, answer: dict[str, Any]) -> None:
        """Remember an answer that another host waits for."""
        self._given.append((mark, answer))

    def state(self, mark: str, under_way: Collection[str]) -> dict[str, Any]:
        """Return what became of an answer, by its mark and those of all that are under way."""
        if mark in under_way:
            return {"later": mark}
        answer = dict(self._given).get(mark)
        return {"error": "it is not known here"} if answer is None else {"reply": answer}


class _Waiting:
    """Somebody who waits, when the host was heard of last, and when to ask it next."""

    def __init__(self, later: Later) -> None:
        self.later = later
        self.heard = time.monotonic()
        self.next = self.heard + _EVERY_SECONDS
