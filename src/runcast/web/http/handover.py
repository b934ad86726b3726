"""An extension of ASGI: the server hands the connection of a live reply over to its application.

An application that has sent the head of a reply without a length may take the connection, and return. Then
nothing is left of the request: no task, no parser, no `send` with what is wrapped around it. Owns the
name of the extension and what a connection offers. A middleware around the application sees the head, and
then a client that has left; one that holds the head back until it has a part of the body, as those do that
compress, keeps its connection.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["EXTENSION", "Connection", "SocketConnection", "take"]

EXTENSION = "runcast.handover"
"""In the extensions of a scope: a function without arguments that gives a `Connection`, or None."""


class Connection(ABC):
    """The connection of one viewer. For the event loop that it belongs to.

    Attributes:
        left: called once when it is lost, unless it was ended before.
    """

    __slots__ = ("left",)
    left: Callable[[], None] | None

    @staticmethod
    @abstractmethod
    def frame(data: bytes) -> bytes:
        """Return bytes of a body as they are sent; equal for all connections of a class."""

    @abstractmethod
    def send(self, framed: bytes) -> bool:
        """Send bytes; return whether the kernel took them all. Else `drain` comes before the next."""

    @abstractmethod
    async def drain(self) -> None:
        """Return when everything was sent, or the connection is lost."""

    @abstractmethod
    def end(self, *, whole: bool) -> None:
        """End the reply; without `whole` so that its client sees that it was cut."""


class SocketConnection(Connection):
    """The connection of a WebSocket whose handshake is over."""

    __slots__ = ()

    @abstractmethod
    def listen(
        self,
        hear: Callable[[str | bytes], None],
        gone: Callable[[], None],
        code: Callable[[bool], int | None],
    ) -> None:
        """Hear what its client sends.

        Args:
            hear: called with each message.
            gone: called once when the connection is lost, or its reply has ended.
            code: returns with which code the connection is closed, by whether the reply is whole (RFC 6455,
                section 7.4.1); None to close it without one.
        """

    @abstractmethod
    def hold(self, *, back: bool) -> None:
        """Read no further messages, or go on."""


def take(scope: Mapping[str, Any]) -> Connection | None:
    """Return the connection of a reply whose head was sent; None where the server keeps it."""
    offered = (scope.get("extensions") or {}).get(EXTENSION)
    return None if offered is None else offered()
