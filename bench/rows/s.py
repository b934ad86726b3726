"""S: searches of a log, beside ripgrep on the same files.

440 MB and 8.6 million lines, in one channel; read warm, from memory. Each search is a process of its own,
as behind `GET /runs/{id}/search`: its start is in all figures but "apart from its start". What is found
is compared. Processor time is given, too: it says the same on a busy machine.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from functools import partial
from glob import glob
from typing import NamedTuple

from bench.bench import Bench
from bench.measure import OURS, Results, alternate
from bench.row import Figure, Goal, Row, Skipped
from runcast.log import FileLogWriter
from runcast.model import Channel, Outcome, Reason
from runcast.store.run_files import RunFiles
from runcast.web.live.search_stream import search_command

_RG = "rg"
_BYTES, _QUICK = 440_000_000, 44_000_000
_BLOCK = 20_000  # lines written at once
_RARE = 1_000_003  # lines from one error to the next


class _Search(NamedTuple):
    name: str
    text: str
    regex: bool = False
    ignore_case: bool = False
    goal: float = 1.5


_SEARCHES = (
    _Search("a text that is rare", "FATAL"),
    _Search("a text that is nowhere", "no such text"),
    _Search("a text in each 50 KB", "module_500"),
    _Search("a rare text, without case", "fatal", ignore_case=True),
    _Search("an expression of three words", "ERROR|FATAL|Traceback", regex=True, goal=3),
    _Search("an expression with a text", r"\d+ error: \w+", regex=True, goal=3),
    _Search("an expression without a text", "[0-9]{12} ", regex=True, goal=3),
)


def measure(bench: Bench) -> Iterator[Figure]:
    """Yield the time of each search, ours and ripgrep's."""
    if shutil.which(_RG) is None:
        raise Skipped("expected ripgrep, as of Debian's package ripgrep")
    size = bench.pick(_BYTES, _QUICK)
    with bench.memory(size) as folder:
        path = f"{folder}/run"
        _write(path, size)
        for search in _SEARCHES:
            contenders = {OURS: partial(_ours, path, search), _RG: partial(_ripgrep, path, search)}
            found = alternate(bench, f"S: {search.name}", contenders)
            yield from _figures(search, found)


def _figures(search: _Search, found: Results) -> Iterator[Figure]:
    goals = (Goal(search.goal, _RG),)
    if search.text == _SEARCHES[0].text:
        yield found.figure("first", f"{search.name}: first hit", "ms", peers=(), goals=(Goal(100),))
    yield found.figure("all", f"{search.name}: all", "ms", goals=goals)
    yield found.figure("apart", f"{search.name}: all, apart from its start", "ms", goals=goals)
    yield found.figure("cpu", f"{search.name}: processor time", "ms", goals=goals)


def _write(path: str, size: int) -> None:
    directory = RunFiles.create(path, {})
    assert directory.acquire(), "the lock of a new run is free"
    log = FileLogWriter(directory, cap_bytes=None)
    number = 0
    while log.tail < size:
        log.append(Channel.STDOUT, b"".join(_line(number + at) for at in range(_BLOCK)))
        number += _BLOCK
    log.close(Outcome(Reason.EXITED, 0))


def _line(number: int) -> bytes:
    if number % _RARE:
        return b"%010d compile src/module_%03d.c with -O2 -Wall\n" % (number, number % 977)
    return b"%010d error: Traceback in module, FATAL\n" % number


def _ours(path: str, search: _Search) -> dict[str, float]:
    given = {"path": path, "q": search.text, "regex": search.regex, "ignore_case": search.ignore_case}
    given |= {"channels": [], "line": 1, "max": 1_000_000, "seconds": 600.0}
    # The time of a process that searches nothing is that of its start.
    started = _timed(search_command(), {**given, "line": 10**15})
    found = _timed(search_command(), given)
    return {**found, "apart": found["all"] - started["all"]}


def _ripgrep(path: str, search: _Search) -> dict[str, float]:
    files = [name for name in sorted(glob(f"{path}/log/*")) if not name.endswith(".index")]
    options = ["--threads=1", "--line-number", "--no-filename", "--color=never"]
    options += [] if search.regex else ["--fixed-strings"]
    options += ["--ignore-case"] if search.ignore_case else []
    found = _timed([_RG, *options, "--", search.text, *files], None)
    return {**found, "apart": found["all"] - _timed([_RG, "--version"], None)["all"]}


def _timed(command: list[str], given: Mapping[str, object] | None) -> dict[str, float]:
    before, begun = os.times(), time.perf_counter()
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=sys.stderr) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        with process.stdin as stdin:
            stdin.write(json.dumps(given).encode() if given else b"")
        output = process.stdout.read(1)
        first = time.perf_counter() - begun
        output += process.stdout.read()
    whole, after = time.perf_counter() - begun, os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return {"first": 1e3 * first, "all": 1e3 * whole, "cpu": 1e3 * cpu}


ROW = Row("S", "searches of a log of 440 MB, beside ripgrep", measure)
