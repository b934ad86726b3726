"""The server is killed between any two system calls of an append: nothing acknowledged is lost or doubled.

strace kills the server when it is about to make a certain call on the stream's files, the first
of its kind, the second and so on, until the append gets through without. Then whoever comes next,
another process, gets what an idempotent producer sends again.
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
from runcast.wire.durable import Appending, Creation, Producer
from tests.helpers.servers import LONG, free_port
from tests.helpers.wait import wait_until

pytestmark = [pytest.mark.fault, pytest.mark.slow, pytest.mark.timeout(600)]

APP = """
from runcast import Store
from runcast.web.asgi import RunsASGI
app = RunsASGI(Store({store!r}))
"""
CALLS = "flock,pread64,pwrite64,write,openat,ftruncate,truncate,rename,fdatasync,fsync".split(",")
# The second spans several records of the index; the last one closes the stream.
MESSAGES = [{"n": 0}, {"n": 1, "much": "x" * 150_000}, {"n": 2}]
MOST = 17  # of one call that an append makes (a close: 16 opens), or the test goes on for ever


class Traced:
    """A server that is killed when it makes a call for so many times."""

    def __init__(self, folder: Path, call: str, when: int) -> None:
        self.port = free_port()
        (folder / "traced_app.py").write_text(APP.format(store=str(folder / "store")))
        self._command = [
            "strace",
            "-f",
            "-qq",
            "-o",
            "/dev/null",
            "-e",
            f"inject={call}:signal=KILL:when={when}",
        ]
        for path in files(folder):
            self._command += ["-P", path]
        self._command += [sys.executable, "-m", "uvicorn", "--log-level", "warning", "--lifespan", "off"]
        self._command += ["--port", str(self.port), "traced_app:app"]
        self._folder = folder

    def __enter__(self) -> "Traced":
        environment = os.environ | {"PYTHONPATH": str(self._folder)}
        self.process = subprocess.Popen(self._command, env=environment, start_new_session=True)
        wait_until(self._answers, timeout=LONG, what="an answer")
        return self

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), self.connection() as connection:
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

    def append(self, number: int) -> int | None:
        """Append a message; return the status of the reply, None if there was none."""
        headers = {
            "Content-Type": "application/json",
            "Producer-Id": "p",
            "Producer-Epoch": "0",
            "Producer-Seq": str(number),
            "Stream-Closed": str(number == len(MESSAGES) - 1).lower(),
        }
        with contextlib.suppress(OSError, http.client.HTTPException), self.connection() as connection:
            connection.request("POST", "/v1/stream/s", json.dumps(MESSAGES[number]), headers)
            return connection.getresponse().status
        return None

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(LONG)


def files(folder: Path) -> list[str]:
    """Return the files that an append may touch, those that it will make included."""
    stream = next(path for path in (folder / "store" / ".streams").iterdir() if len(path.name) == 26)
    first = "log/" + "0" * 20
    inside = ["append/tail", "append/journal", "outcome.json", "log", first, f"{first}.index", ""]
    return [*(str(stream / name) for name in inside), str(stream.parent / f".outcome-{stream.name}")]


def append_here(folder: Path, number: int) -> None:
    """Append a message in this process, as the server does."""
    streams = FileStreams(str(folder / "store"))
    ask = Appending("application/json", Producer("p", 0, number), close=number == len(MESSAGES) - 1)
    streams.get("s").append(ask, json.dumps(MESSAGES[number]).encode() + b"\n")
    streams.close()


def kill_at(folder: Path, call: str, when: int, number: int) -> bool:
    """Have the server killed while it appends a message; return whether it was."""
    folder.mkdir()
    streams = FileStreams(str(folder / "store"))
    streams.create("s", Creation("application/json"))
    for before in range(number):
        append_here(folder, before)
    with Traced(folder, call, when) as server:
        status = server.append(number)
    assert status in (200, None)
    log = streams.get("s").open_log()
    seen = [json.loads(line) for line in read(log)]
    assert seen in (MESSAGES[:number], MESSAGES[: number + 1]), "a reader sees a part of an append"
    assert status is None or seen == MESSAGES[: number + 1], "what was acknowledged is lost"
    for again in range(number, len(MESSAGES)):  # what was acknowledged is sent again, too
        append_here(folder, again)
    assert [json.loads(line) for line in read(log)] == MESSAGES
    assert log.closed
    streams.close()
    return status is None


def read(log: object) -> list[bytes]:
    """Return the lines of a log."""
    data, offset = b"", 0
    while (reading := log.read(offset, labelled=False)).next != offset:  # type: ignore[attr-defined]
        data += reading.chunks[0].data
        offset = reading.next
    return data.splitlines()


@pytest.mark.parametrize("number", range(len(MESSAGES)), ids=["small", "large", "closing"])
def test_kill_before_each_call(tmp_path: Path, number: int) -> None:
    """Wherever the server is killed, each message is there once, in order, and the stream is closed."""
    assert shutil.which("strace"), "expected strace, which `make test` installs as root"
    kills = 0
    for call in CALLS:
        for when in range(1, MOST):
            if not kill_at(tmp_path / f"{call}-{when}", call, when, number):
                break
            kills += 1
        else:
            raise AssertionError(f"expected fewer than {MOST} calls of {call}")

    assert kills > len(CALLS), "expected the server to be killed at most calls of an append"
