"""Viewers that go from one host to the other, without stickiness: each byte once, and one end."""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from runcast import Run
from tests.helpers.engines import serving, valkey
from tests.helpers.hopping import Hopper
from tests.helpers.link_hosts import PATIENCE, Host, linked_hosts
from tests.helpers.servers import ASGI, Server
from tests.helpers.wait import wait_until

HOPS = int(os.environ.get("RUNCAST_HOPS", "300"))
PROGRAM = """
import itertools, os, time
for n in itertools.count():
    print("line", n, flush=True)
    time.sleep(0.001)
    if n % 100 == 0 and os.path.exists("end"): break
"""

pytestmark = pytest.mark.slow


@contextlib.contextmanager
def two_servers(folder: Path) -> Iterator[tuple[Host, Host, list[Server]]]:
    """Give two hosts, each with a server."""
    with (
        serving(valkey(), folder / "valkey") as engine,
        linked_hosts(folder, engine.url, "rc:") as (a, b),
        contextlib.ExitStack() as stack,
    ):
        servers = []
        for host in (a, b):
            place = folder / f"server-{host.name}"
            place.mkdir()
            servers.append(stack.enter_context(Server(place, "uvicorn", ASGI, store=host.store)))
        yield a, b, servers


def end(run: Run, folder: Path) -> str:
    """Have the run end; return its output."""
    (folder / "end").touch()
    assert run.wait(timeout=PATIENCE).ok
    return run.output()


@pytest.mark.timeout(600 + HOPS)
def test_hops_at_every_event(tmp_path: Path):
    """Event streams, polls and WebSockets, each at the other host: exact, one end, and nothing refused."""
    with two_servers(tmp_path) as (a, b, servers):
        run = a.store.start(["python3", "-c", PROGRAM], cwd=str(tmp_path))
        b.get(run)
        viewer = Hopper(servers, run.id)
        while viewer.hops < HOPS:
            viewer.hop()
        assert viewer.exits == 0
        written = end(run, tmp_path)
        while not viewer.exits:
            viewer.hop()

        assert "".join(viewer.text) == written
        assert (viewer.exits, viewer.statuses) == (1, {200})
        assert written.splitlines() == [f"line {number}" for number in range(written.count("\n"))]
        for server in servers:
            asked = {"Accept": "text/event-stream", "Last-Event-ID": f"{run.id}:end"}
            assert server.ask("GET", f"/runs/{run.id}/log", **asked)[0] == 204


def test_host_that_is_behind(tmp_path: Path):
    """A viewer that is ahead of a host, whose agent is held up, waits there for what comes next."""
    with two_servers(tmp_path) as (a, b, servers):
        run = a.store.start(["sh", "-c", "echo one; read word; echo $word; cat"], stdin="pipe")
        b.get(run)
        here, there = (Hopper([server], run.id) for server in servers)
        there.hop()
        assert there.text == ["one\n"]
        agent = b.begin()
        os.kill(agent, signal.SIGSTOP)
        try:
            run.send(b"two\n")
            for _ in range(2):
                here.hop()
            assert here.text == ["one\n", "two\n"]
            viewers = [Hopper([servers[1]], run.id) for _ in range(3)]
            for number, viewer in enumerate(viewers):
                viewer.offset, viewer.hops = here.offset, number
            threads = [threading.Thread(target=viewer.hop) for viewer in viewers]
            for thread in threads:
                thread.start()
            run.send(b"three\n")
            wait_until(lambda: _connections(servers[1].port) >= 3, PATIENCE, "three viewers")
            assert all(thread.is_alive() for thread in threads)
        finally:
            os.kill(agent, signal.SIGCONT)
        for thread in threads:
            thread.join(PATIENCE)
        assert [viewer.text for viewer in viewers] == [["three\n"]] * 3
        assert {status for viewer in viewers for status in viewer.statuses} == {200}
        run.kill()
        wait_until(lambda: b.get(run).outcome, PATIENCE)


def _connections(port: int) -> int:
    """Return how many clients are connected to a port."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(int(row[1].split(":")[1], 16) == port and row[3] == "01" for row in rows)
