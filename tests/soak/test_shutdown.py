"""R15 in full: each server ends promptly with its viewers there, and they go on elsewhere."""

import contextlib
import random
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from runcast import Store
from tests.helpers.cut_readers import CutReader, Events, WebSocket, parse
from tests.helpers.servers import ASGI, WSGI, Server
from tests.helpers.wait import wait_until

EVENTS, SOCKETS = 200, 50
END_SECONDS = {"hypercorn": 4.0}  # which lets replies go on for 3 s, and then cuts them off
LONG = 60.0

# How many viewers of events a server takes at once: some have a thread for each.
SERVERS = {
    "uvicorn": (ASGI, EVENTS, SOCKETS),
    "hypercorn": (ASGI, EVENTS, SOCKETS),
    "daphne": (ASGI, EVENTS, SOCKETS),
    "gunicorn": (WSGI, 35, 0),
    "gunicorn-gevent": (WSGI, EVENTS, 0),
    "waitress": (WSGI, 18, 0),
    "cheroot": (WSGI, 9, 0),
}


@pytest.mark.parametrize("kind", SERVERS)
def test_end_with_viewers(
    kind: str, store: Store, tmp_path: Path, sized: Callable[[int], int], say: Callable[[str], None]
):
    """R15: after SIGTERM, with 200 viewers by events and 50 by WebSocket, a server is gone within 2 s."""
    code, events, sockets = SERVERS[kind]
    run = store.start(["sh", "-c", "echo up; read line; echo $line"], stdin="pipe")
    wait_until(lambda: run.tail_offset)
    with Server(tmp_path, kind, code) as server, contextlib.ExitStack() as opened:
        viewers: list[CutReader] = [Events(server.port, run.id) for _ in range(sized(events))]
        viewers += [WebSocket(server.port, run.id) for _ in range(sized(sockets) if sockets else 0)]
        live = [(viewer, opened.enter_context(viewer.connect())) for viewer in viewers]
        seen = {viewer: _up(connection) for viewer, connection in live}
        assert server.process is not None
        begun = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(LONG)
        taken = time.monotonic() - begun
        restarts = 0
        for viewer, connection in live:
            raw = seen[viewer] + _rest(connection)
            restarts += b"restart" in raw
            viewer.keep(raw)
        server.start()
        run.send("the end\n", eof=True)
        for viewer in viewers:
            while not viewer.visit(random.Random(1), 10**6):
                pass
            viewer.expect(b"up\nthe end\n")
    say(f"{len(viewers)} viewers, gone after {taken:.2f} s, {restarts} were told to come back, all went on")
    assert run.wait(timeout=LONG).ok
    assert taken <= END_SECONDS.get(kind, 2.0)


def _up(connection: socket.socket) -> bytes:
    """Return what came up to the first line of the run."""
    raw = b""
    while b"up" not in parse(raw).body and not (b"101" in raw[:16] and b"up" in raw):
        data = connection.recv(65536)
        assert data, raw
        raw += data
    return raw


def _rest(connection: socket.socket) -> bytes:
    raw = b""
    with contextlib.suppress(OSError):
        while data := connection.recv(65536):
            raw += data
    return raw
