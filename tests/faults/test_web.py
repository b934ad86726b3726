"""The web under faults: workers, servers and clients die, and nothing is lost or told twice."""

import contextlib
import http.client
import os
import random
import signal
import socket
import threading
from pathlib import Path

import pytest

from runcast import Run, Store
from tests.helpers.servers import ASGI, LONG, WSGI, Server
from tests.helpers.wait import wait_until
from tests.unit.wire.eventsource import EventSource

pytestmark = [pytest.mark.fault, pytest.mark.timeout(120)]

LINES = 3000
# Both channels, in numbered lines; waits for `go` half way, so that faults hit a run that goes on.
CHILD = f"""
import os, sys, time
for at in range({LINES}):
    os.write(1 + at % 2, b"%06d on %d\\n" % (at, at % 2))
    if at == {LINES // 2}:
        while not os.path.exists("go"):
            time.sleep(0.01)
"""


@pytest.fixture
def run(store: Store, tmp_path: Path) -> Run:
    """Start the numbered lines."""
    (tmp_path / "child.py").write_text(CHILD)
    run = store.start(["python3", "-S", "child.py"], cwd=tmp_path)
    wait_until(lambda: run.tail_offset >= 12 * (LINES // 2), what="half of the lines")
    return run


def cut_text(server: Server, run: Run, rng: random.Random) -> bytes:
    """Read the whole log as text over connections that are cut at random places."""
    seen = b""
    while True:
        with contextlib.suppress(OSError, http.client.HTTPException):
            with server.stream(f"/runs/{run.id}/log?offset={len(seen)}") as response:
                assert response.status == 200
                left = rng.randrange(1, 9000)
                while left > 0:
                    data = response.read1(left)
                    if not data:
                        return seen
                    seen += data
                    left -= len(data)


def cut_events(server: Server, run: Run, rng: random.Random) -> list[str]:
    """Read the whole log as events over connections that are cut at random bytes."""
    browser, lines = EventSource(), []
    while not browser.last_event_id.endswith(":end"):
        raw = b""
        with contextlib.suppress(OSError, http.client.HTTPException):
            headers = {"Accept": "text/event-stream", "Last-Event-ID": browser.last_event_id}
            with server.stream(f"/runs/{run.id}/log", **headers) as response:
                left = rng.randrange(1, 40000)
                while left > 0 and (data := response.read1(left)):
                    raw += data
                    left -= len(data)
        lines += [event.data for event in browser.read(raw) if event.type == "message"]
    return lines


@pytest.mark.parametrize(("kind", "code"), [("uvicorn", ASGI), ("gunicorn", WSGI)])
def test_resume_is_exact(kind: str, code: str, run: Run, tmp_path: Path) -> None:
    """R17: text and events, cut at random bytes again and again, have every byte and line once."""
    with Server(tmp_path, kind, code) as server:
        timer = threading.Timer(0.5, (tmp_path / "go").touch)
        timer.start()
        text = cut_text(server, run, random.Random(17))
        lines = cut_events(server, run, random.Random(18))
        timer.join()
    whole = run.output(encoding=None)
    assert text == whole
    assert lines == whole.decode().split("\n")[:-1]


def test_killed_workers_lose_nothing(run: Run, tmp_path: Path) -> None:
    """R1: with workers killed at random in mid-output, clients that come back have it all."""
    with Server(tmp_path, "gunicorn", WSGI, workers=2) as server:
        done = threading.Event()

        def murder() -> None:
            rng = random.Random(1)
            while not done.wait(0.4):
                workers = children(server.process.pid)  # type: ignore[union-attr]
                if workers:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(rng.choice(workers), signal.SIGKILL)

        killer = threading.Thread(target=murder)
        killer.start()
        try:
            timer = threading.Timer(1.0, (tmp_path / "go").touch)
            timer.start()
            text = cut_text(server, run, random.Random(2))
            lines = cut_events(server, run, random.Random(3))
            timer.join()
        finally:
            done.set()
            killer.join()
    whole = run.output(encoding=None)
    assert text == whole
    assert lines == whole.decode().split("\n")[:-1]


@pytest.mark.parametrize(("kind", "code"), [("uvicorn", ASGI), ("gunicorn", WSGI)])
def test_killed_server_comes_back(kind: str, code: str, run: Run, tmp_path: Path) -> None:
    """R2: kill -9 of the server leaves the child alone; the next server has the run, and all of it."""
    with Server(tmp_path, kind, code) as server:
        with server.stream(f"/runs/{run.id}/log") as response:
            seen = response.read1()
            server.kill()
            with contextlib.suppress(OSError, http.client.HTTPException):
                while data := response.read1():
                    seen += data
        server.start()
        assert run.outcome is None
        (tmp_path / "go").touch()
        seen += server.ask("GET", f"/runs/{run.id}/log?offset={len(seen)}")[2]
    assert run.wait().code == 0
    assert seen == run.output(encoding=None)


def test_slow_readers_cost_no_memory(store: Store, tmp_path: Path) -> None:
    """R11: clients that never read a 100 MB log do not have the server hold it for them."""
    run = store.start(["head", "-c", "100000000", "/dev/zero"])
    run.wait()
    with Server(tmp_path, "uvicorn", ASGI) as server, contextlib.ExitStack() as clients:
        assert server.process is not None
        server.ask("GET", f"/runs/{run.id}")
        before = resident(server.process.pid)
        for _ in range(30):
            client = clients.enter_context(socket.create_connection(("127.0.0.1", server.port), LONG))
            client.sendall(f"GET /runs/{run.id}/log HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            assert client.recv(1, socket.MSG_PEEK)
        assert server.ask("GET", f"/runs/{run.id}/log?tail_bytes=1&follow=0")[0] == 200
        grown = resident(server.process.pid) - before
    assert grown < 30 * 1024 * 1024, "at most 1 MiB for each"


def test_clients_that_leave_are_forgotten(store: Store, tmp_path: Path) -> None:
    """R8: 300 connects and disconnects leave no descriptor in the server."""
    run = store.start(["sleep", "100"])
    with Server(tmp_path, "uvicorn", ASGI) as server:
        assert server.process is not None
        fds = Path(f"/proc/{server.process.pid}/fd")
        server.ask("GET", f"/runs/{run.id}")
        before = len(list(fds.iterdir()))
        for at in range(300):
            accept = ["text/plain", "text/event-stream", "application/x-ndjson"][at % 3]
            with server.stream(f"/runs/{run.id}/log", Accept=accept):
                pass
        wait_until(lambda: len(list(fds.iterdir())) <= before + 4, what="the end of the connections")


def children(pid: int) -> list[int]:
    """Return the processes whose parent is this one."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == pid:
                    found.append(int(entry.name))
    return found


def resident(pid: int) -> int:
    """Return the resident memory of a process, in bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024
