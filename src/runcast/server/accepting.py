"""Accepting connections: those of TLS, and those of a socket that several workers listen on.

Owns who takes a connection, and the bound on handshakes. A client that connects and never finishes its
handshake is a stranger like any other (connections.py): so these connections are accepted here, and not by
the event loop, which would count none before its handshake is over.

Where workers share a socket, each connection wakes all of them, and an event loop takes all that wait in
one go: the first one has the whole crowd, for as long as its viewers stay. So one is taken at a time, and
a worker that has more than another steps back for a moment; not for longer, since the other may be busy.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable

from runcast.server.bounded_protocol import HEAD_SECONDS
from runcast.server.connections import Connections, network
from runcast.server.tls import Certificate

__all__ = ["Listener"]

_PAUSE_SECONDS = 0.1  # before the next connection is accepted where there is no descriptor for it
_BACK_SECONDS = 0.002  # that one with more connections steps back …
_BACK_MOST = 10  # … so often; an idle worker takes what waits within a millisecond …
_FEW = 16  # … and where none did, this one takes so many, then twice as many, and so on
Turn = Callable[[], bool]


class _Handshake:
    """A connection whose handshake goes on: a stranger that takes no memory of ours."""

    pending = 0

    def __init__(self, connection: socket.socket, address: object) -> None:
        self._connection = connection
        self.address = network(str(address[0])) if isinstance(address, tuple) else ""

    def turn_away(self) -> None:
        """Close: nothing can be said before the handshake is over."""
        self.abort()

    def abort(self) -> None:
        """Close at once; the event loop, which has the socket, sees its end."""
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)


class Listener:
    """Accepts connections on one socket. Like an `asyncio.Server`.

    Args:
        sock: listens.
        factory: makes the protocol of a connection.
        certificate: of the server; None without TLS.
        book: of the connections; those in their handshake are among its strangers.
        turn: returns whether the next connection is this worker's to take; None where there are no others.
    """

    def __init__(
        self,
        sock: socket.socket,
        factory: Callable[[], asyncio.Protocol],
        certificate: Certificate | None,
        book: Connections,
        turn: Turn | None = None,
    ) -> None:
        self._sock, self._factory, self._certificate, self._book = sock, factory, certificate, book
        self._turn = turn
        self._loop = asyncio.get_running_loop()
        self._beginning: set[asyncio.Task[None]] = set()
        self._back = 0  # how often it has stepped back for the connection that waits
        self._alone, self._next_alone = 0, _FEW  # that it takes now without stepping back, and the next time
        self._pause: asyncio.TimerHandle | None = None
        self._resume()

    @property
    def beginning(self) -> int:
        """How many connections are no protocol's yet: in their handshake."""
        return len(self._beginning)

    def _resume(self) -> None:
        self._pause = None
        self._loop.add_reader(self._sock.fileno(), self._accept)

    def _wait(self, seconds: float) -> None:
        self._loop.remove_reader(self._sock.fileno())
        self._pause = self._loop.call_later(seconds, self._resume)

    def _accept(self) -> None:
        if self._steps_back():
            self._wait(_BACK_SECONDS)
            return
        try:
            connection, address = self._sock.accept()
        except (BlockingIOError, InterruptedError, ConnectionError):
            return  # another worker has it, or it is gone before it was accepted
        except OSError:
            self._wait(_PAUSE_SECONDS)
            return
        connection.setblocking(False)
        task = self._loop.create_task(self._begin(connection, address))
        self._beginning.add(task)
        task.add_done_callback(self._beginning.discard)

    def _steps_back(self) -> bool:
        """Return whether to leave the connection that waits to a worker that has fewer."""
        if self._turn is None or self._turn():
            self._back, self._alone, self._next_alone = 0, 0, _FEW
            return False
        if self._alone:
            self._alone -= 1
            return False
        self._back += 1
        if self._back <= _BACK_MOST:
            return True
        self._back, self._alone = 0, self._next_alone
        self._next_alone *= 2
        return False

    async def _begin(self, connection: socket.socket, address: object) -> None:
        if self._certificate is None:
            try:
                await self._loop.connect_accepted_socket(self._factory, connection)
            except OSError:
                connection.close()
            return
        handshake = _Handshake(connection, address)
        self._book.add(handshake)
        try:
            await self._loop.connect_accepted_socket(
                self._factory,
                connection,
                ssl=self._certificate.context,
                ssl_handshake_timeout=HEAD_SECONDS,
            )
        except (OSError, TimeoutError, ssl.SSLError):
            connection.close()
        finally:
            self._book.discard(handshake)

    def close(self) -> None:
        """Accept no more; handshakes that go on are cut."""
        if self._sock.fileno() < 0:
            return
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._sock.fileno())
        for task in self._beginning if self._certificate is not None else ():
            task.cancel()
        self._sock.close()

    async def wait_closed(self) -> None:
        """Wait until nothing of it is left."""
        await asyncio.gather(*self._beginning, return_exceptions=True)
