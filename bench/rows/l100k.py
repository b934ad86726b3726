"""L100k: a store with 100,000 runs: what it takes to list the newest.

Each run has the files that a real one has, but they are hard links to those of one real run, so
that making them takes seconds. Beside the least that any listing must do: read the names, sort
them, keep the last.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

from bench.bench import Bench
from bench.measure import OURS, alternate, percentile
from bench.row import Figure, Row
from bench.stores import warm_store
from runcast.ids import is_run_id, new_run_id
from runcast.run.base import files_of
from runcast.runs import Store

_RUNS, _QUICK_RUNS = 100_000, 20_000
_NEWEST = 20
_LOOKS = 5  # a round
_FLOOR = "listdir"


def measure(bench: Bench) -> Iterator[Figure]:
    """Yield the times to list the newest runs, through the API and on the command line."""
    runs = bench.pick(_RUNS, _QUICK_RUNS)
    with bench.memory() as folder:
        path = f"{folder}/store"
        with warm_store(folder) as warm:
            warm.store.start(["echo", "hi"]).output()
        bench.say(f"L100k: making {runs} runs")
        _multiply(path, runs)
        store = Store.open(path)
        newest = [run.id for run in store.list(_NEWEST)]
        assert newest == sorted(filter(is_run_id, os.listdir(path)))[: -_NEWEST - 1 : -1], "not the newest"

        def names() -> None:
            list(store.list(_NEWEST))

        def floor() -> None:
            sorted(os.listdir(path), reverse=True)[:_NEWEST]

        def shown() -> None:
            for run in store.list(_NEWEST):
                run.to_json()

        many = f"of {runs:,} runs"
        found = alternate(bench, "L100k: list", {OURS: lambda: _times(names), _FLOOR: lambda: _times(floor)})
        yield found.figure("ms", f"Store.list({_NEWEST}) {many}", "ms")
        found = alternate(
            bench,
            "L100k: list and look",
            {OURS: lambda: _times(shown), _FLOOR: lambda: _times(floor)},
        )
        yield found.figure("ms", f"the same, and all there is to know of each, {many}", "ms")
        yield _command_line(bench, path, many)


def _multiply(path: str, count: int) -> None:
    """Have a store with one run hold `count`, all but the first made of links."""
    first = next(Store.open(path).list())
    real = files_of(first).path
    files = [entry.name for entry in os.scandir(real) if entry.is_file()]
    logs = os.listdir(files_of(first).log_path)
    for _ in range(count - 1):
        run = f"{path}/{new_run_id()}"
        os.mkdir(run, 0o700)
        os.mkdir(f"{run}/log", 0o700)
        for name in files:
            os.link(f"{real}/{name}", f"{run}/{name}")
        for name in logs:
            os.link(f"{real}/log/{name}", f"{run}/log/{name}")


def _command_line(bench: Bench, path: str, many: str) -> Figure:
    name = f"`runcast ls` {many}"
    command = shutil.which("runcast", path=f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}")
    if command is None:
        return Figure(name, note="skipped: expected the command runcast, it is not installed")

    def ls() -> None:
        subprocess.run([command, "--store", path, "ls"], check=True, capture_output=True)

    def least() -> None:
        subprocess.run([command, "--version"], check=True, capture_output=True)

    try:
        ls()
    except subprocess.CalledProcessError as error:
        return Figure(name, note=f"skipped: `runcast ls` fails: {error.stderr.decode().splitlines()[-1]}")
    found = alternate(
        bench,
        "L100k: ls",
        {OURS: lambda: _times(ls), "runcast --version": lambda: _times(least)},
    )
    return found.figure("ms", name, "ms")


def _times(once: Callable[[], None]) -> dict[str, float]:
    seconds = []
    for _ in range(_LOOKS):
        begun = time.perf_counter()
        once()
        seconds.append(time.perf_counter() - begun)
    return {"ms": percentile(seconds, 50) * 1000}


ROW = Row("L100k", "a store of 100,000 runs: list the newest", measure)
