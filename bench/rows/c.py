"""C: the replay of a finished log of 200 MB, beside nginx with the same bytes as a static file."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator

from bench.bench import Bench
from bench.measure import OURS, alternate
from bench.peers.server import free_port, running
from bench.row import Figure, Goal, Row
from bench.web import ACCEPTS, Served, serve
from runcast import Store

_LINES = 2_500_000
_NGINX = """
daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log; worker_processes 1;
events {{ worker_connections 64; }}
http {{
  access_log off; sendfile on;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{ listen 127.0.0.1:{port}; root {root}; }}
}}
"""


def measure(bench: Bench) -> Iterator[Figure]:
    """Yield the speed of text and of events."""
    lines = _LINES // bench.pick(1, 4)
    with bench.memory(lines * 100) as folder:
        store = Store.open(f"{folder}/store")
        run = store.start([bench.program("linegen"), str(lines)], cap=None)
        run.wait()
        while not run.closed:
            time.sleep(0.01)
        (static,) = [name for name in os.listdir(run.directory.log_path) if name.isdigit()][:1]
        size = run.tail_offset
        whole = f"{folder}/whole"
        with open(whole, "wb") as file:
            for chunk in run.follow():
                if chunk:
                    file.write(chunk.data)
        os.chmod(folder, 0o755)
        with _nginx(folder) as nginx, serve(OURS, ["true"], store.path) as ours:
            path = f"/runs/{run.id}/log"
            contenders = {OURS: lambda: _replay(ours, path, "text", size)}
            contenders["nginx static"] = lambda: _replay(nginx, "/whole", "text", size)
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
def _nginx(folder: str) -> Iterator[Served]:
    port = free_port()
    with open(f"{folder}/nginx.conf", "w") as file:
        file.write(_NGINX.format(folder=folder, port=port, root=folder))
    cores = sorted(os.sched_getaffinity(0))
    user = ["-g", "user root;"] if os.geteuid() == 0 else []
    with running(["nginx", "-c", f"{folder}/nginx.conf", *user], port, cores=cores[:1]) as process:
        yield Served("nginx static", port, process.pid)


ROW = Row("C", "replay of a finished log", measure)
