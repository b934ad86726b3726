"""The supervisor's end of the control socket: its connections, and the requests on them.

Owns the connections and how many there may be at once. What a request means is for the run: its
handler answers, at once or, for stdin, when the program has taken it. The protocol is control.py's.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

from runcast.supervisor.control import ControlConnection, UnixSocket, accept
from runcast.supervisor.loop import Loop

__all__ = ["ControlServer", "Handler"]

_MOST_CONNECTIONS = 64  # at once; more wait in the backlog until one of them leaves

Handler = Callable[[ControlConnection, dict[str, Any], bytes, float], object]
"""Takes a request, its data and the time. An error that it raises is the answer."""


class ControlServer:
    """Takes the requests of all clients of one run.

    Args:
        listener: the socket that listens; closed by `close`.
        loop: where the descriptors are heard.
        handle: called with each request.
        left: called with each connection that has ended.
    """

    def __init__(
        self,
        listener: UnixSocket,
        loop: Loop,
        handle: Handler,
        left: Callable[[ControlConnection], object],
    ) -> None:
        self._listener = listener
        self._loop = loop
        self._handle, self._left = handle, left
        self._connections: dict[int, ControlConnection] = {}
        self._full = False  # no more connections can be had at the moment
        loop.hear(listener.fileno(), self._accept)

    def _accept(self, _events: int, _now: float) -> None:
        try:
            connection = ControlConnection(accept(self._listener))
            fd = connection.socket.fileno()
            self._connections[fd] = connection
            self._loop.hear(fd, lambda _events, now: self._serve(connection, now))
            full = len(self._connections) >= _MOST_CONNECTIONS
        except OSError as error:  # EMFILE would come again and again
            full = error.errno == errno.EMFILE and bool(self._connections)
        if full:
            self._full = True
            self._loop.forget(self._listener.fileno())

    def _serve(self, connection: ControlConnection, now: float) -> None:
        requests = connection.receive()
        if requests is None:
            self._drop(connection)
            return
        for request, data in requests:
            try:
                self._handle(connection, request, data, now)
            except (KeyError, TypeError, ValueError, OSError) as error:
                connection.answer(error=f"cannot do {request!r}: {error!r}")

    def _drop(self, connection: ControlConnection) -> None:
        fd = connection.socket.fileno()
        del self._connections[fd]
        self._loop.forget(fd)
        if self._full:
            self._full = False
            self._loop.hear(self._listener.fileno(), self._accept)
        self._left(connection)
        connection.socket.close()

    def close(self) -> None:
        """Close all connections, those in the backlog included."""
        for connection in self._connections.values():
            self._loop.forget(connection.socket.fileno())
            connection.socket.close()
        self._loop.forget(self._listener.fileno())
        self._listener.close()
