"""P: a print. Captured into a run's log, beside a file that is flushed at each line; outside, beside nothing.

And what reading an attribute of `sys` costs meanwhile, whose class is another one while a run is active.

All of it in one process: 60 letters a line, into files in memory. `bare` is a print to a
block-buffered `sys.stdout` before anything is captured; `outside` is the same while another
context's run is active, so that the stream's methods ask whose code prints; `idle` while none is.
"""

from __future__ import annotations

import sys
import time
import timeit
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import Context
from typing import TextIO

from bench.bench import Bench
from bench.measure import OURS, alternate
from bench.row import Figure, Goal, Row
from runcast.log import FileLogWriter
from runcast.model import Outcome, Reason
from runcast.sources import capture
from runcast.sources.printer import Printer
from runcast.store.run_files import RunFiles

_LINE = "0123456789" * 6
_LINES, _QUICK = 50_000, 10_000
_TURNS = 5  # the best of so many: what the machine does beside it only ever adds
_FILE, _BARE, _IDLE = "line-buffered file", "bare", "no run active"
_REDIRECTED = "a run redirects"
_READS = 100_000


def measure(bench: Bench) -> Iterator[Figure]:
    """Yield the cost of a captured print, and of one outside."""
    lines = bench.pick(_LINES, _QUICK)
    with bench.memory(lines * 100 * _TURNS * bench.rounds) as folder:
        captured = alternate(
            bench,
            "P: captured",
            {OURS: lambda: _captured(folder, lines), _FILE: lambda: _written(f"{folder}/lines", 1, lines)},
        )
        yield captured.figure("line", "captured print", "us", goals=(Goal(1.8, _FILE),))
        outside = alternate(
            bench,
            "P: outside",
            {
                OURS: lambda: _outside(f"{folder}/blocks", lines, active=True),
                _BARE: lambda: _written(f"{folder}/blocks", -1, lines),
                _IDLE: lambda: _outside(f"{folder}/blocks", lines, active=False),
            },
        )
        goals = (Goal(1.1, _BARE),)
        yield outside.figure("line", "print outside, a run is active", "us", peers=[_BARE], goals=goals)
        yield outside.figure("line", "print outside, installed", "us", ours=_IDLE, peers=[_BARE], goals=goals)
        reads = alternate(
            bench,
            "P: sys",
            {
                OURS: lambda: _read(active=True, redirected=False),
                _REDIRECTED: lambda: _read(active=True, redirected=True),
                _BARE: lambda: _read(active=False, redirected=False),
            },
        )
        yield reads.figure("read", "read sys.maxsize, a run is active", "ns", peers=[_BARE])
        yield reads.figure("read", "read sys.maxsize, a run redirects", "ns", ours=_REDIRECTED, peers=[_BARE])
        yield reads.figure("stream", "read sys.stdout, a run is active", "ns", peers=[_BARE])
        yield reads.figure(
            "stream", "read sys.stdout, a run redirects", "ns", ours=_REDIRECTED, peers=[_BARE]
        )


def _best(lines: int) -> Mapping[str, float]:
    """Return what one print to `sys.stdout` costs, in microseconds."""

    def turn() -> float:
        begun = time.perf_counter()
        for _ in range(lines):
            print(_LINE)
        return time.perf_counter() - begun

    return {"line": min(turn() for _ in range(_TURNS)) / lines * 1e6}


@contextmanager
def _stdout(path: str, buffering: int) -> Iterator[TextIO]:
    before = sys.stdout
    with open(path, "w", buffering) as file:
        sys.stdout = file
        try:
            yield file
        finally:
            sys.stdout = before


def _written(path: str, buffering: int, lines: int) -> Mapping[str, float]:
    with _stdout(path, buffering):
        return _best(lines)


def _captured(folder: str, lines: int) -> Mapping[str, float]:
    directory = RunFiles.create(f"{folder}/run-{time.monotonic_ns()}", {})
    assert directory.acquire(), "the lock of a new run is free"
    log = FileLogWriter(directory)
    printer = Printer(log.append)
    try:
        with capture.capturing(printer):
            return _best(lines)
    finally:
        printer.close()
        assert log.lines == lines * _TURNS, "each line is in the log"
        log.close(Outcome(Reason.EXITED, 0))


def _outside(path: str, lines: int, *, active: bool) -> Mapping[str, float]:
    other = Printer(_never)
    ends: list[Callable[[], None]] = []
    with _stdout(path, -1):
        try:
            capture.install()
            if active:
                capture.begin(other)
                ends.append(lambda: capture.end(other))
            return _best(lines)
        finally:
            for end in ends:
                end()
            capture.uninstall()
            other.close()


def _read(*, active: bool, redirected: bool) -> Mapping[str, float]:
    other = Printer(_never)
    if active:
        capture.begin(other)
    if redirected:
        context = Context()
        context.run(capture.current.set, other)
        context.run(setattr, sys, "stdout", None)
    try:
        return {
            name: min(timeit.repeat(f"sys.{attribute}", "import sys", number=_READS, repeat=_TURNS))
            / _READS
            * 1e9
            for name, attribute in (("read", "maxsize"), ("stream", "stdout"))
        }
    finally:
        if active:
            capture.end(other)
        capture.uninstall()
        other.close()


def _never(*_: object) -> None:
    raise AssertionError("expected no print outside a run to reach its log")


ROW = Row("P", "a print: captured, and outside a run", measure, quick=True)
