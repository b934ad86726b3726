"""`runcast serve` among clients that send too much, too little, or are too many."""

import contextlib
import json
import re
import resource
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from runcast import Store
from tests.helpers.cli import LONG
from tests.helpers.sockets import Crowd, connected, rest, status
from tests.helpers.traced import system_calls
from tests.helpers.wait import wait_until

TOKEN = "t" * 32
HALF = b"GET /runs HTTP/1.1\r\nHost: 127.0.0.1\r\nX-More: "
WHOLE = f"GET /runs HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode()
MIB = 1024 * 1024
ROOM = 32  # connections, of twice as many descriptors
# As `python -c` has it before the server starts: so nobody waits for ten seconds here.
SHORT_HEADS = "from runcast.server.bounded_protocol import SECONDS, Stage; SECONDS[Stage.HEAD] = 2.0; "

pytestmark = pytest.mark.slow


class Server(NamedTuple):
    """A running server."""

    process: subprocess.Popen[bytes]
    port: int

    def ask(self, path: str, body: Any = None) -> Any:
        """Return what somebody who knows the token is answered, on a connection of its own."""
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, headers)
        with urllib.request.urlopen(request, timeout=LONG) as reply:
            return json.loads(reply.read())

    def status(self, name: str) -> int:
        """Return a number of KiB in /proc/PID/status."""
        with open(f"/proc/{self.process.pid}/status") as file:
            found = re.search(rf"{name}:\s+(\d+) kB", file.read())
        assert found is not None
        return int(found.group(1))


@contextlib.contextmanager
def serving(
    *arguments: str, files: int | None = None, soft: int | None = None, code: str = ""
) -> Iterator[Server]:
    """Give a server; `files` is what its limits of descriptors are, `soft` the soft one."""
    if files is not None:
        code += f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({soft or files}, {files})); "
    begin = [sys.executable, "-c", f"{code}from runcast.cli import main; main()"]
    command = [*begin, "serve", "--port", "0", "--token", TOKEN, *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    try:
        line = process.stdout.readline().decode()
        yield Server(process, urlsplit(line.strip()).port or 0)
    finally:
        process.kill()
        process.communicate()


def test_forty_mib_of_headers(store: Store):
    """Endless header lines get a 431 that can be read, and cost less than 1 MiB; of a WebSocket, too."""
    upgrade = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    lines = b"".join(b"x-%d: %s\r\n" % (number, b"y" * 50) for number in range(1000))
    with serving() as server:
        server.ask("/runs")
        before = server.status("VmHWM")
        with connected(server.port) as client:
            client.sendall(HALF + b"\r\n" + lines * (40 * MIB // len(lines)))
            reply = rest(client)
        peak = server.status("VmHWM")

        assert status(reply) == 431
        assert b"application/problem+json" in reply
        assert peak - before < 1024
        with connected(server.port) as client:
            client.sendall(b"GET /runs/x/log HTTP/1.1\r\nHost: 127.0.0.1\r\n" + upgrade)
            client.sendall(b"X-More: " + b"y" * 200_000)
            assert status(rest(client)) == 431
        assert server.ask("/runs")["runs"] == []


def test_half_requests(store: Store):
    """Whoever only begins requests keeps nobody out: the oldest of them are closed for others."""
    with serving(files=256) as server, connected(server.port) as known:
        assert _status(known) == 200
        with Crowd(server.port) as crowd:
            for _ in range(75):
                crowd.open(8, HALF)  # as many as have a moment to read their reply
                assert server.ask("/runs")["runs"] == []
                crowd.listen()
            wait_until(lambda: crowd.listen(0.01) or crowd.held <= 224, what="room")
            assert crowd.failed == {}
            assert set(crowd.ended) == {503}
            assert _status(known) == 200
        server.process.terminate()
        _, text = server.process.communicate(timeout=LONG)

    assert text.count(b"connections, as many as there may be") == 1
    assert b"Traceback" not in text


def _status(known: socket.socket) -> int:
    """Return the status of a request on a connection that is kept."""
    known.sendall(WHOLE)
    reply = b""
    while not (b'\r\n\r\n{"runs":[],' in reply and reply.endswith(b"}\n")):
        reply += known.recv(65536)
    return status(reply)


def test_strangers_with_whole_requests(store: Store):
    """Connections that are answered 401 and stay are strangers all the same."""
    with serving(files=128) as server, Crowd(server.port) as crowd:
        crowd.open(300, b"GET /runs HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert server.ask("/runs")["runs"] == []
        crowd.open(300, b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")

        assert server.ask("/runs")["runs"] == []


@pytest.mark.fault
def test_as_many_as_there_may_be(store: Store):
    """R10: 300 clients at 64 descriptors: 503 for what is too many, no busy loop, and all is well again."""
    with serving("--allow-any-command", files=2 * ROOM) as server:
        run = server.ask("/runs", {"command": ["sh", "-c", "while echo x; do sleep 0.1; done"]})["id"]
        with Crowd(server.port) as crowd:
            for number in range(1, 301):
                crowd.open(1, WHOLE)
                all_told = partial(_all_told, crowd, number)
                wait_until(all_told, what=f"{number} answers")
            assert crowd.answered() == {200: ROOM}
            assert crowd.ended == {503: 300 - ROOM}
            assert crowd.failed == {}
            with Crowd(server.port) as burst:  # all at once some are only closed: descriptors run out
                burst.open(300, WHOLE)
                wait_until(lambda: burst.listen(0.01) or not burst.held, what="the end of the burst")
                assert set(burst.ended) <= {503, 0}
            with system_calls(server.process.pid) as calls:
                written = store.get(run).tail_offset
                wait_until(lambda: store.get(run).tail_offset >= written + 10 * len("x\n"), what="ten lines")
            assert calls.total() < 1000, "busy while there is nothing to do"  # it turns that often in 0.1 s
        wait_until(lambda: _all_are_let_in(server.port), what="room for as many as before")
        assert server.ask(f"/runs/{run}")["state"] == "running"
        store.get(run).kill()
        server.process.terminate()
        _, text = server.process.communicate(timeout=LONG)

    assert text.count(b"others get a 503") == 1
    assert b"Traceback" not in text


def _all_told(crowd: Crowd, count: int) -> bool:
    """Return whether so many clients have their reply, and those that are too many their end."""
    crowd.listen(0.01)
    return crowd.answered().total() == crowd.held == min(count, ROOM)


def _all_are_let_in(port: int) -> bool:
    """Return whether each of as many clients as there may be at once is answered."""
    with Crowd(port) as crowd:
        crowd.open(ROOM, WHOLE)
        wait_until(lambda: crowd.listen(0.01) or crowd.answered().total() + crowd.ended.total() == ROOM)
        return crowd.answered() == {200: ROOM}


def test_commands_get_the_limit_that_was(store: Store):
    """The server has as many descriptors as it may have, its commands what the shell had."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with serving("--allow-any-command", files=hard, soft=333) as server:
        with open(f"/proc/{server.process.pid}/limits") as file:
            found = re.search(r"Max open files +(\d+) +(\d+)", file.read())
        assert found is not None
        assert int(found.group(1)) > 333
        for _ in range(6):  # more than there are spare supervisors
            started = server.ask("/runs", {"command": "ulimit -Sn; ulimit -Hn", "shell": True})
            assert store.get(started["id"]).wait().code == 0
            assert str(store.get(started["id"]).output()).split() == ["333", str(hard)]


def test_stop_in_a_body(store: Store):
    """A server that stops in the middle of a body says so, and its log has no traceback."""
    head = f"POST /runs HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\n"
    head += "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n"
    with serving() as server, connected(server.port) as client:
        client.sendall(head.encode() + b'{"com')
        server.ask("/runs")
        server.process.send_signal(signal.SIGTERM)
        reply = rest(client)
        _, text = server.process.communicate(timeout=LONG)

    assert status(reply) == 503
    assert b"Retry-After" in reply
    assert b"Traceback" not in text


@pytest.mark.fault
def test_without_httptools(store: Store):
    """h11, which takes the place of httptools where that is missing, has the same bounds."""
    code = "import sys; sys.modules['httptools'] = None; from runcast.cli import main; main()"
    command = [sys.executable, "-c", code, "serve", "--port", "0", "--token", TOKEN]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    try:
        port = urlsplit(process.stdout.readline().decode().strip()).port or 0
        server = Server(process, port)
        assert server.ask("/runs")["runs"] == []
        with connected(port) as client:
            client.sendall(HALF + b"\r\n" + b"x-more: yyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n" * 40_000)
            assert status(rest(client)) == 431
        assert server.ask("/runs")["runs"] == []
    finally:
        process.kill()
        process.communicate()


NO_HTTPTOOLS = "import sys; sys.modules['httptools'] = None; "
OFFERS = {
    "h2c": "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__",
    "another": "Connection: upgrade\r\nUpgrade: tls/1.0, x/2",
    "websocket": "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13",
}


@pytest.mark.parametrize("without", ["", "httptools"])
def test_offered_protocols(store: Store, without: str):
    """Who offers to go on in another protocol is answered in this one, and the log has no line of it."""
    no_websockets = "import sys; sys.modules['websockets'] = None; "
    with serving(code=(NO_HTTPTOOLS if without else "") + no_websockets) as server:
        for offer in OFFERS.values():
            with connected(server.port) as client:
                closing = WHOLE.replace(b"\r\n\r\n", f"\r\n{offer}\r\n\r\n".encode())
                client.sendall(closing)
                assert _status(client) == 200
        server.process.terminate()
        _, text = server.process.communicate(timeout=LONG)

    assert b"pgrade" not in text
    assert b"WebSocket" not in text


def test_slow_heads(store: Store, tmp_path: Path):
    """slowhttptest's clients, which send a line of a head now and then, are closed in time."""
    slow_heads(tmp_path, code=SHORT_HEADS)


def slow_heads(folder: Path, clients: int = 200, every: int = 1, most: int = 16, code: str = "") -> None:
    """Have slowhttptest open half heads and add a line to each now and then; fail if any is left.

    Args:
        folder: where it may write.
        clients: how many.
        every: seconds between two lines.
        most: seconds after which it gives up.
        code: of the server, before it starts.
    """
    with serving(code=code) as server:
        url = f"http://127.0.0.1:{server.port}/runs"
        command = f"slowhttptest -H -c {clients} -r {clients} -i {every} -l {most} -p 5 -t GET -x 10"
        command += f" -g -o {folder}/seen -u {url}"
        done = subprocess.run(command.split(), capture_output=True, timeout=10 * LONG, cwd=folder)
        text = re.sub(rb"\x1b\[[0-9;]*[A-Za-z]", b"", done.stdout).decode()
        seen = [line.split(",") for line in (folder / "seen.csv").read_text().splitlines()[1:]]

        _, closed, _, connected, _ = map(int, seen[-1])  # each second, so before the last were closed
        assert closed + connected == clients, seen
        assert "No open connections left" in text, text[-2000:]
        assert "service available:   NO" not in text
        assert server.ask("/runs")["runs"] == []
