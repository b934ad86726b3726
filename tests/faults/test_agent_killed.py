"""Agents are killed at random, at both ends, while output flows: another one goes on, and nothing is lost."""

import contextlib
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from runcast.model import Reason
from runcast.run.base import files_of
from tests.helpers.engines import Server, serving, valkey
from tests.helpers.link_hosts import PATIENCE, Host, linked_hosts, same
from tests.helpers.wait import MS, wait_until

KILLS = int(os.environ.get("RUNCAST_AGENT_KILLS", "10"))
PROGRAM = (
    "import sys, time\n"
    "for number in range(10**9):\n"
    "    print('line', number, 'x' * (number % 97)); number % 7 or print('error', number, file=sys.stderr)\n"
    "    number % 500 or (sys.stdout.flush(), time.sleep(0.01))\n"
    "    if number % 5000 == 0 and __import__('os').path.exists('end'): break\n"
)

pytestmark = pytest.mark.fault


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Server]:
    """A server of Valkey."""
    with serving(valkey(), tmp_path / "valkey") as server:
        yield server


def kill_agents(hosts: list[Host], seed: int) -> int:
    """Kill the agent of one host after the other, at random moments; return how many were killed."""
    chance, kills = random.Random(seed), 0
    while kills < KILLS:
        host = chance.choice(hosts)
        pid = wait_until(lambda host=host: host.agent, PATIENCE, f"an agent of {host.name}")  # type: ignore[misc]
        time.sleep(chance.uniform(0.0, 0.3))  # not for anything: where it is killed is to be random
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            kills += 1
        wait_until(lambda host=host, pid=pid: host.agent not in (None, pid), PATIENCE)  # type: ignore[misc]
    return kills


def test_agents_killed_at_random(tmp_path: Path, engine: Server):
    """A follower elsewhere gets each byte once, and the run is not touched."""
    with linked_hosts(tmp_path, engine.url, "rc:") as hosts:
        a, b = hosts
        run = a.store.start(["python3", "-u", "-c", PROGRAM], cwd=str(tmp_path))
        pid = wait_until(lambda: files_of(run).state().get("pid"), PATIENCE, "a command")
        mirror = b.get(run)
        received: list[bytes] = []
        follower = threading.Thread(
            target=lambda: received.extend(chunk.data for chunk in mirror.follow() if chunk is not None)
        )
        follower.start()
        wait_until(lambda: received, PATIENCE, "output")

        assert kill_agents(hosts, 1) == KILLS
        assert files_of(run).state()["pid"] == pid
        (tmp_path / "end").touch()
        outcome = run.wait(timeout=PATIENCE)
        assert outcome.reason is Reason.EXITED
        follower.join(PATIENCE * 2)
        assert not follower.is_alive()

        wait_until(lambda: mirror.closed, PATIENCE)
        same(run, mirror)
        assert b"".join(received) == b"".join(chunk.data for chunk in run.follow())
        assert len(received) > KILLS
        wait_until(lambda: mirror.outcome == run.outcome, 5000 * MS)
