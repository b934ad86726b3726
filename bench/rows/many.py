"""MANY: 1,000 runs of one host with 10 lines a second each, all followed on two other hosts.

Three agents and one Valkey, all on this machine. One process writes the lines; on each of the other hosts one
follows all runs as an application does, and counts what is lost, doubled or out of order. "The start of all"
is the first second of lines. `--quick` has 100 runs, and no goals for their latency.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from bench import processes
from bench.bench import Bench
from bench.hosts import Host, follower, linked, same_bytes, until, wanted, writer
from bench.measure import OURS, alternate
from bench.row import Figure, Goal, Row
from runcast import Run
from tests.helpers.engines import Server, serving, valkey

_RUNS, _QUICK_RUNS = 1000, 100
_RATE = 10
_SECONDS, _QUICK_SECONDS = 8, 4
_START = 1.0  # seconds
_WHO = {
    "write": "process that writes",
    "ship": "agent that ships",
    "engine": "engine",
    "mirror": "two that mirror",
    "follow": "two that follow",
}
_GOALS = {"first p99": 300.0, "later p99": 15.0}


def measure(bench: Bench) -> Iterator[Figure]:
    """Yield losses, latencies and cost."""
    count, seconds = bench.pick(_RUNS, _QUICK_RUNS), bench.pick(_SECONDS, _QUICK_SECONDS)
    with (
        bench.memory(1 << 29) as folder,
        serving(valkey(), Path(folder, "engine")) as server,
        linked(folder, server.url, "abc") as hosts,
    ):
        found = alternate(bench, "MANY", {OURS: lambda: _followed(server, hosts, count, seconds)})
    what = f"{count:,} runs x {_RATE} lines/s x 2 other hosts"
    yield found.figure("wrong", f"{what}: lines lost, doubled or out of order", "", goals=(Goal(0),))
    for name, when in (("first", "the first second"), ("later", "then")):
        yield found.figure(f"{name} p50", f"{what}: latency in {when}, p50", "ms")
        goals = (Goal(_GOALS[f"{name} p99"]),) if count == _RUNS else ()
        yield found.figure(f"{name} p99", f"{what}: latency in {when}, p99", "ms", goals=goals)
    for name, who in _WHO.items():
        yield found.figure(name, f"{what}: CPU of the {who}, a line", "us")


def _followed(server: Server, hosts: list[Host], count: int, seconds: float) -> dict[str, float]:
    a, *others = hosts
    assert server.process is not None
    pids = {"ship": [a.agent()], "mirror": [one.agent() for one in others], "engine": [server.process.pid]}
    with ExitStack() as stack:
        runs = stack.enter_context(writer(a.path))
        ids = runs.ask("make", count)
        followers = []
        for host in others:
            for run_id in ids:
                host.has(run_id)
            paths = [f"{host.path}/{run_id}" for run_id in ids]
            followers.append(stack.enter_context(follower(_START, paths)))
            assert followers[-1].answer() == ["ready"]
        pids |= {"write": [runs.pid], "follow": [one.pid for one in followers]}
        before = {name: processes.running_ns(one) for name, one in pids.items()}
        [lines] = runs.ask("write", _RATE, seconds + _START)
        size = int(lines) * count * 80
        for host in others:
            until(lambda host=host: wanted(host, ids) == size, "all lines on another host", pause=1.0)
        used = {name: processes.running_ns(one) - before[name] for name, one in pids.items()}
        runs.ask("end")
        told = [json.loads(" ".join(one.answer())) for one in followers]
        for host in others:
            for run_id in ids:
                same_bytes(Run(f"{a.path}/{run_id}"), Run(f"{host.path}/{run_id}"))
    total = int(lines) * count
    found = {name: max(one[name] for one in told) for name in told[0] if name.startswith(("first", "later"))}
    found["wrong"] = sum(abs(one["lines"] - total) + one["wrong"] for one in told)
    return found | {name: ns / total / 1000 for name, ns in used.items()}


ROW = Row("MANY", "1,000 runs, followed on two other hosts", measure)
