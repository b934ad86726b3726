"""COLD: the end of a log of 1 GB that is on the shelf alone, read on a host that has nothing of it.

The run was another host's; the engine has forgotten its output, so the reader's agent brings what is needed.
Beside what that must take: the same objects fetched from the shelf and their checksums made, by this process.
What was read is compared with the run's file. The shelf is a folder in memory. `--quick` has 100 MB.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import redis

from bench.bench import Bench
from bench.hosts import linked, until
from bench.measure import OURS, alternate
from bench.row import Figure, Goal, Row
from bench.stores import settle
from runcast import Run
from runcast.run.base import files_of
from runcast.shelf import open_shelf
from runcast.shelf.manifest import fetch_manifest
from tests.helpers.engines import Server, serving, valkey

_BYTES, _QUICK_BYTES = 1_000_000_000, 100_000_000
_LINE_BYTES = 80
_TAIL = 4096  # bytes
_FETCH = "the fetch alone"


def measure(bench: Bench) -> Iterator[Figure]:
    """Yield how long it takes, beyond what it must, and how much is fetched."""
    size = bench.pick(_BYTES, _QUICK_BYTES)
    linegen, core = bench.program("linegen"), max(os.sched_getaffinity(0))
    command = [linegen, str(size // _LINE_BYTES), "-w", "65536", "-c", str(core)]

    def ours() -> dict[str, float]:
        return _read(bench, size, command)

    found = alternate(bench, "COLD", {OURS: ours})
    what = f"tail of a log of {size / 1e6:.0f} MB on the shelf"
    yield found.figure("segments", f"{what}: segments fetched", "", goals=(Goal(2),))
    yield found.figure("whole", f"{what}: until it is read", "ms")
    yield found.figure("fetch", f"{what}: {_FETCH}, with its checksums", "ms")
    yield found.figure("beyond", f"{what}: beyond that", "ms", goals=(Goal(100),))


def _read(bench: Bench, size: int, command: list[str]) -> dict[str, float]:
    with (
        bench.memory(4 * size) as folder,
        serving(valkey(), Path(folder, "engine")) as server,
    ):
        place = f"file://{folder}/shelf"
        os.mkdir(f"{folder}/shelf")
        shelf = f"{place}?link_age=0s"
        with linked(folder, server.url, "ab", shelf=shelf) as (a, b):
            run = a.store.start(command, cap=None)
            settle(run)
            _forgotten(server, run)
            mirror = b.has(run.id)
            begun = time.perf_counter()
            tail = mirror.tail_offset
            got = b"".join(chunk.data for chunk in mirror.follow(offset=max(tail - _TAIL, 0)))
            whole = time.perf_counter() - begun
            log = Path(files_of(run).log_path)
            expected = sorted(one for one in log.iterdir() if not one.suffix)[-1].read_bytes()[-_TAIL:]
            assert got == expected, "the end of the log, as its host has it"
            here = [one.name for one in Path(files_of(mirror).log_path).iterdir() if not one.suffix]
            fetch = _fetched(place, run.id, here)
    return {
        "segments": len(here),
        "whole": whole * 1e3,
        "fetch": fetch * 1e3,
        "beyond": (whole - fetch) * 1e3,
    }


def _forgotten(server: Server, run: Run) -> None:
    """Wait until the engine has nothing of a run's output any more, since the shelf has it."""
    with redis.Redis(port=server.port) as client:
        until(
            lambda: int(client.hget(f"rc:{{{run.id}}}run", "first") or 0) == run.tail_offset,
            "a log that is on the shelf alone",
        )


def _fetched(place: str, run_id: str, names: list[str]) -> float:
    """Return how long it takes to fetch, and to check, what these segments of a log came from."""
    shelf = open_shelf(place)
    begun = time.perf_counter()
    manifest = fetch_manifest(shelf, run_id)
    starts = {int(name) for name in names}
    for segment in manifest.segments:
        manifest.index_of(shelf, segment)
        for piece in segment.pieces:
            if piece.start in starts:
                manifest.data_of(shelf, segment, piece)
    return time.perf_counter() - begun


ROW = Row("COLD", "the end of a log that is on the shelf alone", measure)
