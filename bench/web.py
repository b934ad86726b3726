"""What the rows about the web share: contenders that serve a command, and a thin client.

The client is a raw socket that counts bytes: it must cost less than any server it measures. Each
contender is started with the command it will serve, on the first core; client and command have
the other.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from bench.peers.server import free_port, running

__all__ = ["ACCEPTS", "Served", "serve"]

ACCEPTS = {
    "text": "text/plain",
    "SSE (JSON)": "text/event-stream",
    "SSE (a line an event)": "text/event-stream",
}
_UVICORN = [sys.executable, "-m", "uvicorn", "--factory", "--log-level", "warning", "--no-access-log"]
_GUNICORN = [sys.executable, "-m", "gunicorn", "-k", "gthread", "--threads", "8", "--log-level", "error"]


@dataclass(frozen=True)
class Served:
    """A server that is running."""

    name: str
    port: int
    pid: int

    @contextlib.contextmanager
    def get(self, path: str = "/", form: str = "text") -> Iterator[socket.socket]:
        """Give a connection on which a GET was sent; the reply has not been read."""
        if form == "SSE (JSON)":
            path += "?format=json" if "?" not in path else "&format=json"
        accept = ACCEPTS.get(form, "*/*")
        head = (
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nAccept: {accept}\r\nConnection: close\r\n"
        )
        if self.name == "websocketd" or form == "WebSocket":
            key = base64.b64encode(os.urandom(16)).decode()
            head = head.replace("Connection: close", "Connection: Upgrade")
            head += f"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
        with socket.create_connection(("127.0.0.1", self.port), 60.0) as connection:
            connection.sendall(f"{head}\r\n".encode())
            yield connection


@contextlib.contextmanager
def serve(name: str, command: list[str], store: str, copy_server: str = "") -> Iterator[Served]:
    """Serve a command by one contender, by name, for as long as the block lasts."""
    port = free_port()
    env = {"BENCH_COMMAND": json.dumps(command), "RUNCAST_STORE": store}
    argv = {
        "runcast": [*_UVICORN, "--port", str(port), "bench.peers.apps:runcast_asgi"],
        "usual Starlette": [*_UVICORN, "--port", str(port), "bench.peers.apps:starlette_usual"],
        "usual Flask": [*_GUNICORN, "-b", f"127.0.0.1:{port}", "bench.peers.apps:flask_article()"],
        "websocketd": ["websocketd", "--address=127.0.0.1", f"--port={port}", "--loglevel=error", *command],
        "C copy": [copy_server, str(port), *command],
    }[name]
    cores = sorted(os.sched_getaffinity(0))
    with running(argv, port, cores=cores[:1], env=env) as process:
        yield Served(name, port, process.pid)
