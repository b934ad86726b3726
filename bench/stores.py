"""Stores of ours, warm and accounted for: the forkserver runs, and ends with the benchmark."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator

from bench import processes
from runcast.run import Run
from runcast.run.base import files_of
from runcast.runs import Store

__all__ = ["WarmStore", "settle", "warm_store"]

_END_SECONDS = 5.0


class WarmStore:
    """A store whose forkserver is running."""

    def __init__(self, path: str) -> None:
        self.store = Store.open(path)
        settle(self.store.start(["true"]))

    def processes(self) -> list[int]:
        """Return the forkserver and all supervisors."""
        return processes.with_argument(self.store.path)

    def supervisor(self, run: Run) -> list[int]:
        """Return the supervisor of a run."""
        return [files_of(run).state()["supervisor"]]

    def cpu(self) -> float:
        """Return the CPU seconds so far of this process, the forkserver, all supervisors and all runs."""
        time.sleep(0.05)  # for the work of a supervisor after it has published the outcome
        return processes.own_cpu() + processes.all_cpu(self.processes())

    def end(self) -> None:
        """End the forkserver and its supervisors."""
        pids = self.processes()
        servers = [pid for pid in pids if processes.parent(pid) not in pids]
        deadline = time.monotonic() + _END_SECONDS
        while pids and time.monotonic() < deadline:
            for pid in servers:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
            time.sleep(0.01)
            pids = self.processes()


@contextlib.contextmanager
def warm_store(folder: str) -> Iterator[WarmStore]:
    """Give a store in a folder of the benchmark's."""
    warm = WarmStore(f"{folder}/store")
    try:
        yield warm
    finally:
        warm.end()


def settle(run: Run) -> None:
    """Wait until a run's log is closed; unlike `Run.wait` without any machinery of ours."""
    while not run.closed:
        time.sleep(0.0005)
