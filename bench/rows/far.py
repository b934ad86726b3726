"""FAR: lines of 80 bytes flat out: a command on one host, the file of its run on another one.

Two agents and one Valkey between them, all on this machine. From the first line until the other host has the
whole run with its outcome; bytes and index are compared. Beside redis-py, which adds a line an entry, 100 in
a pipeline, and reads none of them; and beside the same command in a store that is not shared.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import redis

from bench.bench import Bench
from bench.hosts import Host, linked, same_bytes
from bench.measure import OURS, alternate
from bench.row import Figure, Goal, Row
from bench.stores import settle
from runcast import Run
from runcast.store.mirrors import ask_for
from tests.helpers.engines import Server, serving, valkey

_LINE_BYTES = 80
_LINES, _QUICK = 2_000_000, 500_000
_THEIRS, _THEIRS_QUICK, _PIPELINE = 200_000, 50_000, 100
_XADD, _LOCAL = "redis-py pipelined XADD", "a store of its own"
_WANT_SECONDS = 5.0


def measure(bench: Bench) -> Iterator[Figure]:
    """Yield the throughput, and what it costs each agent and the engine."""
    lines, theirs = bench.pick(_LINES, _QUICK), bench.pick(_THEIRS, _THEIRS_QUICK)
    linegen, core = bench.program("linegen"), max(os.sched_getaffinity(0))
    command = f"read go; exec {linegen} {lines} -w 65536 -c {core}"
    with (
        bench.memory(6 * lines * _LINE_BYTES) as folder,
        serving(valkey(), Path(folder, "engine")) as server,
        linked(folder, server.url) as (a, b),
        linked(f"{folder}/alone", None, "c") as (alone,),
    ):
        found = alternate(
            bench,
            "FAR",
            {
                OURS: lambda: _shared(a, b, command, lines),
                _XADD: lambda: _added(server, theirs),
                _LOCAL: lambda: _local(alone, command, lines),
            },
        )
    goals = (Goal(8.0, _XADD), Goal(0.3, _LOCAL))
    yield found.figure(
        "rate", "lines of 80 bytes flat out, on another host", "MB/s", goals=goals, higher=True
    )


def _started(host: Host, command: str) -> Run:
    return host.store.start(command, shell=True, stdin="pipe", cap=None)


def _shared(a: Host, b: Host, command: str, lines: int) -> dict[str, float]:
    run = _started(a, command)
    mirror = b.has(run.id)
    begun = time.perf_counter()
    run.send(b"go\n")
    wanted = 0.0
    while not mirror.closed:
        if time.perf_counter() - wanted > _WANT_SECONDS and ask_for(f"{b.path}/{run.id}", 0):
            wanted = time.perf_counter()
        time.sleep(0.002)
    took = time.perf_counter() - begun
    same_bytes(run, mirror)
    assert run.tail_offset == lines * _LINE_BYTES, "the run has all lines"
    a.store.remove(run)
    b.store.remove(mirror)
    return {"rate": lines * _LINE_BYTES / 1e6 / took}


def _local(host: Host, command: str, lines: int) -> dict[str, float]:
    run = _started(host, command)
    begun = time.perf_counter()
    run.send(b"go\n")
    settle(run)
    took = time.perf_counter() - begun
    assert run.tail_offset == lines * _LINE_BYTES, "the run has all lines"
    host.store.remove(run)
    return {"rate": lines * _LINE_BYTES / 1e6 / took}


def _added(server: Server, lines: int) -> dict[str, float]:
    line = b"x" * (_LINE_BYTES - 1) + b"\n"
    with redis.Redis(port=server.port) as client:
        client.delete("lines")
        begun = time.perf_counter()
        for _ in range(lines // _PIPELINE):
            with client.pipeline(transaction=False) as pipeline:
                for _ in range(_PIPELINE):
                    pipeline.xadd("lines", {"d": line})
                pipeline.execute()
        took = time.perf_counter() - begun
        assert client.xlen("lines") == lines, "redis-py has added all lines"
        client.delete("lines")
    return {"rate": lines * _LINE_BYTES / 1e6 / took}


ROW = Row("FAR", "lines flat out, a command here and a file on another host", measure)
