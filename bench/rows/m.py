"""M: a run that 200 people follow by long-poll through nginx: how many requests reach runcast.

nginx keeps what comes (`proxy_cache`) and lets one of those who ask the same ask for all of them
(`proxy_cache_lock`); the configuration is examples/nginx-streams.conf. What reached runcast is
what nginx logged with an upstream. Every reader checks that it got every byte.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import sys
import time
from collections.abc import Iterator

from bench.bench import Bench
from bench.measure import OURS, Results, percentile
from bench.peers.nginx import nginx, requests, streams
from bench.peers.server import free_port, running
from bench.row import Figure, Goal, Row
from runcast import Store

READERS = 200
_LINE = b"%019d\n"


def measure(bench: Bench) -> Iterator[Figure]:
    """Yield requests per log offset that reached runcast, and how late the readers had the lines."""
    found = Results()
    for number in range(bench.rounds):
        bench.calm()
        bench.say(f"M: round {number + 1} of {bench.rounds}")
        found.add(OURS, _measured(bench))
    name = f"{READERS} readers behind nginx"
    yield found.figure(
        "per offset", f"{name}, requests to runcast per offset", "requests", goals=(Goal(2.0),)
    )
    yield found.figure("asked", f"{name}, requests to nginx per offset", "requests")
    yield found.figure("p50", f"{name}, a line under way, p50", "ms")
    yield found.figure("p99", f"{name}, a line under way, p99", "ms")


def _measured(bench: Bench) -> dict[str, float]:
    lines = bench.pick(20, 8)
    with bench.memory() as folder, _served(folder) as (store, port):
        # Pauses longer than nginx takes to look whether the one who asks is back: half a second.
        script = (
            "import sys, time\n"
            f"for _ in range({lines}):\n"
            "    time.sleep(0.75)\n"
            "    sys.stdout.write('%019d\\n' % time.monotonic_ns()); sys.stdout.flush()\n"
        )
        run = store.start([sys.executable, "-c", script])
        late = asyncio.run(_read_all(port, f"/v1/stream/runs/{run.id}", lines))
        run.wait()
        log = requests(folder)
    live = [line for line in log if "live=long-poll" in line]
    reached = [line for line in live if not line.startswith("- ")]
    offsets = {found[1] for line in live if (found := re.search(r"offset=(\d+)", line))}
    return {
        "per offset": len(reached) / len(offsets),
        "asked": len(live) / len(offsets),
        "p50": percentile(late, 50),
        "p99": percentile(late, 99),
    }


@contextlib.contextmanager
def _served(folder: str) -> Iterator[tuple[Store, int]]:
    upstream, port = free_port(), free_port()
    before = nginx(folder, streams(folder, port, upstream))
    store = f"{folder}/store"
    serve = [sys.executable, "-m", "runcast", "--store", store, "serve", "--no-auth", "--port", str(upstream)]
    with running(serve, upstream), running(before, port):
        yield Store(store), port


async def _read_all(port: int, path: str, lines: int) -> list[float]:
    """Have all readers follow to the end; return how late each line was for each, in milliseconds."""
    late: list[float] = []
    await asyncio.gather(*(_read(port, path, lines, late) for _ in range(READERS)))
    return late


async def _read(port: int, path: str, lines: int, late: list[float]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    offset, cursor, data, closed = "-1", "", b"", False
    query = f"offset={offset}"
    while not closed:
        writer.write(f"GET {path}?{query} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        told = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
        body = await reader.readexactly(int(told.get("content-length", "0")))
        now = time.monotonic_ns()
        late += [(now - int(line)) / 1e6 for line in body.split() if "live" in query]
        data += body
        offset, cursor = told["stream-next-offset"], told.get("stream-cursor", cursor)
        closed = "stream-closed" in told
        query = f"cursor={cursor}&live=long-poll&offset={offset}"
    writer.close()
    assert len(data.split()) == lines, f"expected {lines} lines, got {len(data.split())}"


ROW = Row("M", "200 long-poll readers through nginx", measure)
