"""C: the replay of a finished log of 200 MB, beside nginx with the same bytes as a static file."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator

from bench.bench import Bench
from bench.measure import OURS, alternate
from bench.peers.nginx import nginx
from bench.peers.server import free_port, running
from bench.row import Figure, Goal, Row
from bench.web import ACCEPTS, Served, serve
from runcast import Store
from runcast.run.base import files_of

_LINES = 2_500_000


def measure(bench: Bench) -> Iterator[Figure]:
    """Yield the speed of text and of events."""
    lines = _LINES // bench.pick(1, 4)
    with bench.memory(lines * 100) as folder:
        store = Store.open(f"{folder}/store")
        run = store.start([bench.program("linegen"), str(lines)], cap=None)
        run.wait()
        while not run.closed:
            time.sleep(0.01)
        (static,) = [name for name in os.listdir(files_of(run).log_path) if name.isdigit()][:1]
        size = run.tail_offset
        whole = f"{folder}/whole"
        with open(whole, "wb") as file:
            for chunk in run.follow():
                if chunk:
                    file.write(chunk.data)
        os.chmod(folder, 0o755)
        with _static(folder) as peer, serve(OURS, ["true"], store.path) as ours:
            path = f"/runs/{run.id}/log"
            contenders = {OURS: lambda: _replay(ours, path, "text", size)}
            contenders["nginx static"] = lambda: _replay(peer, "/whole", "text", size)
            for form in list(ACCEPTS)[1:]:
                contenders[f"{OURS} {form}"] = lambda form=form: _replay(ours, path, form, size)
            found = alternate(bench, "C", contenders)
        assert static
    goals = {"text": 1.0, "SSE (JSON)": 0.6}
    for form in ACCEPTS:
        yield found.figure(
            "speed",
            f"replay of {size / 1e6:.0f} MB, {form}",
            "MB/s",
            ours=OURS if form == "text" else f"{OURS} {form}",
            peers=["nginx static"],
            goals=(Goal(goals[form], "nginx static"),) if form in goals else (),
            higher=True,
        )


def _replay(served: Served, path: str, form: str, size: int) -> dict[str, float]:
    begun = time.perf_counter()
    total = 0
    with served.get(path, form) as connection:
        received = bytearray(1 << 18)
        while count := connection.recv_into(received):
            total += count
    assert total >= size, f"{served.name}: {total} of {size} bytes"
    return {"speed": size / 1e6 / (time.perf_counter() - begun)}


@contextlib.contextmanager
def _static(folder: str) -> Iterator[Served]:
    port = free_port()
    command = nginx(
        folder, f"access_log off; sendfile on; server {{ listen 127.0.0.1:{port}; root {folder}; }}"
    )
    with running(command, port, cores=sorted(os.sched_getaffinity(0))[:1]) as process:
        yield Served("nginx static", port, process.pid)


ROW = Row("C", "replay of a finished log", measure)
