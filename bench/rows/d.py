"""D: the latency of a line from write(2) to its followers, without HTTP.

The command stamps each line as it writes it (CLOCK_MONOTONIC, the same for all processes); the
reader looks at the clock when it has the bytes. Beside a plain pipe that Python reads: nothing
detached, nothing kept, one reader. The supervisor and the reader share a core, the command has
the other. Below some hundred lines a second every line finds all of them asleep.
"""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Callable, Iterator

from bench import processes
from bench.bench import Bench
from bench.measure import OURS, alternate, quantiles
from bench.row import Figure, Row
from bench.stores import WarmStore, settle, warm_store
from runcast.aio import AsyncRun
from runcast.run import Run
from runcast.run.base import files_of

_RATES = {100: (200, 100), 10: (20, 0), 1000: (1000, 0)}  # lines a second: lines, usually and quickly
_STAMP = 20  # digits at the start of a line
_WARMUP = 5  # first lines that are not counted, while the readers start
_PIPE = "bare pipe"
_ASYNC = f"{OURS} asyncio"


class _Arrivals:
    """Notes how late each line is, and the CPU time that was used between the first and the last."""

    def __init__(self, count: int, others_ns: Callable[[], int] = lambda: 0) -> None:
        self._count = count
        self._others_ns = others_ns
        self._late_us: list[float] = []
        self._used: list[tuple[int, int, int]] = []

    def take(self, data: bytes) -> None:
        """Take what just came."""
        now = time.monotonic_ns()
        self._late_us += [(now - int(line[:_STAMP])) / 1000 for line in data.splitlines()]
        seen = len(self._late_us)
        if (seen >= _WARMUP and not self._used) or seen == self._count:
            self._used.append((seen, self._others_ns(), time.process_time_ns()))

    def metrics(self) -> dict[str, float]:
        """Return the metrics, in microseconds."""
        assert len(self._late_us) == self._count, f"{self._count} lines written, {len(self._late_us)} came"
        first, last = self._used
        lines = last[0] - first[0]
        return {
            **quantiles(self._late_us[_WARMUP:]),
            "supervisor": (last[1] - first[1]) / 1000 / lines,
            "reader": (last[2] - first[2]) / 1000 / lines,
        }


def measure(bench: Bench) -> Iterator[Figure]:
    """Yield the latencies at several rates, and what a line costs at the highest."""
    program = bench.program("linegen")
    with bench.memory() as folder, bench.on_core(0) as other_core, warm_store(folder) as warm:
        for rate, amounts in _RATES.items():
            count = bench.pick(*amounts)
            if count:
                command = [program, str(count + _WARMUP), "-r", str(rate), *other_core]
                yield from _at_rate(bench, warm, command, rate)


def _at_rate(bench: Bench, warm: WarmStore, command: list[str], rate: int) -> Iterator[Figure]:
    found = alternate(
        bench,
        f"D: {rate} lines/s",
        {
            OURS: lambda: _followed(warm, command),
            _ASYNC: lambda: asyncio.run(_followed_async(warm, command)),
            _PIPE: lambda: _piped(command),
        },
    )
    for share in ("p50", "p99"):
        for ours, how in ((OURS, "a thread"), (_ASYNC, "a task")):
            name = f"line latency, {rate} lines/s, {how} follows, {share}"
            yield found.figure(share, name, "us", ours=ours, peers=[_PIPE])
    if rate == max(_RATES):
        for ours, how in ((OURS, "thread"), (_ASYNC, "task")):
            name = f"CPU of the {how} that follows, a line at {rate} lines/s"
            yield found.figure("reader", name, "us", ours=ours, peers=[_PIPE])
        name = f"CPU of the supervisor, a line at {rate} lines/s"
        yield found.figure("supervisor", name, "us", peers=[OURS])


def _arrivals(warm: WarmStore, run: Run, command: list[str]) -> _Arrivals:
    return _Arrivals(int(command[1]), lambda: processes.running_ns(warm.supervisor(run)))


def _followed(warm: WarmStore, command: list[str]) -> dict[str, float]:
    run = warm.store.start(command)
    arrivals = _arrivals(warm, run, command)
    for chunk in run.follow():
        if chunk is not None:
            arrivals.take(chunk.data)
    settle(run)
    return arrivals.metrics()


async def _followed_async(warm: WarmStore, command: list[str]) -> dict[str, float]:
    run = warm.store.start(command)
    arrivals = _arrivals(warm, run, command)
    async for chunk in AsyncRun(files_of(run).path).follow():
        if chunk is not None:
            arrivals.take(chunk.data)
    settle(run)
    return arrivals.metrics()


def _piped(command: list[str]) -> dict[str, float]:
    arrivals = _Arrivals(int(command[1]))
    with subprocess.Popen(command, stdout=subprocess.PIPE, bufsize=0) as child:
        assert child.stdout is not None
        while data := child.stdout.read(65536):
            arrivals.take(data)
    return arrivals.metrics()


ROW = Row("D", "line latency without HTTP", measure, quick=True)
