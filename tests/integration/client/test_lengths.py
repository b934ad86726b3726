"""What the client sends has a Content-Length, always: not every server takes chunks."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from runcast.client import AsyncClient, Client
from runcast.client.push import Pusher
from runcast.client.remote_stream import RemoteStream
from runcast.errors import RuncastError

REPLY = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@pytest.fixture
def heads() -> Iterator[tuple[str, list[bytes]]]:
    """Give the address of a server that refuses everything, and the heads that it got."""
    got: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:  # closed
                return
            with connection:
                data = b""
                while b"\r\n\r\n" not in data:
                    data += connection.recv(65536)
                got.append(data.partition(b"\r\n\r\n")[0].lower())
                connection.sendall(REPLY)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}", got
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


def by_thread(url: str) -> None:
    """Start something by the blocking client."""
    with Client(url) as client:
        client.start(["true"], input=b"x" * 100)


def by_task(url: str) -> None:
    """Start something by the asynchronous client."""

    async def start() -> None:
        async with AsyncClient(url) as client:
            await client.start(["true"], input=b"x" * 100)

    asyncio.run(start())


def by_push(url: str) -> None:
    """Append by what `runcast push` is made of."""
    with RemoteStream(f"{url}/v1/stream/s") as stream:
        Pusher(stream).send(b"x" * 100, close=True)


def by_push_close(url: str) -> None:
    """Close a stream with nothing to append."""
    with RemoteStream(f"{url}/v1/stream/s") as stream:
        Pusher(stream).send(b"", close=True)


@pytest.mark.parametrize("ask", [by_thread, by_task, by_push, by_push_close])
def test_length(heads: tuple[str, list[bytes]], ask: Callable[[str], None]) -> None:
    """A request with a body says how long it is."""
    url, got = heads
    with pytest.raises(RuncastError):
        ask(url)
    assert b"\r\ncontent-length: " in got[0]
    assert b"transfer-encoding" not in got[0]
