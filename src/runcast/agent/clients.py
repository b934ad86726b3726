"""Who waits for an answer of an agent: processes of this host, and requests of others for a run here."""

from __future__ import annotations

import errno
import socket
import time
from collections import deque
from typing import Any, Final, NamedTuple

from runcast.link import Ask
from runcast.supervisor.control import ControlConnection

__all__ = [
    "FULL_SECONDS",
    "LOOK_THERE",
    "NO_DESCRIPTOR",
    "Client",
    "Later",
    "Passed",
    "ask_seconds",
    "unreachable",
]

NO_DESCRIPTOR = (errno.EMFILE, errno.ENFILE)
"""Errors of `accept` that come again at once, since the connection stays in the backlog."""
FULL_SECONDS = 1.0
"""For which no connection is accepted then."""

LOOK_THERE: Final = "look there whether it was done"
_ASK_SECONDS = 3.0  # for another host to answer, which it does in milliseconds: people wait for 5 at most
_LEAST_SECONDS, _BACK_SECONDS = 0.5, 0.3  # … at least, and for the answer's own way back
_PENDING_SECONDS = 2.0  # for a run to answer its host, after which that says that the answer comes later


def ask_seconds(until: object = None) -> float:
    """Return for how many seconds another host may be waited for, by somebody who waits until a time.

    Args:
        until: in monotonic seconds, which are the same for all processes of a host; None where nobody said.
            What passed before the request came here, as on a busy machine, is part of that.
    """
    if not isinstance(until, int | float):
        return _ASK_SECONDS
    return max(_LEAST_SECONDS, min(_ASK_SECONDS, until - _BACK_SECONDS - time.monotonic()))


class Client:
    """A connection of a process of this host."""

    def __init__(self, connection: ControlConnection) -> None:
        self.connection = connection
        self.queue: deque[tuple[dict[str, Any], bytes]] = deque()
        self.waits = False

    @property
    def gone(self) -> bool:
        """Whether its connection is closed."""
        return self.connection.socket.fileno() < 0


class Later(NamedTuple):
    """A request whose answer comes later, and what of its data is still to be sent."""

    client: Client
    host: str
    request: dict[str, Any]
    rest: bytes


class Passed:
    """What another host wants of a run, on its way to the run."""

    def __init__(self, connection: socket.socket, ask: Ask, host: str, mark: str) -> None:
        self.connection, self.ask, self.host, self.mark = connection, ask, host, mark
        self.data = b""
        self.pending_at: float | None = time.monotonic() + _PENDING_SECONDS


def unreachable(message: str) -> dict[str, Any]:
    """Return the answer to what another host was to do, and did not say that it did."""
    return {"error": message, "unreachable": True}
