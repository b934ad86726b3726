"""Clients of HTTP/1.0, such as MicroPython's: no chunks (RFC 9112, section 6.1), and a cut is no end."""

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop

from runcast import Store
from tests.helpers.answering import answering
from tests.helpers.servers import LONG
from tests.helpers.servers import Server as Served
from tests.helpers.stores import temporary_store
from tests.integration.server.test_serve import Server, serving
from tests.integration.web.mounted import mounted_code, prefix_of

pytestmark = pytest.mark.slow
GIVE_UP = "gives up"


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Store]]:
    """Give a server, and its store."""
    with (
        temporary_store(tmp_path_factory.mktemp("there") / "store") as store,
        serving("--no-auth", "--store", store.path) as server,
    ):
        yield server, store


@contextlib.contextmanager
def asked(server: Server, path: str, method: str = "GET", *headers: str) -> Iterator[tuple[list[str], Any]]:
    """Give the lines of a reply's head, and the file of its body."""
    with socket.create_connection((server.host, server.port), LONG) as connection:
        lines = [f"{method} {path} HTTP/1.0", "Accept: text/plain", f"Host: {server.host}", *headers, "", ""]
        connection.sendall("\r\n".join(lines).encode())
        with connection.makefile("rb") as reply:
            head = list(iter(lambda: reply.readline().decode().rstrip("\r\n").lower(), ""))
            yield head, reply


def names(head: list[str]) -> set[str]:
    return {line.partition(":")[0] for line in head[1:]}


@pytest.mark.parametrize("headers", [(), ("Connection: keep-alive",)], ids=["plain", "keep-alive"])
def test_whole(there: tuple[Server, Store], headers: tuple[str, ...]):
    """A reply has its bytes as they are, and ends with the connection, also if that was to be kept."""
    server, store = there
    run = store.start(["seq", "200000"])
    run.wait(timeout=LONG)

    with asked(server, f"/runs/{run.id}/log", "GET", *headers) as (head, reply):
        assert "connection: close" in head
        assert "transfer-encoding" not in names(head)
        assert reply.read() == run.output(encoding=None)


def test_live(there: tuple[Server, Store]):
    """A line is there when it is written, and the end of the run is the end of the reply."""
    server, store = there
    run = store.start(["cat"], stdin="pipe")
    with asked(server, f"/runs/{run.id}/log") as (_, reply):
        for line in (b"one\n", b"two\n"):
            run.send(line)
            assert reply.readline() == line
        run.send(b"", eof=True)
        assert reply.read() == b""


def test_length(there: tuple[Server, Store]):
    """A reply that has a length has it still; one without a body has neither."""
    server, _ = there
    with asked(server, "/runs", "GET", "Accept: application/json") as (head, reply):
        (length,) = (int(line.partition(":")[2]) for line in head if line.startswith("content-length:"))
        assert len(reply.read()) == length
    with asked(server, "/runs", "HEAD") as (head, reply):
        assert "transfer-encoding" not in names(head)
        assert reply.read() == b""


@pytest.mark.fault
def test_killed(store: Store):
    """A server that is killed resets the connection: its end would be that of the log."""
    run = store.start(["cat"], stdin="pipe")
    run.send(b"one\n")
    with serving("--no-auth") as server:
        with asked(server, f"/runs/{run.id}/log") as (_, reply):
            assert reply.readline() == b"one\n"
            os.kill(server.process.pid, signal.SIGKILL)
            with pytest.raises(ConnectionResetError):
                reply.read()


def test_adapter_for_aiohttp(store: Store, tmp_path: Path):
    """The adapter of the docs closes a connection that was to be kept, which aiohttp itself would keep."""
    run = store.start(["cat"], stdin="pipe")
    with Served(tmp_path, "itself", mounted_code("aiohttp")) as served:
        request = f"GET {prefix_of('aiohttp')}/runs/{run.id}/log HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
        with socket.create_connection(("127.0.0.1", served.port), LONG) as connection:
            connection.sendall(request.encode())
            with connection.makefile("rb") as reply:
                run.send(b"one\n", eof=True)
                assert reply.read().endswith(b"\r\n\r\none\n")


@pytest.mark.parametrize("runner", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
@pytest.mark.parametrize("how", ["raises", "returns"])
def test_given_up(runner: Callable[..., Any], how: str):
    """So does an application that does not complete its reply; one that does so late loses nothing."""
    size = 4 * 1024 * 1024  # more than a socket takes

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        if scope["path"] == "/whole":
            await send({"type": "http.response.body", "body": bytes(size)})
            return
        await send({"type": "http.response.body", "body": b"a part", "more_body": True})
        if how == "raises":
            raise RuntimeError(GIVE_UP)

    async def main() -> None:
        async with answering(app) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /whole HTTP/1.0\r\n\r\n")
            assert (await asyncio.wait_for(reader.read(-1), LONG)).partition(b"\r\n\r\n")[2] == bytes(size)
            writer.close()
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /part HTTP/1.0\r\n\r\n")
            with pytest.raises(ConnectionResetError):
                await asyncio.wait_for(reader.read(-1), LONG)
            writer.close()

    runner(main())
