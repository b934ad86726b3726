"""Q: what runs of this process cost: generators that nobody reads, and the start of a function.

A lazy generator at rest is a folder and some objects: no thread, no descriptor. Half of them were
read once, so that their thread and their files came and went.
"""

from __future__ import annotations

import contextlib
import gc
import itertools
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial

from bench.bench import Bench
from bench.measure import OURS, alternate, quantiles
from bench.row import Figure, Goal, Row
from runcast.run import Run
from runcast.runs import Store

_GENERATORS, _QUICK = 1000, 300
_REST_SECONDS = 10.0  # at most, until the threads of those that were read are gone
_STARTS, _FEW = 300, 100


def measure(bench: Bench) -> Iterator[Figure]:
    """Yield the cost of generators at rest, then that of a function's start."""
    count = bench.pick(_GENERATORS, _QUICK)
    scale = _GENERATORS / count
    with bench.memory() as folder:
        store = Store.open(f"{folder}/store")
        store.start(int).wait()  # what the process pays once
        found = alternate(bench, "Q: idle generators", {OURS: partial(_in_own_process, store.path, count)})
        kept = found.figure("memory", "1,000 idle lazy generators, memory", "MiB", goals=(Goal(10),))
        yield kept if scale == 1 else _scaled(kept, scale)
        yield found.figure("fds", f"{count} idle lazy generators, descriptors", "", goals=(Goal(0),))
        yield found.figure("threads", f"{count} idle lazy generators, threads", "", goals=(Goal(0),))
        yield from _starts(bench, store)


def _scaled(figure: Figure, scale: float) -> Figure:
    ours = [value * scale for value in figure.ours]
    return Figure(figure.name, figure.unit, ours, goals=figure.goals, note="taken with fewer")


def _in_own_process(path: str, count: int) -> dict[str, float]:
    """Measure in a process of its own: memory that an earlier round gave back would be used again."""
    code = "import sys; from bench.rows.q import idle; idle(sys.argv[1], int(sys.argv[2]))"
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    command = [sys.executable, "-c", code, path, str(count)]
    found: dict[str, float] = json.loads(subprocess.check_output(command, cwd=root))
    return found


def idle(path: str, count: int) -> None:
    """Start generators, read every other once, and print what all of them cost at rest."""
    store = Store.open(path)
    store.start(iter(["first"])).wait()  # what the process pays once
    gc.collect()
    before, threads = _resident(), threading.active_count()
    descriptors = _descriptors()
    runs = [store.start(map(str, itertools.count())) for _ in range(count)]
    for run in runs[::2]:
        with contextlib.closing(store.get(run.id).lines()) as lines:  # type: ignore[type-var]
            next(lines)
    deadline = time.monotonic() + _REST_SECONDS
    while _threads_of_runs() and time.monotonic() < deadline:
        time.sleep(0.05)
    gc.collect()
    found = {
        "memory": (_resident() - before) / 2**20,
        "fds": _descriptors() - descriptors,
        "threads": threading.active_count() - threads,
    }
    print(json.dumps(found), flush=True)
    for run in runs:
        run.stop()
    for run in runs:
        run.wait()
        store.remove(run)


def _threads_of_runs() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith(("run ", "runcast sync"))]


def _resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def _starts(bench: Bench, store: Store) -> Iterator[Figure]:
    count = bench.pick(_STARTS, _FEW)

    def ours(work: Callable[[], None]) -> Callable[[], object]:
        run = store.start(work)
        return lambda: _end(store, run)

    def thread(work: Callable[[], None]) -> Callable[[], object]:
        bare = threading.Thread(target=work)
        bare.start()
        return bare.join

    contenders = {OURS: partial(_timed, ours, count), "threading.Thread": partial(_timed, thread, count)}
    found = alternate(bench, "Q: start of a function", contenders)
    for share in ("p50", "p99"):
        yield found.figure(f"begun {share}", f"a function's first line is reached, {share}", "us")
        yield found.figure(f"start {share}", f"start of a function returns, {share}", "us")


def _end(store: Store, run: Run) -> None:
    run.wait()
    store.remove(run)


def _timed(start: Callable[[Callable[[], None]], Callable[[], object]], count: int) -> dict[str, float]:
    """Start a function again and again; return how long until it began, and until the call returned (us)."""
    begun, returned = [], []
    for _ in range(count):
        reached: list[float] = []
        inside = threading.Event()

        def work(reached: list[float] = reached, inside: threading.Event = inside) -> None:
            reached.append(time.perf_counter())
            inside.set()

        at = time.perf_counter()
        end = start(work)
        returned.append(time.perf_counter() - at)
        inside.wait()
        begun.append(reached[0] - at)
        end()
    return {
        f"{name} {share}": value * 1e6
        for name, seconds in (("begun", begun), ("start", returned))
        for share, value in quantiles(seconds).items()
    }


ROW = Row("Q", "runs of this process: idle generators, the start of a function", measure, quick=True)
