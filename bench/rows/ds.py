"""DS: Durable Streams: appending small messages and catching up, beside the protocol's own server.

One keep-alive connection, one request after the other, as a client that waits for each reply. The
peer is `@durable-streams/server` under Node, with its store in memory, which is its default, and
with its store in files, which syncs the disk at each append. `runcast serve` keeps files, synced
once a second; beside it the same with its streams in memory. The client is a raw socket: it must
cost less than any server it measures.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from bench.bench import Bench
from bench.measure import OURS, alternate
from bench.peers.server import free_port, running
from bench.row import Figure, Goal, Row, Skipped

_SUITE = Path(__file__).parents[2] / "tests" / "conformance"
_PEER = """
import { DurableStreamTestServer } from "@durable-streams/server";
const [port, dataDir] = process.argv.slice(1);
const options = { port: Number(port), host: "127.0.0.1", ...(dataDir && { dataDir }) };
await new DurableStreamTestServer(options).start();
"""
_IN_MEMORY = """
import sys, uvicorn
from runcast import Store
from runcast.durable import MemoryStreams
from runcast.server.uvicorn_fastpath import EagerProtocol
from runcast.web.asgi import RunsASGI
from runcast.web.api.durable.routes import Durable
port, folder = sys.argv[1:]
app = RunsASGI(Store(folder))
app.durable = Durable(app.responder, MemoryStreams())
uvicorn.run(app, port=int(port), http=EagerProtocol, lifespan="off", log_level="warning")
"""
_OURS_MEMORY = "runcast, memory"
_MEMORY, _FILES = "Node, memory", "Node, files"
_SERVERS = (OURS, _OURS_MEMORY, _MEMORY, _FILES)
_MESSAGE = bytes(100)
_WARMUP = 300  # requests that are not counted
_PART = 10_000_000  # bytes of an append that makes the large stream


def measure(bench: Bench) -> Iterator[Figure]:
    """Yield appends a second, with and without a producer, and how fast a large stream is read."""
    count, size = bench.pick(3000, 500), bench.pick(100_000_000, 20_000_000)
    if not (_SUITE / "node_modules").is_dir():
        raise Skipped("expected the peer, it is not installed: make conformance")
    with bench.memory(4 * size) as folder, contextlib.ExitStack() as stack:
        ports = {name: stack.enter_context(_serve(name, folder)) for name in _SERVERS}
        found = alternate(
            bench,
            "DS",
            {name: lambda port=port: _measured(port, count, size) for name, port in ports.items()},
        )
    append = "append of 100 bytes, one connection"
    for metric, what, unit in (
        ("append", append, "/s"),
        ("producer", f"{append}, idempotent producer", "/s"),
        ("read", f"catch-up of {size / 1e6:g} MB", "MB/s"),
    ):
        ahead = (Goal(1.0, _MEMORY), Goal(1.0, _FILES))
        yield found.figure(metric, what, unit, higher=True, goals=ahead, peers=(_MEMORY, _FILES))
        what += ", all in memory"
        yield found.figure(
            metric, what, unit, ours=_OURS_MEMORY, higher=True, goals=ahead[:1], peers=(_MEMORY,)
        )


@contextlib.contextmanager
def _serve(name: str, folder: str) -> Iterator[int]:
    port = free_port()
    if name == OURS:
        argv = [sys.executable, "-m", "runcast", "--store", f"{folder}/store", "serve", "--no-auth"]
        argv += ["--port", str(port)]
    elif name == _OURS_MEMORY:
        argv = [sys.executable, "-c", _IN_MEMORY, str(port), f"{folder}/runs"]
    else:
        argv = ["node", "--input-type=module", "-e", _PEER, str(port)]
        argv += [f"{folder}/peer"] if name == _FILES else []
    with running(argv, port, cwd=str(_SUITE)):
        yield port


def _measured(port: int, count: int, size: int) -> dict[str, float]:
    with _Connection(port) as connection:
        return {
            "append": _append(connection, count, producer=False),
            "producer": _append(connection, count, producer=True),
            "read": _read(connection, size),
        }


def _append(connection: _Connection, count: int, *, producer: bool) -> float:
    path = connection.stream()
    begun = 0.0
    for number in range(_WARMUP + count):
        if number == _WARMUP:
            begun = time.perf_counter()
        told = b"Producer-Id: p\r\nProducer-Epoch: 0\r\nProducer-Seq: %d\r\n" % number if producer else b""
        connection.append(path.encode(), told)
    return count / (time.perf_counter() - begun)


def _read(connection: _Connection, size: int) -> float:
    path = connection.stream()
    for _ in range(size // _PART):
        connection.ask("POST", path, bytes(_PART))
    begun, got, offset = time.perf_counter(), 0, "-1"
    while True:
        _, told, body = connection.ask("GET", f"{path}?offset={offset}")
        got, offset = got + len(body), told["stream-next-offset"]
        if "stream-up-to-date" in told:
            break
    assert got == size, f"expected {size} bytes, got {got}"
    return got / 1e6 / (time.perf_counter() - begun)


class _Connection:
    """One connection to a server."""

    def __init__(self, port: int) -> None:
        self._host = f"127.0.0.1:{port}"
        self._socket = socket.create_connection(("127.0.0.1", port), 60.0)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._left = b""

    def __enter__(self) -> _Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def stream(self) -> str:
        """Make a stream and return its path."""
        path = f"/v1/stream/bench-{time.monotonic_ns()}"
        self.ask("PUT", path)
        return path

    def append(self, path: bytes, told: bytes) -> None:
        """Append a message: the least that a client can do, its reply has no body."""
        host = self._host.encode()
        self._socket.sendall(
            b"POST %b HTTP/1.1\r\nHost: %b\r\nContent-Type: application/octet-stream\r\n"
            b"Content-Length: %d\r\n%b\r\n%b" % (path, host, len(_MESSAGE), told, _MESSAGE)
        )
        reply = self._some()
        while not reply.endswith((b"\r\n\r\n", b"\r\n0\r\n\r\n")):
            reply += self._some()
        assert reply[9:12] in (b"200", b"204"), reply

    def ask(
        self, method: str, path: str, body: bytes = b"", told: str = ""
    ) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body of one request."""
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: {self._host}\r\nContent-Type: application/octet-stream\r\n"
            f"Content-Length: {len(body)}\r\n{told}\r\n"
        )
        self._socket.sendall(head.encode() + body)
        text = self._until(b"\r\n\r\n").decode().lower()
        status, *lines = text.removesuffix("\r\n\r\n").split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        if headers.get("transfer-encoding") == "chunked":
            return int(status.split()[1]), headers, b"".join(self._chunks())
        return int(status.split()[1]), headers, self._exactly(int(headers.get("content-length", "0")))

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self._until(b"\r\n"), 16):
            yield self._exactly(size)
            self._until(b"\r\n")
        self._until(b"\r\n")

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._left:
            self._left += self._some()
        data, _, self._left = self._left.partition(mark)
        return data + mark

    def _exactly(self, size: int) -> bytes:
        parts, there = [self._left], len(self._left)
        while there < size:
            parts.append(self._some())
            there += len(parts[-1])
        data = b"".join(parts)
        self._left = data[size:]
        return data[:size]

    def _some(self) -> bytes:
        data = self._socket.recv(1 << 20)
        assert data, "the server hung up"
        return data


ROW = Row("DS", "Durable Streams beside their reference server", measure)
