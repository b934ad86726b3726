"""N: one process and two workers of `runcast serve`, with the same viewers.

Two cores that also have the viewers and the producer cannot show twice the lines a second. What they do show
is what the busiest process of the server spends on a line that all viewers get: with cores to themselves,
workers reach as many lines a second as that allows. Each worker encodes each line anew, so it is more than
half.
"""

from __future__ import annotations

import os
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from functools import partial

from bench import processes
from bench.bench import Bench
from bench.measure import Contender, alternate
from bench.peers.server import free_port, running
from bench.row import Figure, Goal, Row
from bench.rows.g import GREETINGS, LOST, measured, watched
from bench.stores import settle, warm_store

_VIEWERS, _RATE, _FORM = 1000, 100, "SSE"  # at a higher rate a burst has several lines, more where it is late
_SECONDS, _QUICK_SECONDS = 8, 3
_ONE, _TWO = "one process", "two workers"
_GAIN = 1.8
_START_SECONDS = 15.0


def measure(bench: Bench) -> Iterator[Figure]:
    """Yield what a line costs the busiest process and all of them, and the memory of each server."""
    lines = _RATE * bench.pick(_SECONDS, _QUICK_SECONDS)
    contenders: dict[str, Contender] = {
        _ONE: partial(_with_workers, bench, 1, lines),
        _TWO: partial(_with_workers, bench, 2, lines),
    }
    found = alternate(bench, f"N: {_VIEWERS} x {_RATE}, {_FORM}", contenders)
    what = f"two workers, {_VIEWERS} viewers x {_RATE} lines/s, {_FORM}"
    yield found.figure(LOST, f"{what}: lines lost or doubled", "", ours=_TWO, goals=(Goal(0),))
    goals = (Goal(1 / _GAIN, _ONE),)
    name = f"{what}: CPU of the busiest process, a line"
    yield found.figure("busiest", name, "us", ours=_TWO, goals=goals)
    yield found.figure("cpu", f"{what}: CPU of all processes, a line", "us", ours=_TWO)
    yield found.figure("p99", f"{what}: latency, p99", "ms", ours=_TWO)
    yield found.figure("rate", f"{what}: delivered", "/s", ours=_TWO, higher=True)
    memory = alternate(
        bench,
        "N: memory",
        {
            _TWO: lambda: {"all": _memory(bench, 2), "further": _memory(bench, 3) - _memory(bench, 2)},
            _ONE: lambda: dict.fromkeys(("all", "further"), _memory(bench, 1)),
        },
    )
    yield memory.figure("all", "two workers and their parent, idle: memory (PSS)", "KiB", ours=_TWO)
    yield memory.figure("further", "a further worker, idle: memory (PSS)", "KiB", ours=_TWO)


def _with_workers(bench: Bench, workers: int, lines: int) -> Mapping[str, float]:
    core = sorted(os.sched_getaffinity(0))[-1]
    port = free_port()
    with bench.memory() as folder, warm_store(folder) as warm:
        with running(_command(port, workers), port, env={"RUNCAST_STORE": warm.store.path}) as server:
            generate = f"read go; exec {bench.program('linegen')} {lines} -r {_RATE} -c {core}"
            run = warm.store.start(generate, shell=True, stdin="pipe")
            path, pids = f"/runs/{run.id}/log", _processes(server.pid, port, workers)
            with watched(bench, port, path, _FORM, GREETINGS[_FORM], _VIEWERS, _RATE, lines) as viewers:
                found = measured(viewers, pids, _VIEWERS, lambda: run.send("go\n"))
            settle(run)
    return found


def _memory(bench: Bench, workers: int) -> float:
    port = free_port()
    with bench.memory() as folder:
        with running(_command(port, workers), port, env={"RUNCAST_STORE": folder}) as server:
            return sum(map(processes.pss, _processes(server.pid, port, workers)))


def _processes(pid: int, port: int, workers: int) -> list[int]:
    """Return the processes of a server, when all are there: its port is open before its workers begin."""
    deadline = time.monotonic() + _START_SECONDS
    while len(found := processes.descendants(pid)) < (1 if workers == 1 else 1 + workers):
        assert time.monotonic() < deadline, "expected all workers"
        time.sleep(0.01)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=_START_SECONDS):
        return found


def _command(port: int, workers: int) -> list[str]:
    words = ["serve", "--no-auth", "--port", str(port), "--workers", str(workers)]
    return [sys.executable, "-m", "runcast", *words]


ROW = Row("N", "fan-out with two workers of one server, beside one process", measure)
