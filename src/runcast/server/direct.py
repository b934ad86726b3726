"""The connection of a viewer that only listens: a transport, a descriptor, and nothing of its request.

Owns how bytes get to such a connection: one write(2) into the socket, which is what a viewer costs that keeps
up. What the kernel does not take goes to the transport, which says when that is gone. When the reply is
over, uvicorn's protocol has the connection again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from os import write
from typing import Any, Final

from runcast.web.http.handover import Connection

__all__ = ["GONE", "Direct"]

_MOST_BYTES = 64 * 1024  # that are kept of what a client sends before its reply is over


class _Gone:
    """The transport of a request whose connection was handed over."""

    def write(self, data: bytes) -> None:
        """Send nothing."""

    def close(self) -> None:
        """Close nothing."""

    def is_closing(self) -> bool:
        """Whether it is closed."""
        return True


GONE: Final[Any] = _Gone()
"""For those who still hold the request."""


Again = Callable[[asyncio.Transport, bytes, bool], None]
"""Gives a connection back for the next request, with what came of it, and whether writing is paused."""


class Direct(asyncio.Protocol, Connection):
    """A connection that has been handed over, with HTTP/1.1 chunks for its bytes (RFC 9112, section 7.1).

    Args:
        transport: of the connection; it has this protocol from then on.
        again: is called at the end of the reply; None closes the connection.
        connections: of the server, which this one is among until it is lost.
    """

    __slots__ = (
        "_again",
        "_behind",
        "_came",
        "_connections",
        "_drained",
        "_fd",
        "_lost",
        "_paused",
        "transport",
    )

    def __init__(self, transport: asyncio.Transport, again: Again | None, connections: set[Any]) -> None:
        self.transport = transport
        self.left = None
        self._again, self._connections, self._lost = again, connections, False
        # While the transport has something to send, what comes behind that must go to it, too.
        self._behind = self._paused = transport.get_write_buffer_size() > 0
        self._drained: asyncio.Future[None] | None = None
        self._came = b""
        # A connection with TLS takes nothing but what its transport has encrypted.
        tls = transport.get_extra_info("sslcontext") is not None
        self._fd = -1 if tls else transport.get_extra_info("socket").fileno()
        # It says when it has sent everything. That it has something it may have said to the last protocol,
        # and it says that once.
        transport.set_protocol(self)
        # With TLS, 0 would be reached by nothing: it would be paused by one write, and go on at the next.
        transport.set_write_buffer_limits(1 if tls else 0, 0)
        connections.add(self)

    @staticmethod
    def frame(data: bytes) -> bytes:
        """Return a chunk."""
        return b"%x\r\n%b\r\n" % (len(data), data)

    def send(self, framed: bytes) -> bool:
        """Send bytes; return whether the kernel took them all."""
        if self._fd < 0 or self._behind:
            if self.transport.is_closing():
                return not self._behind
            self.transport.write(framed)
            self._behind = self._behind or self._paused
            return not self._behind
        try:
            sent = write(self._fd, framed)
        except BlockingIOError:
            sent = 0
        except OSError:  # it is lost: the transport will say so
            self.transport.abort()
            return True
        if sent == len(framed):
            return True
        self._behind = True
        self.transport.write(memoryview(framed)[sent:])
        return False

    async def drain(self) -> None:
        """Return when everything was sent, or the connection is lost.

        One that is closing still sends what it has: who returned then would be given the whole log.
        """
        while self._behind and not self._lost:
            if self._paused:
                self._drained = asyncio.get_running_loop().create_future()
                await self._drained
            elif self.transport.get_write_buffer_size():
                await asyncio.sleep(0)  # uvloop writes at the end of the round
            else:
                self._behind = False

    def end(self, *, whole: bool) -> None:
        """End the reply, and give the connection back."""
        self.left = None
        if self.transport.is_closing():
            return
        if whole:
            self.transport.write(b"0\r\n\r\n")
        if not whole or self._again is None:
            self._close()
            return
        self._connections.discard(self)
        self.transport.resume_reading()
        self._again(self.transport, self._came, self._paused)

    # What the transport calls

    def data_received(self, data: bytes) -> None:
        """Keep what a client sends before its reply is over, its next request; of a lot the rest waits."""
        self._came += data
        if len(self._came) >= _MOST_BYTES:
            self.transport.pause_reading()

    def eof_received(self) -> bool:
        """Close: a reply may be endless, and then this is the only sign that its client has left."""
        return False

    def pause_writing(self) -> None:
        """Note that the kernel did not take everything."""
        self._paused = True

    def resume_writing(self) -> None:
        """Note that it has."""
        self._paused = False
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it: its descriptor may be another one's next."""
        self._fd, self._lost = -1, True
        self._connections.discard(self)
        self._wake()
        if (left := self.left) is not None:
            self.left = None
            left()

    def shutdown(self) -> None:
        """Close, because the server stops; called by uvicorn when its reply had time to end."""
        self._close()

    def _close(self) -> None:
        """Close when what there is was sent, and send nothing behind that."""
        self._fd = -1
        self.transport.close()

    def _wake(self) -> None:
        drained, self._drained = self._drained, None
        if drained is not None and not drained.done():
            drained.set_result(None)
