"""R21: the wall clock jumps. Output, its order and all deadlines take no notice.

The supervisors of these tests read a wall clock that the test sets: the standard library's is
replaced in the forkserver before it starts. The monotonic clock, as on a real machine, never jumps.
"""

import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest

from runcast import Reason, Store
from runcast.supervisor.launch import _context
from tests.helpers.children import collect
from tests.helpers.wait import MS

DEADLINE = 10000 * MS
HOUR = 3600
YEARS = 10 * 365 * 24 * HOUR

pytestmark = pytest.mark.fault

FORKSERVER = """
import sys, time
store, name, clock = sys.argv[1:]
seconds, nanoseconds = time.time, time.time_ns

def ahead():
    with open(clock) as file:
        return int(file.read() or 0)

time.time = lambda: seconds() + ahead()
time.time_ns = lambda: nanoseconds() + ahead() * 10**9
from runcast.supervisor.forkserver import main
main(store, name)
"""


@pytest.fixture(name="clock")
def settable_clock(store: Store, tmp_path: Path) -> Path:
    """Start the store's forkserver with a clock that is as many seconds ahead as a file says."""
    clock = tmp_path / "clock"
    clock.write_text("0")
    # The comment at the end is how the store's processes are found, and ended, by their command line.
    code = f"{FORKSERVER}\n# forkserver import main; main({store.path!r}, "
    name = f".supervisors/{_context()}"
    subprocess.run([sys.executable, "-c", code, store.path, name, str(clock)], check=True, timeout=DEADLINE)
    return clock


def set_clock(clock: Path, ahead: int) -> None:
    clock.with_suffix(".new").write_text(str(ahead))
    clock.with_suffix(".new").rename(clock)


def test_the_clock_is_the_supervisors(store: Store, clock: Path):
    """The clock that the test sets is the one that the supervisor tells the time by."""
    set_clock(clock, YEARS)
    run = store.start(["true"])

    assert run.wait(timeout=DEADLINE).ended_at > run.created_at + YEARS - 60


def test_output_while_the_clock_jumps(store: Store, clock: Path):
    """R21: jumps of an hour and of ten years, either way: the same bytes, in order, times never back."""
    run = store.start(["sh", "-c", "while read line; do echo $line; echo $line >&2; done"], stdin="pipe")
    chunks = run.follow()
    jumps = (0, HOUR, -HOUR, YEARS, -YEARS, 0)
    for number, ahead in enumerate(jumps):
        set_clock(clock, ahead)
        run.send(f"line {number}\n")
        seen = b""
        while seen.count(b"\n") < 2:  # both channels: it has been written, with whatever time
            chunk = next(chunks)
            assert chunk is not None
            seen += chunk.data
    run.send("", eof=True)
    run.wait(timeout=DEADLINE)
    collected = collect(run.follow())
    times = [chunk.time for chunk in run.follow() if chunk]

    expected = "".join(f"line {number}\n" for number in range(len(jumps))).encode()
    assert collected.of("stdout") == collected.of("stderr") == expected
    assert collected.faults == []
    assert all(former <= later for former, later in pairwise(times))
    assert times[-1] - times[0] < HOUR


@pytest.mark.parametrize("ahead", [YEARS, -YEARS])
def test_deadlines(store: Store, clock: Path, ahead: int):
    """R21: a timeout neither comes early nor is forgotten because the clock jumps."""
    code = "echo up; read line"
    patient = store.start(["sh", "-c", code], stdin="pipe", timeout=600, idle_timeout=600)
    impatient = store.start(["sh", "-c", code], stdin="pipe", timeout=500 * MS)
    idle = store.start(["sh", "-c", code], stdin="pipe", idle_timeout=500 * MS)
    for run in (patient, impatient, idle):
        assert next(run.lines()) == "up"

    set_clock(clock, ahead)

    assert impatient.wait(timeout=DEADLINE).reason is Reason.TIMED_OUT
    assert idle.wait(timeout=DEADLINE).reason is Reason.IDLE_TIMED_OUT
    patient.send("line\n")
    assert patient.wait(timeout=DEADLINE).ok


@pytest.mark.parametrize("ahead", [HOUR, -HOUR])
def test_end(store: Store, clock: Path, ahead: int):
    """R21: where the clock is set back a run took as long as it did; none ends before it began."""
    run = store.start(["sh", "-c", "echo up; read line"], stdin="pipe")
    assert next(run.lines()) == "up"
    begun = time.monotonic()

    set_clock(clock, ahead)
    run.send("line\n")
    outcome = run.wait(timeout=DEADLINE)

    assert run.started_at is not None
    took = outcome.ended_at - run.started_at - max(ahead, 0)
    assert 0 <= took <= time.monotonic() - begun + DEADLINE


def test_grace(store: Store, clock: Path):
    """R21: the grace of a stop is as long as it was asked for, whatever the clock does."""
    code = "trap '' TERM; echo up; while :; do sleep 0.05; done"
    run = store.start(["sh", "-c", code])
    assert next(run.lines()) == "up"
    run.stop(grace=0.3)

    set_clock(clock, -YEARS)

    assert run.wait(timeout=DEADLINE).reason is Reason.STOPPED
