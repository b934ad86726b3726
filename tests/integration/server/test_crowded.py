"""`runcast serve` among clients that send too much, too little, or are too many."""

import contextlib
import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from runcast import Store
from tests.helpers.cli import LONG
from tests.helpers.sockets import Crowd, connected, rest, status
from tests.helpers.wait import wait_until

TOKEN = "t" * 32
HALF = b"GET /runs HTTP/1.1\r\nHost: 127.0.0.1\r\nX-More: "
WHOLE = f"GET /runs HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode()
MIB = 1024 * 1024

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

    def processor(self) -> float:
        """Return the seconds of a processor that it has used."""
        with open(f"/proc/{self.process.pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def serving(*arguments: str, files: int | None = None, soft: int | None = None) -> Iterator[Server]:
    """Give a server; `files` is what its limits of descriptors are, `soft` the soft one."""
    code = ""
    if files is not None:
        code = f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({soft or files}, {files})); "
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
    """Endless header lines get a 431 that can be read, and cost less than 1 MiB."""
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
        assert server.ask("/runs") == {"runs": []}


def test_endless_handshake(store: Store):
    """The handshake of a WebSocket has the same bound."""
    upgrade = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    with serving() as server, connected(server.port) as client:
        client.sendall(b"GET /runs/x/log HTTP/1.1\r\nHost: 127.0.0.1\r\n" + upgrade)
        client.sendall(b"X-More: " + b"y" * 200_000)

        assert status(rest(client)) == 431


def test_half_requests(store: Store):
    """Whoever only begins requests keeps nobody out: the oldest of them are closed for others."""
    with serving(files=256) as server, connected(server.port) as known:
        assert _status(known) == 200
        with Crowd(server.port) as crowd:
            for _ in range(6):
                crowd.open(100, HALF)
                assert server.ask("/runs") == {"runs": []}
            wait_until(lambda: crowd.listen(0.01) or crowd.held <= 224, what="room")
            assert crowd.failed == {}
            assert set(crowd.ended) <= {503, 0}
            assert crowd.ended[503] > crowd.ended[0]
            assert _status(known) == 200
        server.process.terminate()
        _, said = server.process.communicate(timeout=LONG)

    assert said.count(b"connections, as many as there may be") == 1
    assert b"Traceback" not in said


def _status(known: socket.socket) -> int:
    """Return the status of a request on a connection that is kept."""
    known.sendall(WHOLE)
    reply = b""
    while not reply.endswith(b'{"runs":[]}\n'):
        reply += known.recv(65536)
    return status(reply)


def test_strangers_with_whole_requests(store: Store):
    """Connections that are answered 401 and stay are strangers all the same."""
    with serving(files=128) as server, Crowd(server.port) as crowd:
        crowd.open(300, b"GET /runs HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert server.ask("/runs") == {"runs": []}
        crowd.open(300, b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")

        assert server.ask("/runs") == {"runs": []}


@pytest.mark.fault
def test_as_many_as_there_may_be(store: Store):
    """R10: 300 clients at 64 descriptors: 503 for what is too many, no busy loop, and all is well again."""
    with serving("--allow-any-command", files=64) as server:
        run = server.ask("/runs", {"command": ["sh", "-c", "while echo x; do sleep 0.1; done"]})["id"]
        with Crowd(server.port) as crowd:
            crowd.open(300, WHOLE)
            wait_until(
                lambda: crowd.listen(0.01) or (crowd.held <= 32 and crowd.answered().total() == crowd.held),
                what="300 answers",
            )
            assert set(crowd.answered()) | set(crowd.ended) <= {200, 503, 0}
            assert crowd.ended[503] > 200
            began, used = time.monotonic(), server.processor()
            wait_until(lambda: time.monotonic() - began > 1)
            assert server.processor() - used < 0.5, "busy while there is nothing to do"
        wait_until(lambda: _answers(server), what="an answer")
        assert server.ask(f"/runs/{run}")["state"] == "running"
        store.get(run).kill()
        server.process.terminate()
        _, said = server.process.communicate(timeout=LONG)

    assert said.count(b"others get a 503") == 1
    assert b"Traceback" not in said


def _answers(server: Server) -> bool:
    with contextlib.suppress(OSError):
        return bool(server.ask("/runs")["runs"])
    return False


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
        _, said = server.process.communicate(timeout=LONG)

    assert status(reply) == 503
    assert b"Retry-After" in reply
    assert b"Traceback" not in said


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
        assert server.ask("/runs") == {"runs": []}
        with connected(port) as client:
            client.sendall(HALF + b"\r\n" + b"x-more: yyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n" * 40_000)
            assert status(rest(client)) == 431
        assert server.ask("/runs") == {"runs": []}
    finally:
        process.kill()
        process.communicate()


def test_slow_head_by_slowhttptest(store: Store, tmp_path: Any):
    """slowhttptest's clients, which send a line of a head now and then, are closed after 10 s."""
    with serving() as server:
        command = "slowhttptest -H -c 200 -r 200 -i 4 -l 16 -p 5 -t GET -x 10 -u"
        url = f"http://127.0.0.1:{server.port}/runs"
        done = subprocess.run([*command.split(), url], capture_output=True, timeout=10 * LONG, cwd=tmp_path)
        said = re.sub(rb"\x1b\[[0-9;]*[A-Za-z]", b"", done.stdout).decode()
        connected = [int(number) for number in re.findall(r"connected: +(\d+)", said)]

        assert max(connected) == 200, said[-2000:]
        assert "No open connections left" in said, said[-2000:]
        assert "service available:   NO" not in said
        assert server.ask("/runs") == {"runs": []}
