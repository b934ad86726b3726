"""The server is killed between any two system calls of an append: nothing acknowledged is lost or doubled.

strace kills the server when it is about to make a certain call on the stream's files, the first
of its kind, the second and so on, until the append gets through without. Then whoever comes next,
another process, gets what an idempotent producer sends again.

Each of these some hundred servers is forked from one process that has imported everything: what
takes half a second otherwise, and under strace much longer, is then done once.
"""

import contextlib
import http.client
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from runcast.durable import FileStreams
from runcast.wire.durable import Appending, Creation, Producer
from tests.helpers.servers import LONG

pytestmark = [pytest.mark.fault, pytest.mark.slow, pytest.mark.timeout(600)]

# Reads a store's path, forks a server of it and prints its pid and port; at an empty line that server ends.
FORKS = """
import os, signal, socket, sys
import uvicorn
from runcast import Store
from runcast.web.asgi import RunsASGI

def serve(path, listening):
    if os.path.exists("/proc/sys/kernel/yama"):
        import ctypes
        ctypes.CDLL(None).prctl(0x59616D61, ctypes.c_ulong(-1))  # PR_SET_PTRACER: anybody, strace included
    config = uvicorn.Config(RunsASGI(Store(path)), log_level="warning", lifespan="off")
    uvicorn.Server(config).run(sockets=[listening])

uvicorn.Config(RunsASGI(Store("none"))).load()  # so that its loop and its parser are imported
while path := sys.stdin.readline().rstrip("\\n"):
    listening = socket.create_server(("127.0.0.1", 0))
    pid = os.fork()
    if pid == 0:
        serve(path, listening)
        os._exit(0)
    print(pid, listening.getsockname()[1], flush=True)
    listening.close()
    sys.stdin.readline()
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    print("ended", flush=True)
"""
CALLS = "flock,pread64,pwrite64,write,openat,ftruncate,truncate,rename,fdatasync,fsync".split(",")
# The second spans several records of the index; the last one closes the stream.
MESSAGES = [{"n": 0}, {"n": 1, "much": "x" * 150_000}, {"n": 2}]
MOST = 17  # of one call that an append makes (a close: 16 opens), or the test goes on for ever


class Traced:
    """A server that is killed when it makes a call for so many times."""

    def __init__(self, forks: subprocess.Popen[str], folder: Path, call: str, when: int) -> None:
        self._forks = forks
        self._folder = folder
        self._command = ["strace", "-f", "-o", "/dev/null", "-e", f"inject={call}:signal=KILL:when={when}"]
        for path in files(folder):
            self._command += ["-P", path]

    def __enter__(self) -> "Traced":
        pid, self.port = map(int, self._said(str(self._folder / "store")).split())
        assert self._answers()
        self._strace = subprocess.Popen([*self._command, "-p", str(pid)], stderr=subprocess.PIPE)
        assert self._strace.stderr is not None
        attached = self._strace.stderr.readline()  # said when it sees all further calls
        assert b"attached" in attached, attached
        return self

    def _said(self, line: str) -> str:
        """Return what the process that forks answers to a line."""
        assert self._forks.stdin is not None
        assert self._forks.stdout is not None
        print(line, file=self._forks.stdin, flush=True)
        return self._forks.stdout.readline()

    def _answers(self) -> bool:
        with self.connection() as connection:
            connection.request("GET", "/runs/none")
            return connection.getresponse().status == 404

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
        assert self._said("") == "ended\n"
        self._strace.communicate(timeout=LONG)  # ends with the last that it traces


@pytest.fixture(scope="module")
def forks() -> Iterator[subprocess.Popen[str]]:
    """Give the process that servers are forked from."""
    command = [sys.executable, "-c", FORKS]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process


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


def kill_at(forks: subprocess.Popen[str], folder: Path, call: str, when: int, number: int) -> bool:
    """Have the server killed while it appends a message; return whether it was."""
    folder.mkdir()
    streams = FileStreams(str(folder / "store"))
    streams.create("s", Creation("application/json"))
    for before in range(number):
        append_here(folder, before)
    with Traced(forks, folder, call, when) as server:
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
def test_kill_before_each_call(forks: subprocess.Popen[str], tmp_path: Path, number: int) -> None:
    """Wherever the server is killed, each message is there once, in order, and the stream is closed."""
    assert shutil.which("strace"), "expected strace, which `make test` installs as root"
    kills = 0
    for call in CALLS:
        for when in range(1, MOST):
            if not kill_at(forks, tmp_path / f"{call}-{when}", call, when, number):
                break
            kills += 1
        else:
            raise AssertionError(f"expected fewer than {MOST} calls of {call}")

    assert kills > len(CALLS), "expected the server to be killed at most calls of an append"
