"""DH: how long a line is under way from write(2) to a viewer over HTTP, at 100 lines a second."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator

from bench.bench import Bench
from bench.measure import OURS, alternate, quantiles
from bench.row import Figure, Goal, Row
from bench.web import serve

_STAMP = re.compile(rb"(?<![0-9])([0-9]{20}) ")
_WARMUP = 10


def measure(bench: Bench) -> Iterator[Figure]:
    """Yield the latency of text and of events beside websocketd and the usual applications."""
    linegen = bench.program("linegen")
    count = bench.pick(400, 150)
    other = str(max(os.sched_getaffinity(0)))
    command = [linegen, str(count), "-r", "100", "-c", other]

    def late(name: str, form: str) -> dict[str, float]:
        with bench.memory() as folder, serve(name, command, f"{folder}/store") as served:
            found: list[float] = []
            with served.get(form=form) as connection:
                while len(found) < count and (data := connection.recv(65536)):
                    now = time.monotonic_ns()
                    found += [(now - int(stamp)) / 1e6 for stamp in _STAMP.findall(data)]
            assert len(found) >= count, f"{name}: {len(found)} of {count} lines"
            return quantiles(found[_WARMUP:])

    sse = f"{OURS} SSE"
    found = alternate(
        bench,
        "DH",
        {
            OURS: lambda: late(OURS, "text"),
            sse: lambda: late(OURS, "SSE (a line an event)"),
            "websocketd": lambda: late("websocketd", "text"),
            "usual Starlette": lambda: late("usual Starlette", "text"),
        },
    )
    peers = ["websocketd", "usual Starlette"]
    for ours, how in ((OURS, "text"), (sse, "SSE")):
        goals = (Goal(1.6, "websocketd"),)
        yield found.figure(
            "p50", f"line latency over HTTP, {how}, p50", "ms", ours=ours, peers=peers, goals=goals
        )
        yield found.figure(
            "p99", f"line latency over HTTP, {how}, p99", "ms", ours=ours, peers=peers, goals=(Goal(1.0),)
        )


ROW = Row("DH", "line latency over HTTP", measure, quick=True)
