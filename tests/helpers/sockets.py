"""Clients that know no HTTP: they send bytes, and see what comes."""

import contextlib
import selectors
import socket
from collections import Counter
from collections.abc import Iterator

from tests.helpers.wait import MS

LONG = 15000 * MS


def rest(client: socket.socket) -> bytes:
    """Return what comes until the server hangs up."""
    data = b""
    with contextlib.suppress(ConnectionError):
        while part := client.recv(65536):
            data += part
    return data


def status(reply: bytes) -> int:
    """Return the status of a reply; 0 where there is none."""
    return int(reply.split()[1]) if reply.startswith(b"HTTP/1.1 ") else 0


class Crowd:
    """Many connections at once.

    Attributes:
        ended: how many the server has closed, by the status that it sent before; 0 for none.
        failed: errors, by their name.
    """

    def __init__(self, port: int, addresses: int = 1) -> None:
        self._port, self._addresses = port, addresses
        self._selector = selectors.DefaultSelector()
        self._said: dict[socket.socket, bytes] = {}
        self.ended: Counter[int] = Counter()
        self.failed: Counter[str] = Counter()
        self.opened = 0

    def open(self, count: int, data: bytes) -> None:
        """Open connections, each of which sends some bytes."""
        for _ in range(count):
            client = socket.socket()
            client.settimeout(LONG)
            client.bind((f"127.0.0.{2 + self.opened % self._addresses}", 0))
            self.opened += 1
            try:
                client.connect(("127.0.0.1", self._port))
                client.sendall(data)
            except OSError as error:
                self.failed[type(error).__name__] += 1
                client.close()
                continue
            client.setblocking(False)
            self._said[client] = b""
            self._selector.register(client, selectors.EVENT_READ)
            if self.opened % 50 == 0:
                self.listen()

    def listen(self, seconds: float = 0) -> None:
        """Take what has come."""
        for key, _ in self._selector.select(seconds):
            client = key.fileobj
            assert isinstance(client, socket.socket)
            try:
                data = client.recv(65536)
            except OSError as error:
                self.failed[type(error).__name__] += 1
                data = b""
            self._said[client] += data
            if not data:
                self.ended[status(self._said.pop(client))] += 1
                self._selector.unregister(client)
                client.close()

    def answered(self) -> Counter[int]:
        """Return the statuses that came on the connections that are open."""
        return Counter(status(said) for said in self._said.values() if said)

    @property
    def held(self) -> int:
        """How many are open."""
        return len(self._said)

    def close(self) -> None:
        """Close all."""
        for client in self._said:
            client.close()
        self._said.clear()
        self._selector.close()

    def __enter__(self) -> "Crowd":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextlib.contextmanager
def connected(port: int) -> Iterator[socket.socket]:
    """Give one connection."""
    with socket.create_connection(("127.0.0.1", port), LONG) as client:
        yield client
