"""Bytes for a program's stdin: who sends waits until it reads, and is in nobody's way meanwhile.

Owns how many may wait, a few for each run: the run's supervisor must have room to hear that it
is to stop. In an event loop each has a thread of its own, for those of the loop are few.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from runcast.errors import RuncastError, WaitTimeout
from runcast.own_thread import in_own_thread
from runcast.run import Run
from runcast.web.api.log_reply import problem_reply
from runcast.web.servers.shutdown import end_with_server

if TYPE_CHECKING:
    from runcast.web.http.messages import Reply, Request
    from runcast.web.live.feeds import Feeds

__all__ = ["NotTaken", "Senders", "TooManySenders", "is_sent", "sent"]

_MOST = 8  # of one run; a few workers may serve it, and the supervisor takes 64 connections in all


class TooManySenders(RuncastError):
    """So much waits for a program to read it that no more is taken."""

    http_status = 429


class NotTaken(WaitTimeout):
    """The server ends, and a program has not read what it was sent; it may have read a part."""

    http_status = 503


class Senders:
    """Who waits for the programs of one application."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: Counter[str] = Counter()

    def waiting(self, run: Run) -> int:
        """Return how many wait for a run."""
        return self._waiting[run.id]

    def send(self, run: Run, data: bytes, *, eof: bool) -> None:
        """Write to a run's stdin; returns when the program has taken it.

        Raises:
            TooManySenders: so many wait already.
            RunFinished, SupervisorLost: see `Run.send`.
        """
        with self._lock:
            if self._waiting[run.id] >= _MOST:
                raise TooManySenders(
                    f"expected run {run.id} to read what it was sent, {_MOST} requests wait for that: "
                    "send again when one of them was answered"
                )
            self._waiting[run.id] += 1
        try:
            run.send(data, eof=eof)
        finally:
            with self._lock:
                self._waiting[run.id] -= 1
                if not self._waiting[run.id]:
                    del self._waiting[run.id]


def is_sent(request: Request) -> bool:
    """Return whether a request sends something to a program."""
    return request.path.rstrip("/").endswith("/stdin")


async def sent(respond: Callable[[Request], Reply], request: Request, feeds: Feeds) -> Reply:
    """Answer when a program has taken what it was sent, or the server ends, which would wait for us."""
    end_with_server(feeds)
    sending = asyncio.ensure_future(in_own_thread(respond, request))
    ending: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    feeds.polls.add(ending)
    try:
        if not feeds.stopping:
            first: set[asyncio.Future[Any]] = {sending, ending}
            await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        if sending.done():
            return sending.result()
        error = NotTaken("expected the program to read all that it was sent, the server ends before that")
        return problem_reply(error)
    finally:
        feeds.polls.discard(ending)
        sending.cancel()
