"""A: the first byte of `echo hi` over HTTP, from connect to the byte, a command started by each GET."""

from __future__ import annotations

import time
from collections.abc import Iterator

from bench.bench import Bench
from bench.measure import OURS, alternate, quantiles
from bench.row import Figure, Goal, Row
from bench.web import Served, serve

_PEERS = ("websocketd", "usual Starlette", "usual Flask", "C copy")


def measure(bench: Bench) -> Iterator[Figure]:
    """Yield the latency beside each peer."""
    command = ["echo", "hi"]
    count = bench.pick(60, 25)

    def first_bytes(name: str) -> dict[str, float]:
        copy_server = bench.program("copyserver")
        with bench.memory() as folder, serve(name, command, f"{folder}/store", copy_server) as served:
            return quantiles([_first_byte(served) for _ in range(count + 5)][5:])

    found = alternate(bench, "A", {name: lambda name=name: first_bytes(name) for name in (OURS, *_PEERS)})
    goals = (Goal(2.0, "websocketd"), Goal(0.5, "usual Starlette"))
    yield found.figure("p50", "first byte of `echo hi`, p50", "ms", goals=goals)
    yield found.figure("p99", "first byte of `echo hi`, p99", "ms")


def _first_byte(served: Served) -> float:
    begun = time.perf_counter()
    seen = b""
    with served.get() as connection:
        while b"hi" not in seen.partition(b"\r\n\r\n")[2]:
            data = connection.recv(65536)
            assert data, f"{served.name} ended without output: {seen!r}"
            seen += data
    return (time.perf_counter() - begun) * 1000


ROW = Row("A", "first byte over HTTP", measure, quick=True)
