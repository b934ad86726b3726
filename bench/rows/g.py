"""G, H, I, J: many viewers of one run, beside nchan, in one server process on one core.

The run begins when all viewers are connected; each line has the time of its writing, and each viewer counts
what is lost, doubled or out of order. Producer and viewers have the other core, so where both are
busy (H, I) the latency is that of the two. nchan gets each line by a POST of its own, runs no process and
keeps no log; where it is too slow its publisher waits, and the latency does not count that.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from functools import partial

from bench import processes
from bench.bench import Bench
from bench.measure import OURS, Contender, alternate
from bench.peers.nchan import PUBLISH, SUBSCRIBE, nchan
from bench.peers.server import free_port, running
from bench.row import Figure, Goal, Row, Skipped
from bench.stores import settle, warm_store

__all__ = ["GREETINGS", "LOST", "ROW", "measured", "watched"]

_SHAPES = {  # viewers, lines a second, form
    "G": (1000, 100, "SSE"),
    "GW": (1000, 100, "WebSocket"),
    "H": (5000, 100, "SSE"),
    "I": (1000, 1000, "SSE"),
}
GREETINGS = {"SSE": "event: run", "WebSocket": '"event":"run"'}  # of ours; nchan has none
_SECONDS, _MANY_SECONDS, _QUICK_SECONDS = 10, 4, 3
_CONNECT_SECONDS, _LATE_SECONDS = 60, 30
LOST = "lost or doubled"
_GOALS = {
    "G": {"cpu": Goal(0.9, "nchan"), "p99": Goal(1.5, "nchan"), "busy": Goal(0.7, "nchan")},
    "GW": {"cpu": Goal(1.0, "nchan"), "p99": Goal(1.5, "nchan"), "busy": Goal(2.0, "nchan")},
    "H": {"p99": Goal(100.0)},
    "I": {"p99": Goal(20.0)},
}


def measure(bench: Bench) -> Iterator[Figure]:
    """Yield latency, losses, cost and memory by shape."""
    for row, (viewers, rate, form) in _SHAPES.items():
        if bench.quick and row not in ("G", "GW"):
            continue
        # nchan takes several times as long for H and I: it holds its publisher back.
        lines = rate * bench.pick(_SECONDS if row in ("G", "GW") else _MANY_SECONDS, _QUICK_SECONDS)
        contenders: dict[str, Contender] = {OURS: partial(_ours, bench, viewers, rate, lines, form, None)}
        if before := os.environ.get("BENCH_BEFORE"):  # a folder with other sources of runcast
            contenders["before"] = partial(_ours, bench, viewers, rate, lines, form, before)
        note = ""
        try:
            with bench.memory() as folder:
                nchan(folder, 1)
            contenders["nchan"] = partial(_nchan, bench, viewers, rate, lines, form)
        except Skipped as missing:
            note = str(missing)
        found = alternate(bench, f"{row}: {viewers} x {rate}, {form}", contenders)
        what = f"{row}: {viewers} viewers x {rate} lines/s, {form}"
        goals = _GOALS[row]

        def goal(
            metric: str, goals: Mapping[str, Goal] = goals, known: object = contenders
        ) -> tuple[Goal, ...]:
            one = goals.get(metric)
            return () if one is None or (one.peer is not None and one.peer not in known) else (one,)  # type: ignore[operator]

        yield found.figure(LOST, f"{what}: lines lost or doubled", "", goals=(Goal(0),), note=note)
        yield found.figure("rate", f"{what}: delivered", "/s", higher=True)
        yield found.figure("cpu", f"{what}: CPU of the server, a line", "us", goals=goal("cpu"))
        yield found.figure("p50", f"{what}: latency, p50", "ms")
        yield found.figure("p99", f"{what}: latency, p99", "ms", goals=goal("p99"))
        if row in ("G", "GW"):
            most = Goal(1.0 if form == "SSE" else 2.0, "nchan")
            idle = (most,) if "nchan" in contenders else ()
            yield found.figure("idle", f"J: an idle viewer, {form}: memory", "KiB", goals=idle)
        yield found.figure("busy", f"{what}: memory of a viewer", "KiB", goals=goal("busy"))
        yield found.figure("client", f"{what}: share of a core that the viewers need", "")


def _ours(
    bench: Bench, viewers: int, rate: int, lines: int, form: str, source: str | None
) -> Mapping[str, float]:
    cores = sorted(os.sched_getaffinity(0))
    port = free_port()
    with bench.memory() as folder, warm_store(folder) as warm:
        env = {"RUNCAST_STORE": warm.store.path} | ({"PYTHONPATH": source} if source else {})
        command = [sys.executable, "-m", "runcast", "serve", "--no-auth", "--port", str(port)]
        with running(command, port, cores=cores[:1], env=env) as server:
            generate = f"read go; exec {bench.program('linegen')} {lines} -r {rate} -c {cores[-1]}"
            run = warm.store.start(generate, shell=True, stdin="pipe")
            with watched(
                bench, port, f"/runs/{run.id}/log", form, GREETINGS[form], viewers, rate, lines
            ) as watching:
                found = measured(watching, [server.pid], viewers, lambda: run.send("go\n"))
            settle(run)
    return found


def _nchan(bench: Bench, viewers: int, rate: int, lines: int, form: str) -> Mapping[str, float]:
    cores = sorted(os.sched_getaffinity(0))
    port = free_port()
    generate = f"{bench.program('linegen')} {lines} -r {rate} -c {cores[-1]}"
    publish = f"read go; {generate} | exec {bench.program('publish')} {port} {PUBLISH} -c {cores[-1]}"
    with bench.memory() as folder, running(nchan(folder, port), port, cores=cores[:1]) as server:
        publisher = subprocess.Popen(["sh", "-c", publish], stdin=subprocess.PIPE, start_new_session=True)
        assert publisher.stdin is not None
        pids = processes.descendants(server.pid)

        def go() -> None:
            assert publisher.stdin is not None
            publisher.stdin.write(b"go\n")
            publisher.stdin.close()

        with (
            publisher,
            watched(bench, port, SUBSCRIBE, form, "HTTP/1.1 ", viewers, rate, lines) as watching,
        ):
            return measured(watching, pids, viewers, go)


@contextlib.contextmanager
def watched(
    bench: Bench, port: int, path: str, form: str, greeting: str, viewers: int, rate: int, lines: int
) -> Iterator[subprocess.Popen[str]]:
    """Give viewers of a log, in C."""
    core = sorted(os.sched_getaffinity(0))[-1]
    patience = _CONNECT_SECONDS + lines // rate + _LATE_SECONDS
    words = [bench.program("viewers"), str(port), path, str(viewers), str(lines), str(patience)]
    with subprocess.Popen(
        [*words, "-c", str(core), "-g", greeting, *(["-w"] if form == "WebSocket" else [])],
        stdout=subprocess.PIPE,
        text=True,
    ) as watching:
        yield watching


def measured(
    watching: subprocess.Popen[str], pids: list[int], viewers: int, go: object
) -> Mapping[str, float]:
    """Have the lines begin when all viewers are served; return what they and the server's processes took."""
    assert watching.stdout is not None
    empty = sum(map(processes.resident, pids))  # connecting goes on meanwhile: an upper bound
    said = watching.stdout.readline()
    assert said == "ready\n", f"not all of {viewers} viewers were served: {said}"
    time.sleep(0.5)
    idle, each = sum(map(processes.resident, pids)), [processes.all_cpu([pid]) for pid in pids]
    go()  # type: ignore[operator]
    told = json.loads(watching.stdout.readline())
    used = [processes.all_cpu([pid]) - cpu for pid, cpu in zip(pids, each, strict=True)]
    busy = sum(map(processes.resident, pids))
    return {
        LOST: told["lost"] + told["doubled"],
        "rate": told["got"] / told["seconds"],
        "cpu": sum(used) / max(told["got"], 1) * 1e6,
        "busiest": max(used) / max(told["got"], 1) * 1e6,
        "p50": told["p50"],
        "p99": told["p99"],
        "idle": (idle - empty) / viewers,
        "busy": (busy - empty) / viewers,
        "client": told["client"],
    }


ROW = Row("G", "fan-out: 1000 x 100, 5000 x 100 and 1000 x 1000 lines a second, beside nchan", measure)
