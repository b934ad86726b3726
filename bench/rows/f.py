"""F: how fast output is captured, beside `cat`, which labels, counts and bounds nothing.

The writer (supervisor or `cat`) has one core and `linegen` the other, as in a server that has
something else to do.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from functools import partial

from bench.bench import Bench
from bench.measure import OURS, alternate
from bench.peers.cat import pipe_to_file
from bench.row import Figure, Goal, Row
from bench.stores import WarmStore, settle, warm_store

_LINE = 80
_KINDS = {  # the arguments of linegen, and the MB it writes, in full and in quick runs
    "64 KiB writes": (["-w", "65536"], 400, 160),
    "64 KiB writes, both channels": (["-w", "65536", "-2"], 400, 160),
    "4 KiB writes": (["-w", "4096"], 400, 160),
    "80-byte writes": ([], 80, 24),
    "80-byte writes, both channels": (["-2"], 80, 24),
}


def measure(bench: Bench) -> Iterator[Figure]:
    """Yield the rates, all in memory."""
    program = bench.program("linegen")
    most = max(usual for _, usual, _ in _KINDS.values()) * 1_000_000
    with bench.memory(most) as folder, bench.on_core(0) as other_core, warm_store(folder) as warm:
        for name, (options, usual, quick) in _KINDS.items():
            lines = bench.pick(usual, quick) * 1_000_000 // _LINE
            command = [program, str(lines), *options, *other_core]
            found = alternate(
                bench,
                f"F: {name}",
                {
                    OURS: partial(_ours, warm, command, lines),
                    "cat": partial(_cat, folder, command, lines),
                },
            )
            yield found.figure("rate", name, "MB/s", higher=True, goals=(Goal(0.9, "cat"),))


def _ours(warm: WarmStore, command: list[str], lines: int) -> dict[str, float]:
    begun = time.perf_counter()
    run = warm.store.start(command, cap=None)
    outcome = run.wait()
    seconds = time.perf_counter() - begun
    settle(run)
    log = run.log()
    assert outcome.ok, outcome
    assert (log.tail_offset, log.lines) == (lines * _LINE, lines), "the log is not what was written"
    log.close()
    warm.store.remove(run)
    return {"rate": lines * _LINE / seconds / 1e6}


def _cat(folder: str, command: list[str], lines: int) -> dict[str, float]:
    path = f"{folder}/cat"
    begun = time.perf_counter()
    size = pipe_to_file(command, path, both="-2" in command)
    seconds = time.perf_counter() - begun
    assert size == lines * _LINE, "the file is not what was written"
    os.unlink(path)
    return {"rate": size / seconds / 1e6}


ROW = Row("F", "capture: how fast output becomes a log", measure, quick=True)
