"""The server is killed between any two system calls of an append: nothing acknowledged is lost or doubled.

strace kills the server when it is about to make a certain call on the stream's files, the first
of its kind, the second and so on, until the work gets through without. An idempotent producer
does what they do: it sends again what was not acknowledged, to the server that comes next.
"""

import contextlib
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from runcast.durable import FileStreams
from runcast.wire.durable import Creation
from tests.helpers.servers import LONG, free_port
from tests.helpers.wait import wait_until

pytestmark = [pytest.mark.fault, pytest.mark.slow, pytest.mark.timeout(600)]

APP = """
from runcast import Store
from runcast.web.asgi import RunsASGI
app = RunsASGI(Store({store!r}))
"""
CALLS = ("flock", "pread64", "pwrite64", "write", "openat", "ftruncate", "rename", "fdatasync")
# The second spans several records of the index; the last one closes the stream.
MESSAGES = [{"n": 0}, {"n": 1, "much": "x" * 150_000}, {"n": 2}]
MOST = 12  # of one call that the work makes, or the test goes on for ever


class Killed:
    """A server that is killed at a call, and one in its place that is not."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        (folder / "killed_app.py").write_text(APP.format(store=str(folder / "store")))
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, strace: list[str]) -> None:
        """Start it and wait until it answers."""
        command = [*strace, sys.executable, "-m", "uvicorn", "--log-level", "warning"]
        command += ["--port", str(self.port), "--lifespan", "off", "killed_app:app"]
        environment = os.environ | {"PYTHONPATH": str(self.folder)}
        self.process = subprocess.Popen(command, env=environment, start_new_session=True)
        wait_until(self._answers, timeout=LONG, what="an answer")

    def _answers(self) -> bool:
        with contextlib.suppress(OSError, http.client.HTTPException), self.connection() as connection:
            connection.request("GET", "/runs/none")
            return connection.getresponse().status == 404
        return False

    @contextlib.contextmanager
    def connection(self) -> Iterator[http.client.HTTPConnection]:
        """Give a connection."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LONG)
        try:
            yield connection
        finally:
            connection.close()

    def end(self) -> None:
        """Kill whatever is left of it."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(LONG)

    def append(self, number: int) -> int:
        """Append a message as an idempotent producer does; return the status of the reply."""
        headers = {
            "Content-Type": "application/json",
            "Producer-Id": "p",
            "Producer-Epoch": "0",
            "Producer-Seq": str(number),
        }
        if number == len(MESSAGES) - 1:
            headers["Stream-Closed"] = "true"
        with self.connection() as connection:
            connection.request("POST", "/v1/stream/s", json.dumps(MESSAGES[number]), headers)
            return connection.getresponse().status

    def read(self) -> tuple[list[object], dict[str, str]]:
        """Return the messages that are there, and the headers."""
        with self.connection() as connection:
            connection.request("GET", "/v1/stream/s?offset=-1")
            response = connection.getresponse()
            messages: list[object] = json.loads(response.read())
            return messages, {name.lower(): value for name, value in response.getheaders()}


def files(folder: Path) -> list[str]:
    """Return the files that an append may touch, those that it will make included."""
    stream = next(path for path in (folder / "store" / "streams").iterdir() if len(path.name) == 26)
    inside = ["append/tail", "append/journal", "outcome.json", "log", "log/" + "0" * 20]
    paths = [str(stream / name) for name in [*inside, "log/" + "0" * 20 + ".index"]]
    return [*paths, str(stream.parent / f".outcome-{stream.name}")]


@pytest.mark.parametrize("call", CALLS)
def test_kill_before_each_call(tmp_path: Path, call: str) -> None:
    """Wherever the server is killed, each message is there once, in order, and the stream is closed."""
    assert shutil.which("strace"), "expected strace, which `make test` installs as root"
    for when in range(1, MOST):
        folder = tmp_path / str(when)
        folder.mkdir()
        streams = FileStreams(str(folder / "store"))
        streams.create("s", Creation("application/json"))
        streams.close()
        inject = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"inject={call}:signal=KILL:when={when}"]
        for path in files(folder):
            inject += ["-P", path]
        server = Killed(folder)
        try:
            killed, (messages, headers) = deliver(server, inject)
        finally:
            server.end()

        assert messages == MESSAGES, (call, when)
        assert headers["stream-closed"] == "true"
        if not killed:
            print(call, when)
            assert when > 1 or call in ("ftruncate", "openat", "rename", "fdatasync")
            return
    raise AssertionError(f"expected fewer than {MOST} calls of {call}")


def deliver(server: Killed, inject: list[str]) -> tuple[bool, tuple[list[object], dict[str, str]]]:
    """Append all messages, in spite of the kill; return whether there was one, and what is there then."""
    server.start(inject)
    killed = False
    number = 0
    while True:
        try:
            if number == len(MESSAGES):
                return killed, server.read()
            status = server.append(number)
        except (OSError, http.client.HTTPException):
            assert not killed, "expected one kill"
            killed = True
            server.end()
            server.start([])
            continue
        assert status in (200, 204), status
        number += 1
