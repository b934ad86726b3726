"""SHIP: what an agent costs that ships a run to an engine: for 64 KiB of it, and for one line.

CPU time of the agent alone, by what the engine then has; all of it is compared with the run's file. Beside
redis-py that adds as many bytes an entry: of 64 KiB with 16 under way, and of 80 bytes at the same rate: an
entry now and then costs both several times what one after the other does. The agent is held up while the
run writes what is shipped in 64 KiB, so that all of its entries have that size.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import redis

from bench import processes
from bench.bench import Bench
from bench.hosts import Host, linked, until, writer
from bench.measure import OURS, alternate
from bench.row import Figure, Goal, Row
from bench.rows.link import adds
from bench.stores import settle
from runcast import Run
from runcast.run.base import files_of
from tests.helpers.engines import Server, serving, valkey

_BLOCK = 65536
_BLOCKS, _QUICK_BLOCKS = 3000, 600
_RATE, _SECONDS, _QUICK_SECONDS = 500, 6, 2
_PIPELINE, _XADD = "redis-py pipeline 16", "redis-py xadd"


def measure(bench: Bench) -> Iterator[Figure]:
    """Yield the CPU time of both."""
    blocks, seconds = bench.pick(_BLOCKS, _QUICK_BLOCKS), bench.pick(_SECONDS, _QUICK_SECONDS)
    linegen, core = bench.program("linegen"), max(os.sched_getaffinity(0))
    command = f"exec {linegen} {blocks * _BLOCK // 80} -w {_BLOCK} -c {core}"
    with (
        bench.memory(4 * blocks * _BLOCK) as folder,
        serving(valkey(), Path(folder, "engine")) as server,
        linked(folder, server.url, "a") as (host,),
    ):
        found = alternate(
            bench,
            "SHIP 64 KiB",
            {
                OURS: lambda: _shipped(server, host, command),
                _PIPELINE: lambda: adds(server, _BLOCK, blocks, 16, flush=False),
            },
        )
        goals = (Goal(3.0, _PIPELINE),)
        yield found.figure("cpu", "CPU time of who ships, 64 KiB", "us", goals=goals)
        found = alternate(
            bench,
            "SHIP line",
            {
                OURS: lambda: _lines(server, host, seconds),
                _XADD: lambda: adds(server, 80, _RATE * seconds, 1, flush=False, rate=_RATE),
            },
        )
        yield found.figure(
            "cpu", "CPU time of who ships, an entry of a line", "us", goals=(Goal(3.0, _XADD),)
        )
        yield found.figure("lines", "lines in an entry", "", peers=())


def _shipped(server: Server, host: Host, command: str) -> dict[str, float]:
    agent = host.agent()
    os.kill(agent, signal.SIGSTOP)
    try:
        run = host.store.start(command, shell=True, cap=None)
        settle(run)
        before = processes.running_ns([agent])
    finally:
        os.kill(agent, signal.SIGCONT)
    entries = _arrived(server, run, run.tail_offset)
    used = processes.running_ns([agent]) - before
    size = run.tail_offset
    assert b"".join(data for data, _ in entries) == _file(run), "the engine has what the file has"
    host.store.remove(run)
    return {"cpu": used / 1000 / (size / _BLOCK)}


def _lines(server: Server, host: Host, seconds: float) -> dict[str, float]:
    agent = host.agent()
    with writer(host.path) as runs:
        [run_id] = runs.ask("make", 1)
        run = Run(f"{host.path}/{run_id}")
        runs.ask("write", _RATE, 0.1)
        begun = len(_arrived(server, run, run.tail_offset))
        before = processes.running_ns([agent])
        [lines] = runs.ask("write", _RATE, seconds)
        entries = _arrived(server, run, run.tail_offset)
        used = processes.running_ns([agent]) - before
        assert b"".join(data for data, _ in entries) == _file(run), "the engine has what the file has"
        runs.ask("end")
    count = len(entries) - begun
    return {"cpu": used / 1000 / count, "lines": int(lines) / count}


def _arrived(server: Server, run: Run, size: int) -> list[tuple[bytes, bytes]]:
    """Wait until the engine has so many bytes of a run, and return its entries: bytes and records."""
    with redis.Redis(port=server.port) as client:
        until(lambda: int(client.hget(f"rc:{{{run.id}}}run", "tail") or 0) >= size, "all of it", 0.002)
        found = client.xrange(f"rc:{{{run.id}}}log")
    return [(fields[b"d"], fields[b"i"]) for _, fields in found]


def _file(run: Run) -> bytes:
    log = Path(files_of(run).log_path)
    return b"".join(one.read_bytes() for one in sorted(log.iterdir()) if not one.suffix)


ROW = Row("SHIP", "what shipping a run to an engine takes", measure)
