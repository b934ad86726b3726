"""Hosts on networks of their own, whose links are cut: nothing is lost, doubled, or done late."""

import contextlib
import json
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from runcast.store.links import read_status
from tests.helpers.cli import RUNCAST
from tests.helpers.link_hosts import PATIENCE, files, same
from tests.helpers.networks import TOKEN, Engine, Machine, Network, Site, networked
from tests.helpers.wait import wait_until

PORT = 8765
COUNTS = (
    "import itertools, os, time\nfor n in itertools.count():\n print('line', n, 'x' * (n % 97), flush=True)\n"
)
PACED = f"{COUNTS} time.sleep(0.002)\n if os.path.exists('end'): break"
# Says what it reads, and that it lives: what came late would be seen before what is sent later.
ECHO = "while read -r word; do echo got $word; done"

pytestmark = [pytest.mark.fault, pytest.mark.root]


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """Three machines."""
    with networked(tmp_path_factory.mktemp("network"), "abc") as network:
        yield network


@pytest.fixture(scope="module")
def engine(network: Network) -> Iterator[Engine]:
    """A server of Valkey in their network."""
    with network.engine() as engine:
        yield engine


@contextlib.contextmanager
def followed(machine: Machine, run_id: str) -> Iterator[list[bytes]]:
    """Give what somebody on a machine receives of a run from the server there, as it comes."""
    received: list[bytes] = []
    connection = machine.connect(PORT)
    connection.request("GET", f"/runs/{run_id}/log?follow=1", headers={"Authorization": f"Bearer {TOKEN}"})
    response = connection.getresponse()
    assert response.status == 200, response.read()

    def read() -> None:
        while data := response.read1():
            received.append(data)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield received
        reader.join(PATIENCE)
        assert not reader.is_alive()
    finally:
        connection.close()


def shared(site: Site) -> bool:
    """Return whether the agent of a store has its link."""
    status = read_status(str(site.path))
    return status is not None and status.up


def whole(site: Site, run_id: str) -> None:
    """Wait until all of a run is at a host."""
    assert site.cli("log", run_id, stdout=None).code == 0
    wait_until(lambda: (site.path / run_id / "outcome.json").exists(), PATIENCE)
    wait_until(lambda: site.run(run_id).closed, PATIENCE, "all of it")


def test_link_is_cut_twice(tmp_path: Path, network: Network, engine: Engine):
    """A run goes on at its own pace while its host is cut off; a viewer elsewhere goes on when it is back."""
    a, b = (Site(network.machines[name], tmp_path / name, engine.url, prefix="cut:") for name in "ab")
    run_id = a.start("python3", "-uc", PACED, cwd=str(tmp_path))
    wait_until(lambda: b.listed(run_id), PATIENCE)
    with b.serving(PORT), followed(b.machine, run_id) as received:
        for silently in (False, True):
            wait_until(lambda: sum(map(len, received)) > 1000, PATIENCE, "output")
            with network.cut("a", silently=silently):
                before = a.run(run_id).tail_offset
                wait_until(lambda: not shared(a), PATIENCE, "a host that knows that it is cut off")
                had = sum(map(len, received))
                assert a.run(run_id).tail_offset > max(had, before)
                assert shared(b)
            wait_until(lambda had=had: sum(map(len, received)) > had, PATIENCE, "more")  # type: ignore[misc]
        (tmp_path / "end").touch()
    whole(b, run_id)
    same(a.run(run_id), b.run(run_id))
    log = b"".join(chunk.data for chunk in a.run(run_id).log().read(0, limit=1 << 30).chunks)
    assert b"".join(received) == log


@pytest.mark.parametrize("cut", ["a", "b"])
def test_control_while_cut_off(tmp_path: Path, network: Network, engine: Engine, cut: str):
    """What is sent to a run on the other side of the cut is an error, and is not done later either."""
    a, b = (Site(network.machines[name], tmp_path / name, engine.url, prefix=f"c{cut}:") for name in "ab")
    apart = {"a": "host a does not answer", "b": "its host a cannot be reached, the link is down"}[cut]
    run_id = a.start("sh", "-c", ECHO, stdin="pipe")
    stdin = f"/runs/{run_id}/stdin"
    wait_until(lambda: b.listed(run_id), PATIENCE)
    with b.serving(PORT), followed(b.machine, run_id) as received:
        assert b.ask(PORT, "POST", stdin, b"one\n")[0] == 204
        wait_until(lambda: received == [b"got one\n"], PATIENCE)
        with network.cut(cut, silently=True):
            with b.machine.begun(RUNCAST, "--store", b.url, "stop", run_id, stderr=subprocess.PIPE) as stop:
                status, body = b.ask(PORT, "POST", stdin, b"two\n")
                _, said = stop.communicate(timeout=PATIENCE)
            problem = json.loads(body)
            assert (status, problem["error"]) == (503, "HostUnreachable")
            assert apart in problem["detail"]
            assert (stop.returncode, apart in said.decode()) == (2, True), said
        wait_until(lambda: b.ask(PORT, "POST", stdin, b"three\n")[0] == 204, PATIENCE)
        wait_until(lambda: b"three" in b"".join(received), PATIENCE)
        assert b"".join(received) == b"got one\ngot three\n"
        assert b.cli("stop", run_id).code == 0
    whole(b, run_id)
    same(a.run(run_id), b.run(run_id))
    assert outcome(a, run_id)["reason"] == "stopped"


def outcome(site: Site, run_id: str) -> dict[str, object]:
    """Return how a run ended, as a host has it."""
    found: dict[str, object] = json.loads((site.path / run_id / "outcome.json").read_text())
    return found


def test_host_is_back_too_late(tmp_path: Path, network: Network, engine: Engine):
    """Its run is lost once for all others, goes on there, and stays whole in its own files, as it is told."""
    words = {"prefix": "late:", "lost_after": 4}
    a, b, c = (Site(network.machines[name], tmp_path / name, engine.url, **words) for name in "abc")
    run_id = a.start("python3", "-uc", PACED, cwd=str(tmp_path))
    for site in (b, c):
        wait_until(lambda site=site: site.listed(run_id), PATIENCE)  # type: ignore[misc]
    with network.cut("a"):
        for site in (b, c):
            wait_until(lambda site=site: (site.listed(run_id) or {})["outcome"], PATIENCE)  # type: ignore[misc]
        lost = outcome(b, run_id)
        assert (lost["reason"], lost["message"]) == ("lost", "host a was silent for 4 s")
        assert outcome(c, run_id) == lost
    wait_until(lambda: f"run {run_id} was ended at the link, not by this host" in a.status, PATIENCE)
    (tmp_path / "end").touch()
    assert a.cli("wait", run_id).code == 0
    assert outcome(a, run_id)["code"] == 0
    for site in (b, c):
        assert site.cli("log", run_id).code == 0
        assert outcome(site, run_id) == lost
        assert files(a.run(run_id)).startswith(files(site.run(run_id)))
    second = a.start("echo", "shared as ever")
    wait_until(lambda: b.cli("log", second).out == b"shared as ever\n", PATIENCE)
