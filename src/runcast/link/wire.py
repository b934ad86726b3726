"""What the ways to all engines have in common: up or down, who waits for replies, and the one step.

Owns how a link goes down: all that waits fails with the same error. Must not know any engine.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from runcast.errors import LinkDown, LinkError
from runcast.link.polling import Polling
from runcast.link.reply import CallbackFailed, Reply, fail_all

__all__ = ["Wire"]


class Wire(ABC):
    """The connections of one link.

    Attributes:
        down: why no request has a chance; None while the link is up.
    """

    def __init__(self) -> None:
        self.down: LinkError | None = LinkDown(
            "expected a link that is connected, it is not: call hello first"
        )
        self._polling = Polling()
        self._waiting: dict[Reply[Any], None] = {}  # in order
        self._closed = False

    def fileno(self) -> int:
        """Return what to poll."""
        return self._polling.fileno()

    def step(self) -> None:
        """Send, receive, and settle replies."""
        if self._closed:
            return
        try:
            self._turn()
        except LinkError as error:
            self.cut(error)
        except CallbackFailed:  # replies that came with its own are lost
            self.cut(LinkDown("expected callbacks that raise nothing, one did: connect again"))
            raise

    def cut(self, error: LinkError) -> None:
        """End all connections; whatever waits for a reply fails with this error."""
        self.down = error
        self._disconnect()
        waiting, self._waiting = self._waiting, {}
        fail_all(waiting, error)

    def close(self) -> None:
        """End it for good."""
        if not self._closed:
            self.cut(LinkDown("expected a link that is open, it was closed: open another one"))
            self._closed = True
            self._polling.close()

    def _connects(self) -> None:
        """Begin to connect anew."""
        self.cut(LinkDown("expected a link that is connected, it connects: wait for the reply to hello"))

    @abstractmethod
    def timeout(self) -> float | None:
        """Return the seconds until there is something to do; None if only a descriptor knows."""

    @abstractmethod
    def _turn(self) -> None:
        """Send what can be sent, receive what has come.

        Raises:
            LinkError: a connection is down.
        """

    @abstractmethod
    def _disconnect(self) -> None:
        """Close all connections, and forget what was to be sent."""
