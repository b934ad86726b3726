"""What the supervisor of an idle run has in memory: its share, and the pages that are its own.

    .venv/bin/python scripts/supervisor_memory.py [RUNS]

Starts RUNS runs (50) of `sleep` in one store, waits until each supervisor has come to rest, and prints the
PSS (proc_pid_smaps(5)) of one, the mean of all, and that of the forkserver; then, for the supervisor with the
median, where its private pages are, in KiB, and how many modules the forkserver has loaded. Shared pages are
those that were not written to since the fork: PSS divides each by who shares it.
"""

from __future__ import annotations

import contextlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter

from runcast import Run, Store
from runcast.run.base import files_of
from runcast.supervisor.launch import PACKAGE_ROOT, environment, interpreter

_SETTLE_SECONDS = 3.0  # a supervisor looks whether its run waits for input, and syncs run.json, in that time


def mappings(pid: int) -> list[tuple[str, Counter[str]]]:
    """Return the mappings of a process, each with its figures in KiB."""
    found: list[tuple[str, Counter[str]]] = []
    with open(f"/proc/{pid}/smaps") as file:
        for line in file:
            first, *rest = line.split()
            if not first.endswith(":"):
                name = rest[4] if len(rest) > 4 else "memory of Python's own allocator"
                found.append((name.rsplit("/", 1)[-1], Counter()))
            elif rest[0].isdigit():
                found[-1][1][first[:-1]] += int(rest[0])
    return found


def pss(pid: int) -> int:
    """Return the share of a process in the memory, in KiB."""
    return sum(figures["Pss"] for _, figures in mappings(pid))


def modules() -> int:
    """Return how many modules a forkserver has loaded when it begins."""
    code = (
        f"import sys; sys.path.insert(0, {PACKAGE_ROOT!r}); import runcast.supervisor.forkserver; "
        "import runcast.supervisor.terminal; print(len(sys.modules))"
    )
    command = [interpreter(), "-I", "-S", "-X", "utf8", "-c", code]
    return int(subprocess.run(command, capture_output=True, check=True, env=environment()).stdout)


def parent(pid: int) -> int:
    """Return the parent of a process."""
    with open(f"/proc/{pid}/stat") as file:
        return int(file.read().rpartition(")")[2].split()[1])


def report(runs: list[Run]) -> None:
    """Print the tables."""
    pids = [files_of(run).state()["supervisor"] for run in runs]
    shares = sorted((pss(pid), pid) for pid in pids)
    share, pid = shares[len(shares) // 2]
    print(f"PSS of a supervisor, {len(runs)} at once: median {share} KiB, ", end="")
    print(f"mean {statistics.mean(one for one, _ in shares):.0f}, most {shares[-1][0]}")
    print(f"PSS of the forkserver: {pss(parent(pid))} KiB; modules that it has loaded: {modules()}")
    print(f"{'private':>8} {'shared':>8}  KiB of the one in the middle, by what it is")
    total: dict[str, Counter[str]] = {}
    for name, figures in mappings(pid):
        total.setdefault(name, Counter()).update(figures)
    rows = [(one["Private_Dirty"] + one["Private_Clean"], one["Rss"], name) for name, one in total.items()]
    for private, resident, name in sorted(rows, reverse=True):
        if private:
            print(f"{private:8} {resident - private:8}  {name}")
    rest = [(resident, name) for private, resident, name in rows if not private]
    print(f"{0:8} {sum(resident for resident, _ in rest):8}  {len(rest)} others, all of it shared")
    print(f"{sum(one for one, *_ in rows):8} {sum(one - two for two, one, _ in rows):8}  all")


def main(count: int) -> None:
    """Start the runs, and end them."""
    with tempfile.TemporaryDirectory(prefix="runcast-memory-") as folder, contextlib.ExitStack() as stack:
        store = Store.open(f"{folder}/store")
        runs = []
        for _ in range(count):
            runs.append(store.start(["sleep", "600"]))
            stack.callback(runs[-1].wait)
            stack.callback(runs[-1].kill)
        time.sleep(_SETTLE_SECONDS)
        report(runs)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 50)
