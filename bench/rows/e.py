"""E: what a supervised run costs: its start, its memory, and how many a second.

Beside `subprocess.Popen`, which supervises nothing, and a detached shell, which keeps the output
and the exit code in files and nothing else.
"""

from __future__ import annotations

import contextlib
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeVar

from bench import processes
from bench.bench import Bench
from bench.measure import OURS, alternate, quantiles
from bench.peers.shim import Shim
from bench.row import Figure, Goal, Row, Skipped
from bench.stores import WarmStore, settle, warm_store
from runcast.run import Run

_PAUSE = 0.005  # seconds between two starts: each is a start by itself, not one in a burst
_SLEEPERS = 20
_THREADS = 4

Started = TypeVar("Started")


def measure(bench: Bench) -> Iterator[Figure]:
    """Yield the figures with the store in memory, then those that a disk changes."""
    with bench.memory() as folder, warm_store(folder) as warm:
        yield from _latency(bench, warm, folder, "")
        yield _memory(bench, warm, folder)
        yield from _throughput(bench, warm, "")
    if bench.quick:
        return
    try:
        with bench.disk() as folder, warm_store(folder) as warm:
            yield from _latency(bench, warm, folder, ", on disk")
            yield from _throughput(bench, warm, ", on disk")
    except Skipped as why:
        yield Figure("on disk", note=str(why))


def _latency(bench: Bench, warm: WarmStore, folder: str, where: str) -> Iterator[Figure]:
    count = bench.pick(100, 30)
    found = alternate(
        bench,
        f"E: start and first byte{where}",
        {
            OURS: partial(_timed, count, warm.store.start, lambda run: next(run.follow()), settle),
            "Popen": partial(_timed, count, _popen, _read_pipe, lambda child: child.communicate()),
            "sh shim": partial(_timed, count, partial(Shim, folder), Shim.wait_for_output, Shim.wait),
        },
    )
    yield found.figure("start p50", f"start, p50{where}", "ms", goals=(Goal(2.0),))
    yield found.figure("start p99", f"start, p99{where}", "ms")
    yield found.figure("first p50", f"first byte of `echo hi`, p50{where}", "ms")
    yield found.figure("first p99", f"first byte of `echo hi`, p99{where}", "ms")


def _timed(
    count: int,
    start: Callable[[list[str]], Started],
    first_output: Callable[[Started], object],
    end: Callable[[Started], object],
) -> dict[str, float]:
    """Start something again and again; return how long that took, and until there was output (ms)."""
    starts, firsts = [], []
    for _ in range(count):
        begun = time.perf_counter()
        started = start(["true"])
        starts.append(time.perf_counter() - begun)
        end(started)
        time.sleep(_PAUSE)
        begun = time.perf_counter()
        started = start(["echo", "hi"])
        first_output(started)
        firsts.append(time.perf_counter() - begun)
        end(started)
        time.sleep(_PAUSE)
    return {
        f"{name} {share}": value * 1000
        for name, seconds in (("start", starts), ("first", firsts))
        for share, value in quantiles(seconds).items()
    }


def _popen(command: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def _read_pipe(child: subprocess.Popen[bytes]) -> None:
    assert child.stdout is not None
    child.stdout.read(1)


def _kill(run: Run) -> None:
    run.kill()
    settle(run)


def _memory(bench: Bench, warm: WarmStore, folder: str) -> Figure:
    command = ["sleep", "300"]

    def ours() -> dict[str, float]:
        with contextlib.ExitStack() as stack:
            runs = [warm.store.start(command) for _ in range(_SLEEPERS)]
            for run in runs:
                stack.callback(_kill, run)
            sleepers = {run.pid for run in runs}
            pids = [pid for pid in warm.processes() if pid not in sleepers]
            return {"pss": sum(map(processes.pss, pids)) / _SLEEPERS}

    def shim() -> dict[str, float]:
        with contextlib.ExitStack() as stack:
            shells = [Shim(folder, command) for _ in range(_SLEEPERS)]
            for shell in shells:
                stack.callback(shell.kill)
            return {"pss": sum(processes.pss(shell.pid) for shell in shells) / _SLEEPERS}

    found = alternate(bench, "E: memory", {OURS: ours, "sh shim": shim})
    return found.figure(
        "pss",
        f"memory a run (PSS), {_SLEEPERS} at once, with the forkserver and idle supervisors",
        "KiB",
        goals=(Goal(1536),),
    )


def _throughput(bench: Bench, warm: WarmStore, where: str) -> Iterator[Figure]:
    count = bench.pick(200, 80)

    def supervised() -> None:
        warm.store.start(["true"]).wait()

    def bare() -> None:
        subprocess.run(["true"], capture_output=True, check=True)

    for threads in (1, _THREADS):
        how = f"{threads} threads" if threads > 1 else "one loop"
        found = alternate(
            bench,
            f"E: short runs, {how}{where}",
            {
                OURS: partial(_rate, supervised, count, threads, warm.cpu),
                "subprocess.run": partial(_rate, bare, count, threads, processes.own_cpu),
            },
        )
        yield found.figure("wall", f"short runs a second, {how}{where}", "/s", higher=True)
        yield found.figure(
            "core",
            f"short runs a second and core, {how}{where}",
            "/s",
            higher=True,
            goals=(Goal(500),),
        )


def _rate(once: Callable[[], None], count: int, threads: int, cpu: Callable[[], float]) -> dict[str, float]:
    """Do something many times; return how often a second, and how often for a second of CPU."""

    def loop() -> None:
        for _ in range(count // threads):
            once()

    workers = [threading.Thread(target=loop) for _ in range(threads)]
    used, begun = cpu(), time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    seconds = time.perf_counter() - begun
    return {"wall": count / seconds, "core": count / (cpu() - used)}


ROW = Row("E", "supervised run: start, memory, short runs", measure, quick=True)
