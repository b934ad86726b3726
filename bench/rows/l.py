"""L: inside Flask under gunicorn: 1000 viewers of a run that prints 100 lines a second, as events.

One worker: with a thread for each viewer, and with gevent. The run begins when all are connected,
each line carries the time of its writing, and each viewer counts what is lost, doubled or out of
order. The server has one core, viewers and command the other. `gthread` takes no more connections
than `--worker-connections` says, whatever `--threads` says.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping

from bench import processes
from bench.bench import Bench
from bench.measure import OURS, alternate
from bench.peers.server import free_port, running
from bench.row import Figure, Goal, Row
from bench.stores import settle, warm_store

_VIEWERS, _QUICK_VIEWERS = 1000, 200
_RATE = 100  # lines a second
_SECONDS, _QUICK_SECONDS = 10, 3
_CONNECT_SECONDS, _LATE_SECONDS = 60, 30
_GOALS = {"gthread": 300.0, "gevent": 90.0}  # p99 in ms
_LOST = "lost or doubled"


def measure(bench: Bench) -> Iterator[Figure]:
    """Yield latency, losses and cost by kind of worker."""
    viewers = bench.pick(_VIEWERS, _QUICK_VIEWERS)
    lines = bench.pick(_SECONDS, _QUICK_SECONDS) * _RATE
    for kind, most in _GOALS.items():
        what = f"{viewers} viewers x {_RATE} lines/s, Flask, gunicorn {kind}"
        found = alternate(
            bench, f"L: {kind}", {OURS: lambda kind=kind: _watched(bench, kind, viewers, lines)}
        )
        goals = (Goal(most),) if viewers == _VIEWERS else ()
        yield found.figure(_LOST, f"{what}: lines lost or doubled", "", goals=(Goal(0),))
        yield found.figure("cut", f"{what}: viewers cut off", "", goals=(Goal(0),))
        yield found.figure("rate", f"{what}: delivered", "/s", higher=True)
        yield found.figure("p50", f"{what}: latency, p50", "ms")
        yield found.figure("p99", f"{what}: latency, p99", "ms", goals=goals)
        yield found.figure("cpu", f"{what}: CPU of the server, a line", "us")
        yield found.figure("client", f"{what}: share of a core that the viewers need", "")


def _watched(bench: Bench, kind: str, viewers: int, lines: int) -> Mapping[str, float]:
    program, linegen = bench.program("viewers"), bench.program("linegen")
    cores = sorted(os.sched_getaffinity(0))
    port = free_port()
    threads = ["--threads", str(viewers + 10)] if kind == "gthread" else []
    command = [
        sys.executable,
        "-m",
        "gunicorn",
        "-k",
        kind,
        *threads,
        "--workers",
        "1",
        "--log-level",
        "error",
    ]
    command += ["--worker-connections", str(2 * viewers), "--backlog", "2048", "-b", f"127.0.0.1:{port}"]
    with bench.memory() as folder, warm_store(folder) as warm:
        env = {"RUNCAST_STORE": warm.store.path}
        with running([*command, "bench.peers.apps:flask_runs()"], port, cores=cores[:1], env=env) as server:
            generate = f"read go; exec {linegen} {lines} -r {_RATE} -c {cores[-1]}"
            run = warm.store.start(generate, shell=True, stdin="pipe")
            patience = _CONNECT_SECONDS + lines // _RATE + _LATE_SECONDS
            watch = [program, str(port), f"/runs/{run.id}/log", str(viewers), str(lines), str(patience)]
            with subprocess.Popen(
                [*watch, "-c", str(cores[-1])], stdout=subprocess.PIPE, text=True
            ) as watching:
                assert watching.stdout is not None
                said = watching.stdout.readline()
                assert said == "ready\n", f"not all of {viewers} viewers were served: {said}"
                pids = processes.descendants(server.pid)
                begun, cpu = time.monotonic(), processes.all_cpu(pids)
                run.send("go\n")
                told = json.loads(watching.stdout.readline())
                cpu = processes.all_cpu(pids) - cpu
            settle(run)
    assert told["seconds"] <= time.monotonic() - begun + 1, told
    return {
        _LOST: told["lost"] + told["doubled"],
        "cut": told["gone"],
        "rate": told["got"] / told["seconds"],
        "p50": told["p50"],
        "p99": told["p99"],
        "cpu": cpu / max(told["got"], 1) * 1e6,
        "client": told["client"],
    }


ROW = Row("L", "1000 viewers inside Flask under gunicorn", measure)
