"""A relay between clients and a server that cuts connections, holds bytes back, and leads elsewhere."""

import contextlib
import socket
import threading


class Relay:
    """Passes bytes on, until it is to cut. Use as a context manager.

    Attributes:
        target: the port that new connections lead to.
        port: where it listens.
        passed: bytes of requests and of replies so far.
        cuts: how often it has cut its connections.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self.cuts = 0
        self._open_ways = (threading.Event(), threading.Event())
        self.release()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.passed = [0, 0]
        self._left: list[int | None] = [None, None]
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()

    def cut_after(self, *, requests: int | None = None, replies: int | None = None) -> None:
        """Cut once so many more bytes of requests, or of replies, have passed."""
        with self._lock:
            self._left = [requests, replies]

    def hold(self, *, requests: bool = False, replies: bool = False) -> None:
        """Pass no more bytes of requests, or of replies, until `release`; connections stay open."""
        for way, held in zip(self._open_ways, (requests, replies), strict=True):
            if held:
                way.clear()

    def release(self) -> None:
        """Pass on what was held back."""
        for way in self._open_ways:
            way.set()

    def __enter__(self) -> "Relay":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        self.release()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # closed
                return
            try:
                server = socket.create_connection(("127.0.0.1", self.target))
            except OSError:  # nobody there
                client.close()
                continue
            for one in (client, server):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._open |= {client, server}
            for way, (source, target) in enumerate(((client, server), (server, client))):
                threading.Thread(target=self._pass, args=(source, target, way), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, way: int) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self._open_ways[way].wait()
                with self._lock:
                    left = self._left[way]
                    cut = left is not None and len(data) >= left
                    data = data[:left] if cut else data
                    self._left[way] = None if cut or left is None else left - len(data)
                    self.passed[way] += len(data)
                if cut:
                    with contextlib.suppress(OSError):  # what was left of a connection that was cut before
                        target.sendall(data)
                    return self.cut()
                target.sendall(data)
        for one in (source, target):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def cut(self) -> None:
        """Cut all connections."""
        with self._lock:
            cut, self._open = self._open, set()
            self.cuts += 1
        for one in cut:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
