"""SHARED: what a store that is shared with other hosts costs those who do not share anything now.

The start of a run, the memory of supervisors and the import of runcast, where an agent lives beside them,
each beside the same in a store of its own. All of them are to be the same: an agent is the only process that
knows an engine. The import is that of a fresh interpreter, with the store's name in `RUNCAST_STORE`.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from bench import processes
from bench.bench import Bench
from bench.hosts import Host, linked, until
from bench.measure import OURS, Results, percentile
from bench.row import Figure, Goal, Row
from bench.stores import settle
from runcast.run.base import files_of
from tests.helpers.engines import serving, valkey

_STARTS, _QUICK_STARTS = 100, 30
_SLEEPERS, _IMPORTS = 20, 5
_PAUSE = 0.005
_REST = 1.0  # seconds, after which a supervisor has done what it does at the start
_ALONE = "a store of its own"
_SAME = 1.1  # times: what one of them differs from itself by, on a machine with others
_CODE = "import runcast, sys; print(len(sys.modules))"


def measure(bench: Bench) -> Iterator[Figure]:
    """Yield the figures."""
    count = bench.pick(_STARTS, _QUICK_STARTS)
    with (
        bench.memory(1 << 26) as folder,
        serving(valkey(), Path(folder, "engine")) as server,
        linked(folder, server.url, "a") as (shared,),
        linked(f"{folder}/alone", None, "b") as (alone,),
    ):
        url = f"{server.url}?store={shared.path}&host=a"
        stores = {OURS: (shared, url), _ALONE: (alone, alone.path)}
        found = Results()
        for number in range(bench.rounds):
            bench.calm()
            bench.say(f"SHARED: round {number + 1} of {bench.rounds}")
            starts = _starts([shared, alone], count)
            for (name, (host, where)), sample in zip(stores.items(), starts, strict=True):
                found.add(name, {**sample, "pss": _supervisors(host), **_import(where)})
    goals = (Goal(_SAME, _ALONE),)
    yield found.figure("cpu", "start of a run: CPU time of who starts it, p50", "ms", goals=goals)
    yield found.figure("start", "start of a run, p50", "ms", goals=goals)
    yield found.figure("pss", "memory of a supervisor (PSS)", "KiB", goals=goals)
    yield found.figure("import", "import runcast: CPU time", "ms", goals=goals)
    yield found.figure("modules", "import runcast: modules", "", goals=(Goal(1.0, _ALONE),))


def _starts(hosts: list[Host], count: int) -> list[dict[str, float]]:
    """Start runs of each host in turns, one at a time: others on the machine meet all of them alike."""
    found: list[list[tuple[float, float]]] = [[] for _ in hosts]
    for _ in range(count):
        for host, its in zip(hosts, found, strict=True):
            begun, cpu = time.perf_counter(), time.thread_time()
            run = host.store.start(["true"])
            its.append((time.perf_counter() - begun, time.thread_time() - cpu))
            settle(run)
            time.sleep(_PAUSE)
    return [
        {name: percentile([one[at] for one in its], 50) * 1e3 for at, name in enumerate(("start", "cpu"))}
        for its in found
    ]


def _supervisors(host: Host) -> float:
    with contextlib.ExitStack() as stack:
        runs = []
        for _ in range(_SLEEPERS):
            run = host.store.start(["sleep", "300"])
            runs.append(run)
            stack.callback(settle, run)
            stack.callback(run.kill)
        pids = [
            until(lambda run=run: files_of(run).state().get("supervisor"), "a supervisor") for run in runs
        ]
        time.sleep(_REST)
        return percentile([processes.pss(pid) for pid in pids], 50)


def _import(where: str) -> dict[str, float]:
    took, modules = [], 0
    for _ in range(_IMPORTS):
        before = processes.own_cpu()
        command = [sys.executable, "-c", _CODE]
        modules = int(subprocess.check_output(command, env={**os.environ, "RUNCAST_STORE": where}))
        took.append(processes.own_cpu() - before)
    return {"import": min(took) * 1000, "modules": modules}


ROW = Row("SHARED", "start, memory and import beside an agent", measure)
