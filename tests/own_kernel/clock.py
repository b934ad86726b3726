"""The clock of a machine jumps while runs go on, on two hosts and an engine: a kernel has one.

Only on a kernel that is a program of the test: never on this machine's.
"""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from runcast import Reason, Run, State
from runcast.keep import Keep
from runcast.retention import sweep as sweeps
from runcast.retention.prune import prune
from runcast.store.links import read_status
from tests.helpers.engines import Server, serving, valkey
from tests.helpers.link_hosts import PATIENCE, Host, linked_hosts
from tests.helpers.talkers import Talker
from tests.helpers.wait import wait_until

HOUR, DAY = 3600, 86400
LOST_AFTER = 4.0  # seconds: a lease is one


def jump(seconds: float) -> None:
    """Set the clock."""
    assert "User Mode Linux" in Path("/proc/cpuinfo").read_text(), "expected a kernel of the test's own"
    time.clock_settime(time.CLOCK_REALTIME, time.time() + seconds)


@pytest.fixture(name="engine")
def engine_fixture(tmp_path: Path) -> Iterator[Server]:
    """A server of Valkey."""
    with serving(valkey(), tmp_path / "engine") as server:
        yield server


@pytest.fixture(name="two")
def two_fixture(tmp_path: Path, engine: Server) -> Iterator[list[Host]]:
    """Two hosts."""
    with linked_hosts(tmp_path, engine.url, "rc:", lost_after=LOST_AFTER) as hosts:
        yield hosts


def took(run: Run) -> float:
    """Return how long a run took, in seconds."""
    outcome = run.wait(timeout=PATIENCE)
    return outcome.ended_at - (run.started_at or 0)


def pass_seconds(seconds: float) -> None:
    """Let a time go by that nobody sets."""
    until = time.monotonic() + seconds
    wait_until(lambda: time.monotonic() >= until, 2 * PATIENCE)


def check_kept(a: Host, b: Host, run: Run) -> None:
    """Check that a run which ended a moment ago is not removed by its age, and that no age is nonsense."""
    for host in (a, b):
        assert sweeps.sweep(host.store.path, every=0, quiet=0) == 0
        assert list(prune(host.store.path, Keep(seconds=HOUR))) == []
        assert host.has(run)
    assert 0 <= took(run) < 60


def test_jumps(two: list[Host]):
    """Each byte comes once, no run is lost or removed, a deadline holds, and ends are behind begins."""
    a, b = two
    talker = Talker(a, b)
    begun = time.monotonic()
    impatient = a.store.start(["sleep", "600"], timeout=8)
    patient = a.store.start(["sleep", "600"], timeout=900)
    over = a.store.start(["echo", "one"], keep=Keep(seconds=HOUR))
    assert over.wait(timeout=PATIENCE).ok
    assert b.get(over).output(timeout=PATIENCE) == "one\n"
    for seconds in (DAY, -DAY, -DAY, DAY + HOUR, -HOUR):
        talker.talk(300)
        jump(seconds)
        talker.talk(300)
        end = talker.said()
        wait_until(lambda end=end: talker.here(end), PATIENCE, f"all at the other host after {seconds} s")  # type: ignore[misc]
        assert patient.state is State.RUNNING
        check_kept(a, b, over)
    jump(-DAY)
    pass_seconds(1.5 * LOST_AFTER)  # longer than a host may be silent

    assert impatient.wait(timeout=PATIENCE).reason is Reason.TIMED_OUT
    assert 7.9 < time.monotonic() - begun
    assert 7.9 < took(impatient) < 2 * DAY  # by the clock of its end, which may be ahead
    assert b.get(impatient).wait(timeout=PATIENCE).reason is Reason.TIMED_OUT
    assert patient.state is State.RUNNING
    assert all("silent" not in (read_status(host.store.path).message or "") for host in two)  # type: ignore[union-attr]
    patient.kill()
    talker.finish(300)
    assert 7.9 < took(talker.run) < HOUR
