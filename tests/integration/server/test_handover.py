"""Viewers whose connections are handed over: nothing of it is to be seen but less work, counted here."""

import asyncio
import contextlib
import gc
import http.client
import io
import json
import re
import socket
import subprocess
import textwrap
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import uvicorn
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from runcast import Reason, Run, Store
from runcast.errors import RunFinished
from runcast.server.direct_socket import only_pongs
from runcast.server.uvicorn_fastpath import FastpathProtocol
from runcast.web.asgi import RunsASGI
from tests.helpers.cli import LONG, cli_begun
from tests.helpers.servers import ASGI, Server
from tests.helpers.wait import wait_until

pytestmark = pytest.mark.slow
HEAD = "GET /runs/{id}/log?format={form} HTTP/1.1\r\nHost: 127.0.0.1\r\n{more}\r\n"


@contextlib.contextmanager
def serving(store: Store, *options: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Serve a store by `runcast serve`; give the process and the port."""
    with cli_begun("--store", store.path, "serve", "--no-auth", "--port", 0, *options) as process:
        assert process.stdout is not None
        yield process, urlsplit(process.stdout.readline().decode()).port or 0


@pytest.fixture(name="run")
def run_fixture(store: Store) -> Iterator[Run]:
    """A run that repeats what it is sent."""
    run = store.start(["cat"], stdin="pipe")
    yield run
    with contextlib.suppress(RunFinished):
        run.kill()


def asked(port: int, run: Run, form: str = "text", more: str = "", rest: bytes = b"") -> socket.socket:
    """Return a connection on which the log of a run was requested."""
    connection = socket.create_connection(("127.0.0.1", port), LONG)
    connection.sendall(HEAD.format(id=run.id, form=form, more=more).encode() + rest)
    return connection


def until(connection: socket.socket, text: bytes) -> bytes:
    """Return what comes up to a text."""
    data = b""
    while text not in data:
        part = connection.recv(65536)
        assert part, data
        data += part
    return data


def test_next_request_on_the_connection(store: Store, run: Run):
    """Behind a reply that has ended a connection takes the next request, also one that was sent before."""
    with serving(store) as (_, port), asked(port, run) as connection:
        run.send("one\n")
        until(connection, b"one\n")
        health = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        connection.sendall(health)
        run.send("two\n", eof=True)

        assert b"two\n\r\n0\r\n\r\n" in until(connection, b"ok\n")
        connection.sendall(health)
        assert until(connection, b"ok\n").startswith(b"HTTP/1.1 200 OK")
        connection.sendall(HEAD.format(id=run.id, form="text", more="").encode())
        assert until(connection, b"one\ntwo\n").startswith(b"HTTP/1.1 200 OK")


def test_more_than_is_kept_of_the_next_requests(store: Store, run: Run):
    """However much a client sends while it watches, nothing of it is lost."""
    health = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    with serving(store) as (_, port), asked(port, run) as connection:
        run.send("one\n")
        until(connection, b"one\n")
        connection.sendall(health * 3000)
        run.send("two\n", eof=True)

        data = until(connection, b"ok\n")
        while data.count(b"ok\n") < 3000:
            data += until(connection, b"ok\n")
        assert data.count(b"HTTP/1.1 200 OK") == 3000


def test_part_of_the_next_request(store: Store, run: Run):
    """Also what came before the reply began, and was not whole, is a part of it."""
    with serving(store) as (_, port), asked(port, run, rest=b"GET /hea") as connection:
        run.send("one\n", eof=True)
        connection.sendall(b"lthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert b"\r\n\r\nok\n" in until(connection, b"ok\n")


def test_close(store: Store, run: Run):
    """Who does not want to go on with the connection, or cannot, sees its end behind the reply."""
    with serving(store) as (_, port), asked(port, run, more="Connection: close\r\n") as connection:
        head = until(connection, b"\r\n\r\n")  # of a log that is not whole yet
        run.send("one\n", eof=True)
        whole = head + until(connection, b"0\r\n\r\n")
        assert whole.endswith(b"4\r\none\n\r\n0\r\n\r\n")
        assert connection.recv(1) == b""


def test_who_leaves(store: Store, run: Run):
    """A viewer who leaves, or sends no more, is gone at once, and the others notice nothing."""
    with serving(store) as (_, port), asked(port, run) as stays:
        leaves, closes = asked(port, run), asked(port, run)
        for connection in (leaves, closes):
            run.send("one\n")
            until(connection, b"one\n")
        assert viewers(port) == 3
        leaves.close()
        closes.shutdown(socket.SHUT_WR)
        wait_until(lambda: viewers(port) == 1)
        assert b"".join(iter(lambda: closes.recv(1000), b"")).count(b"\r\n\r\n") == 0
        closes.close()
        run.send("last\n", eof=True)
        assert b"one\none\nlast\n" in unchunked(until(stays, b"0\r\n\r\n"))


def unchunked(data: bytes) -> bytes:
    """Return a chunked body that ends with `data`, which may begin with a head."""
    reader = io.BytesIO(data.partition(b"\r\n\r\n")[2])
    parts = iter(lambda: reader.read(int(reader.readline(), 16) + 2)[:-2], b"")
    return b"".join(parts)


def viewers(port: int) -> int:
    """Return how many live replies a server has now."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LONG)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    return int(sum(map(float, re.findall(r'runcast_viewers\{format="[^"]*"\} (\S+)', text))))


def test_slow_viewer(store: Store):
    """One whose socket is full goes on by its own offset, while others are served, and misses nothing."""
    count = 400_000
    run = store.start(["sh", "-c", f"read go; seq -w {count}; read end"], stdin="pipe")
    with serving(store) as (_, port), asked(port, run) as slow, asked(port, run) as quick:
        until(quick, b"\r\n\r\n")
        run.send("go\n")
        until(quick, f"{count}\n".encode())
        run.send("end\n")
        until(quick, b"0\r\n\r\n")

        data = until(slow, b"\r\n0\r\n\r\n")
    numbers = [int(line) for line in unchunked(data).split()]
    assert numbers == list(range(1, count + 1))


def test_access_log(store: Store, run: Run):
    """With an access log a request has its line when its reply has ended."""
    with serving(store, "--access-log") as (process, port):
        with asked(port, run) as connection:
            run.send("one\n")
            until(connection, b"one\n")
            run.send("", eof=True)
            until(connection, b"0\r\n\r\n")
        assert process.stderr is not None
        lines = iter(process.stderr.readline, b"")
        assert next(line for line in lines if b"/log" in line).count(b" 200 ") == 1


LAYERS = """
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.gzip import GZipMiddleware

class Buffered(BaseHTTPMiddleware):
    async def dispatch(self, request, call_next):
        return await call_next(request)

runs, app = app, Starlette(middleware=[Middleware({layer})])
app.mount("/", runs)
"""


@pytest.mark.parametrize("form", ["text", "sse"])
@pytest.mark.parametrize("layer", ["GZipMiddleware, minimum_size=1", "Buffered"])
def test_middleware(store: Store, run: Run, tmp_path: Path, layer: str, form: str):
    """An application under uvicorn with our protocol may have middleware around it: bodies are right."""
    code = textwrap.dedent(ASGI) + LAYERS.format(layer=layer)
    with Server(tmp_path, "uvicorn-direct", code, store=store) as server:
        request = [f"{server.root}/runs/{run.id}/log?format={form}", "--compressed", "-sSN"]
        with subprocess.Popen(["curl", *request], stdout=subprocess.PIPE) as curl:
            run.send("one\n")
            run.send("two\n", eof=True)
            said = curl.communicate(timeout=LONG)[0].decode()
        assert curl.returncode == 0
        assert re.search("one\n(.*\n)*(data: )?two\n", said), said
        assert b"Traceback" not in (tmp_path / "server.log").read_bytes()


# WebSockets


def socket_of(port: int, run: Run) -> ClientConnection:
    """Return a WebSocket that shows a run."""
    return connect(f"ws://127.0.0.1:{port}/runs/{run.id}/log", compression=None, open_timeout=LONG)


def texts(opened: ClientConnection) -> Iterator[str]:
    """Yield the texts of a run, as they come."""
    for message in opened:
        for chunk in json.loads(message).get("chunks", []):
            yield chunk["text"]


def test_socket(store: Store, run: Run):
    """A client is shown and obeyed, however what it sends is cut; at the end its code is 1000."""
    with serving(store) as (_, port), socket_of(port, run) as opened:
        shown = texts(opened)
        opened.send(json.dumps({"stdin": "one\n"}))
        assert next(shown) == "one\n"
        opened.send(['{"stdin"', ': "two\\n', '"}'])
        assert opened.ping().wait(LONG)
        assert next(shown) == "two\n"
        opened.pong(b"nobody wanted it")
        opened.send("no JSON")
        assert (
            "error"
            in next(json.loads(message) for message in opened if "UsageError" in str(message))["event"]
        )
        opened.send(json.dumps({"stdin": "", "eof": True}))
        assert list(texts(opened)) == []
        assert opened.close_code == 1000


def test_many_messages(store: Store, run: Run):
    """Messages are obeyed in order, however many come at once; who speaks and leaves is obeyed, too."""
    with serving(store) as (_, port):
        with socket_of(port, run) as opened:
            for number in range(200):
                opened.send(json.dumps({"stdin": f"{number}\n"}))
            seen = ""
            for text in texts(opened):
                seen += text
                if seen.count("\n") == 200:
                    break
            assert seen.split() == [str(number) for number in range(200)]
        with socket_of(port, run) as opened:
            opened.send(json.dumps({"stop": {"grace": 0}}))
        assert run.wait(timeout=LONG).reason is Reason.STOPPED


def test_socket_at_the_end_of_the_server(store: Store, run: Run):
    """A server that ends closes its sockets with 1001; the run goes on."""
    with serving(store) as (process, port), socket_of(port, run) as opened:
        opened.recv(timeout=LONG)
        process.terminate()
        for _ in opened:
            pass
        assert opened.close_code == 1001
        assert process.wait(LONG) == 0
    assert run.outcome is None


def test_wrong_frames(store: Store, run: Run):
    """A client that speaks no WebSocket is closed with what the protocol has for it, and only that one."""
    with serving(store) as (_, port), socket_of(port, run) as stays, socket_of(port, run) as wrong:
        for opened in (stays, wrong):
            opened.recv(timeout=LONG)
        wrong.socket.sendall(b"\x81\x05hello")  # not masked
        with contextlib.suppress(ConnectionClosed):
            for _ in wrong:
                pass
        assert wrong.close_code == 1002
        run.send("on\n")
        assert next(texts(stays)) == "on\n"


@pytest.mark.parametrize(
    ("data", "only"),
    [
        (b"\x8a\x80mask", True),
        (b"\x8a\x82maskpo\x8a\x80mask", True),
        (b"\x8a\x82maskp", False),
        (b"\x8a\x00", False),
        (b"\x89\x80mask", False),
        (b"\x8a\x80mask\x81", False),
    ],
)
def test_pongs(data: bytes, only: bool):
    """Whole pongs need no parser; everything else does."""
    assert only_pongs(data) is only


# Counted work


def test_cost_of_an_idle_viewer(store: Store, run: Run):
    """While it only listens a viewer has no task, and few bytes of Python."""
    count = 200
    request = HEAD.format(id=run.id, form="text", more="").encode()

    async def main() -> tuple[int, float]:
        app = RunsASGI(store)
        server = uvicorn.Server(
            uvicorn.Config(app, port=0, http=FastpathProtocol, lifespan="off", log_config=None)
        )
        serving = asyncio.create_task(server.serve())
        await until_true(lambda: server.started)
        address = server.servers[0].sockets[0].getsockname()
        with contextlib.ExitStack() as stack:

            async def watch(number: int) -> None:
                before = app.feeds.viewers.total()
                for _ in range(number):
                    connection = stack.enter_context(socket.create_connection(address))
                    connection.sendall(request)
                await until_true(lambda: app.feeds.viewers.total() == before + number)
                await until_true(lambda: len(asyncio.all_tasks()) <= tasks)
                await asyncio.sleep(0.01)  # a task that is done is let go in the next round

            tasks = len(asyncio.all_tasks())
            await watch(count)
            gc.collect()
            tracemalloc.start()
            await watch(count)
            gc.collect()
            taken = tracemalloc.get_traced_memory()[0] / count
            tracemalloc.stop()
            more = len(asyncio.all_tasks()) - tasks
        server.should_exit = True
        await serving
        return more, taken

    more, each = asyncio.run(main())
    assert more == 0
    assert each < 4000, each  # 2600 to 3200, with the client's sockets


async def until_true(condition: Callable[[], bool]) -> None:
    """Wait in the event loop."""
    async with asyncio.timeout(LONG):
        while not condition():  # noqa: ASYNC110, as `wait_until`
            await asyncio.sleep(0.01)
