"""M: a run that 200 people follow by long-poll through nginx, before two hosts: how much reaches the hosts.

nginx keeps what comes (`proxy_cache`) and lets one of those who ask the same ask for all of them
(`proxy_cache_lock`); the configuration is examples/nginx-streams.conf, and it takes the hosts in turns. They
share their runs through a Valkey. What reached a host is what nginx logged with an upstream. Viewers come
during the first half of the run, every tenth is slow, and each checks that it got every byte. Beside it a
tenth of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from bench.bench import Bench
from bench.measure import OURS, alternate, percentile
from bench.peers.nginx import nginx, requests, streams
from bench.peers.server import free_port, running
from bench.peers.viewers import Reply, view
from bench.row import Figure, Goal, Row
from runcast import Store
from tests.helpers.engines import serving, valkey
from tests.helpers.link_hosts import linked_hosts

VIEWERS = 200
_FEW = "a tenth of them"
_LINE_BYTES = 80
_LINES_PER_SECOND = 100
_SLOW_SECONDS = 0.5  # that a slow viewer takes for a reply


class _Edge(NamedTuple):
    folder: str
    store: Store  # of the host where the run is
    port: int


def measure(bench: Bench) -> Iterator[Figure]:
    """Yield what reached the hosts, and how late the viewers had the lines."""
    contenders = {
        OURS: partial(_measured, bench, VIEWERS),
        _FEW: partial(_measured, bench, VIEWERS // 10),
    }
    found = alternate(bench, "M", contenders)
    name = f"{VIEWERS} viewers, nginx, two hosts"
    yield found.figure("reached", f"{name}: requests to the hosts", "1/s", goals=(Goal(1.5, _FEW),))
    yield found.figure("asked", f"{name}: requests to nginx", "1/s")
    yield found.figure("ratio", f"{name}: requests to nginx for each to a host", "requests", higher=True)
    yield found.figure("late", f"{name}: requests to the hosts by 20 who come later", "requests")
    yield found.figure("p50", f"{name}: a line under way, p50", "ms")
    yield found.figure("p99", f"{name}: a line under way, p99", "ms")


def _measured(bench: Bench, viewers: int) -> dict[str, float]:
    seconds = bench.pick(12, 6)
    with bench.memory(1 << 29) as folder, _served(folder) as (folder, store, port):
        script = (
            "import time\n"
            f"begin = time.monotonic()\nfor n in range({seconds * _LINES_PER_SECOND}):\n"
            f"    time.sleep(max(begin + n / {_LINES_PER_SECOND} - time.monotonic(), 0))\n"
            f"    print(str(time.monotonic_ns()).ljust({_LINE_BYTES - 1}), flush=True)\n"
        )
        run = store.start([sys.executable, "-c", script])
        path = f"/v1/stream/runs/{run.id}"
        late: list[float] = []
        begun = time.monotonic()
        got = asyncio.run(_view_all(port, path, viewers, seconds / 2, late))
        took = time.monotonic() - begun
        run.wait()
        log = requests(folder)
        reached = sum(not line.startswith("- ") for line in log)
        expected = run.output().encode()
        asyncio.run(view(port, path))  # the first one that comes after the end
        before = sum(not line.startswith("- ") for line in requests(folder))
        got += asyncio.run(_view_all(port, path, 20, 1.0, []))
        after = sum(not line.startswith("- ") for line in requests(folder))
    assert all(one == expected for one in got), "expected every byte at every viewer"
    return {
        "reached": reached / took,
        "asked": len(log) / took,
        "ratio": len(log) / reached,
        "late": after - before,
        "p50": percentile(late, 50),
        "p99": percentile(late, 99),
    }


async def _view_all(port: int, path: str, viewers: int, seconds: float, late: list[float]) -> list[bytes]:
    """Have viewers come within some seconds; return what each got, and add how late each line was, in ms."""

    def note(reply: Reply) -> None:
        if "live=" in reply.query:
            late.extend((reply.at_ns - int(line)) / 1e6 for line in reply.body.split())

    return await asyncio.gather(
        *(
            view(port, path, begin=n / viewers * seconds, pause=_SLOW_SECONDS * (n % 10 == 9), got=note)
            for n in range(viewers)
        )
    )


@contextlib.contextmanager
def _served(folder: str) -> Iterator[_Edge]:
    with contextlib.ExitStack() as stack:
        engine = stack.enter_context(serving(valkey(), Path(folder, "valkey")))
        hosts = stack.enter_context(linked_hosts(Path(folder), engine.url, "m:"))
        ports = []
        for host in hosts:
            ports.append(free_port())
            serve = ["--store", host.store.path, "serve", "--no-auth", "--port", str(ports[-1])]
            stack.enter_context(running([sys.executable, "-m", "runcast", *serve], ports[-1]))
        port = free_port()
        stack.enter_context(running(nginx(folder, streams(folder, port, *ports)), port))
        yield _Edge(folder, hosts[0].store, port)


ROW = Row("M", f"{VIEWERS} viewers by long-poll through nginx, two hosts", measure)
