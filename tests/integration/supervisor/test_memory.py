"""What a supervisor has in memory of its own."""

import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from runcast import Run, Store
from tests.helpers.children import supervisor_of
from tests.helpers.wait import MS, wait_until

RUNS = 10
REST_SECONDS = 1.2  # a supervisor does the last of a start, a sync of `run.json`, after a second
# docs/explanation/performance.md says which pages these are. Between two forkservers it differs: 2,524 to
# 2,588 were seen. One library more that each supervisor runs costs 70 and up.
MOST_PRIVATE_KIB = 2624


class AtRest:
    """Tells whether a process has touched no page for a while."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._faults, self._since = -1, 0.0

    def __call__(self) -> bool:
        with open(f"/proc/{self._pid}/stat") as file:
            faults = int(file.read().rpartition(")")[2].split()[7])
        if faults != self._faults:
            self._faults, self._since = faults, time.monotonic()
        return time.monotonic() - self._since > REST_SECONDS


@pytest.fixture
def runs(store: Store) -> Iterator[list[Run]]:
    """Several runs that do nothing."""
    with ExitStack() as stack:
        runs = []
        for _ in range(RUNS):
            runs.append(store.start(["sleep", "600"]))
            stack.callback(runs[-1].wait)
            stack.callback(runs[-1].kill)
        yield runs


def private_kib(pid: int) -> int:
    """Return how much memory no other process has."""
    with open(f"/proc/{pid}/smaps_rollup") as file:
        return sum(int(line.split()[1]) for line in file if line.startswith("Private_"))


@pytest.mark.slow
def test_supervisor_has_little_memory_of_its_own(runs: list[Run]):
    """The supervisor of a run that is idle shares most of its memory with the others."""
    pids = [supervisor_of(run) for run in runs]
    resting = [AtRest(pid) for pid in pids]
    wait_until(lambda: [one() for one in resting] == [True] * RUNS, 10000 * MS, what="supervisors at rest")

    assert statistics.median(map(private_kib, pids)) <= MOST_PRIVATE_KIB
