"""HELD: what shared runs take in memory: of the engine, and of the agents.

Two hosts and one Valkey. 1,000 runs go on in the first and are followed in the second, with 10 lines a second
for some seconds; then one long run, in entries of 64 KiB. The engine's memory is what it says that it uses,
that of agents what is resident, files that all Pythons share included. `--quick` has 200 runs, and no goal
for agents, since what each has before the first run is most of that.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bench import processes
from bench.bench import Bench
from bench.hosts import Host, linked, until, wanted, writer
from bench.measure import OURS, alternate
from bench.peers.many import LINE_BYTES
from bench.row import Figure, Goal, Row
from bench.stores import settle
from tests.helpers.engines import Server, serving, valkey

_RUNS, _QUICK_RUNS = 1000, 200
_RATE, _SECONDS = 10, 3
_BLOCK = 65536
_BLOCKS, _QUICK_BLOCKS = 2000, 500
_AGENT_MB = 45.0


def measure(bench: Bench) -> Iterator[Figure]:
    """Yield the memory of both."""
    count, blocks = bench.pick(_RUNS, _QUICK_RUNS), bench.pick(_BLOCKS, _QUICK_BLOCKS)
    linegen = bench.program("linegen")

    def held() -> dict[str, float]:
        with (
            bench.memory(4 * blocks * _BLOCK) as folder,
            serving(valkey(), Path(folder, "engine")) as server,
            linked(folder, server.url) as (a, b),
        ):
            command = [linegen, str(blocks * _BLOCK // LINE_BYTES), "-w", str(_BLOCK)]
            return _runs(server, a, b, count) | _bytes(server, a, command)

    found = alternate(bench, "HELD", {OURS: held})
    yield found.figure("byte", "engine, a byte of a run's output", "B", goals=(Goal(1.05),))
    lines = f"{_RATE * _SECONDS} lines, shipped one by one"
    yield found.figure("run", f"engine, a run beyond its output of {lines}", "B", goals=(Goal(6144),))
    goals = (Goal(_AGENT_MB),) if count == _RUNS else ()
    for name, what in (("ships", "ships"), ("mirrors", "mirrors")):
        yield found.figure(name, f"agent that {what} {count:,} runs (RSS)", "MB", goals=goals)
        yield found.figure(f"{name} at rest", f"agent that {what}, before the first of them (RSS)", "MB")


def _runs(server: Server, a: Host, b: Host, count: int) -> dict[str, float]:
    agents = {"ships": a.agent(), "mirrors": b.agent()}
    found = {f"{name} at rest": _megabytes(pid) for name, pid in agents.items()}
    before = _used(server)
    with writer(a.path) as runs:
        ids = runs.ask("make", count)
        for run_id in ids:
            b.has(run_id)
        [lines] = runs.ask("write", _RATE, _SECONDS)
        size = int(lines) * count * LINE_BYTES
        until(lambda: wanted(b, ids) == size, "all lines on the other host", pause=1.0)
        found |= {name: _megabytes(pid) for name, pid in agents.items()}
        found["run"] = (_used(server) - before - size) / count
        runs.ask("end")
    return found


def _bytes(server: Server, a: Host, command: list[str]) -> dict[str, float]:
    before = _used(server)
    run = a.store.start(command, cap=None)
    settle(run)
    tail = f"rc:{{{run.id}}}run"
    until(lambda: int(server.command("HGET", tail, "tail") or 0) == run.tail_offset, "all of it", 0.01)  # type: ignore[call-overload]
    return {"byte": (_used(server) - before) / run.tail_offset}


def _used(server: Server) -> int:
    said = server.command("INFO", "memory")
    assert isinstance(said, dict)
    return int(said["used_memory"])


def _megabytes(pid: int) -> float:
    return processes.resident_whole(pid) * 1024 / 1e6


ROW = Row("HELD", "memory of engine and agents", measure)
