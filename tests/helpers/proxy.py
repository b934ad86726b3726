"""A TCP proxy that fails on purpose: it cuts requests and replies at any byte, or lets replies stall."""

import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from types import TracebackType

_RESET = struct.pack("ii", 1, 0)  # linger for no time: closing sends RST instead of FIN


class Proxy:
    """Passes on what goes to a port of this machine, and replies as its plan says. Use as a context manager.

    Attributes:
        port: where it listens.
        connections: how many there were.
        stalled: how many were left open in silence.
        cuts: how many were cut in a request, and how many in a reply.
    """

    def __init__(
        self,
        port: int,
        plan: Callable[[int], int | None],
        *,
        requests: Callable[[int], int | None] = lambda number: None,
        stall: bool = False,
    ) -> None:
        """Make a proxy.

        Args:
            port: to which connections are passed on.
            plan: called with the number of a connection; returns after how many bytes of replies it
                fails, None for never.
            requests: the same for bytes of requests.
            stall: to fail means to pass no more on, and to cut nothing.
        """
        self._target, self._plan, self._requests, self._stall = port, plan, requests, stall
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        self.stalled = 0
        self.cuts = {"requests": 0, "replies": 0}
        self._open: set[socket.socket] = set()

    @property
    def url(self) -> str:
        """The address."""
        return f"http://127.0.0.1:{self.port}/"

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # closed
                return
            number, self.connections = self.connections, self.connections + 1
            try:
                server = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                client.close()
                continue
            for one in (client, server):  # what comes in two pieces must not wait for an acknowledgement
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._open |= {client, server}
            limits = self._requests(number), self._plan(number)
            for pass_on, limit in zip((self._forth, self._back), limits, strict=True):
                threading.Thread(target=pass_on, args=(client, server, number, limit), daemon=True).start()

    def _forth(self, client: socket.socket, server: socket.socket, number: int, limit: int | None) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                if limit is not None and len(data) >= limit:
                    server.sendall(data[:limit])
                    self.cuts["requests"] += 1
                    if number % 2:
                        server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                    for one in (server, client):  # whoever reads the replies closes both
                        one.shutdown(socket.SHUT_RDWR)
                    return
                server.sendall(data)
                limit = None if limit is None else limit - len(data)
            server.shutdown(socket.SHUT_WR)

    def _back(self, client: socket.socket, server: socket.socket, number: int, limit: int | None) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(65536):
                if limit is not None and len(data) >= limit:
                    client.sendall(data[:limit])
                    if self._stall:
                        self.stalled += 1
                        return
                    self.cuts["replies"] += 1
                    if number % 2:  # a cut is an end to some and a reset to others
                        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                    break
                client.sendall(data)
                limit = None if limit is None else limit - len(data)
        for one in (server, client):
            with contextlib.suppress(OSError):  # whoever reads it is woken, or it would stay open
                one.shutdown(socket.SHUT_RD)
            one.close()
            self._open.discard(one)

    def __enter__(self) -> "Proxy":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for one in tuple(self._open):
            with contextlib.suppress(OSError):
                one.close()
