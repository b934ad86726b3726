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
from tests.helpers.cut_readers import WSGI_READERS, read_cut
from tests.helpers.processes import Held
from tests.helpers.servers import ASGI, LONG, WSGI, Server
from tests.helpers.wait import wait_until

pytestmark = pytest.mark.fault

LINES = 3000
KILLS = 5
# Both channels, in numbered lines; waits for `go` half way, so that faults hit a run that goes on.
CHILD = f"""
import os, sys, time
for at in range({LINES}):
    os.write(1 + at % 2, b"%06d on %d\\n" % (at, at % 2))
    if at == {LINES // 2}:
        while not os.path.exists("go"):
            time.sleep(0.01)
"""


@pytest.fixture(params=[False, True], ids=["pipes", "terminal"])
def run(store: Store, tmp_path: Path, request: pytest.FixtureRequest) -> Run:
    """Start the numbered lines."""
    (tmp_path / "child.py").write_text(CHILD)
    run = store.start(["python3", "-S", "child.py"], cwd=tmp_path, tty=request.param)
    wait_until(lambda: run.tail_offset >= 12 * (LINES // 2), what="half of the lines")
    return run


def test_killed_workers_lose_nothing(run: Run, tmp_path: Path) -> None:
    """R1: with workers killed at random in mid-output, eight clients, one a transport, have it all."""
    with Server(tmp_path, "gunicorn", WSGI, workers=2) as server:
        readers = [kind(server.port, run.id) for kind in WSGI_READERS]
        wrong: list[str] = []
        reading = threading.Thread(target=lambda: wrong.extend(read_cut(readers, 2)))
        reading.start()
        try:
            kill_workers(server, KILLS, tmp_path / "go")
        finally:
            reading.join()
    assert wrong == []
    for reader in readers:
        reader.expect(run.output(encoding=None))


def kill_workers(server: Server, times: int, go: Path) -> None:
    """Kill a random worker again and again, each time when two are there; half way the run goes on."""
    assert server.process is not None
    rng, main = random.Random(1), server.process.pid
    for number in range(times):
        workers = wait_until(lambda: len(found := children(main)) == 2 and found, timeout=LONG)
        os.kill(rng.choice(workers), signal.SIGKILL)
        if number == times // 2:
            go.touch()
        wait_until(lambda workers=workers: set(children(main)) != set(workers), timeout=LONG)


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
        before = Held.of(server.process.pid).resident
        for _ in range(30):
            client = clients.enter_context(socket.create_connection(("127.0.0.1", server.port), LONG))
            client.sendall(f"GET /runs/{run.id}/log HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            assert client.recv(1, socket.MSG_PEEK)
        assert server.ask("GET", f"/runs/{run.id}/log?tail_bytes=1&follow=0")[0] == 200
        grown = Held.of(server.process.pid).resident - before
    assert grown < 30 * 1024 * 1024, "at most 1 MiB for each"


def children(pid: int) -> list[int]:
    """Return the processes whose parent is this one."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == pid:
                    found.append(int(entry.name))
    return found
