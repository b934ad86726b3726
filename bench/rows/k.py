"""K: how much the server grows for a viewer that reads 4 KiB each 50 ms of a command that printed 200 MB."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

from bench import processes
from bench.bench import Bench
from bench.measure import OURS, alternate
from bench.row import Figure, Goal, Row
from bench.web import serve

_LINES = 2_500_000
_PEERS = ("websocketd", "usual Starlette", "usual Flask")


def measure(bench: Bench) -> Iterator[Figure]:
    """Yield the growth after some seconds."""
    command = [bench.program("linegen"), str(_LINES)]
    seconds = bench.pick(4, 2)

    def grown(name: str) -> dict[str, float]:
        with bench.memory(_LINES * 100) as folder, serve(name, command, f"{folder}/store") as served:
            for _ in range(2):  # what a server allocates at its first replies is no growth
                with served.get() as connection:
                    connection.recv(1000)
            before = _resident(served.pid)
            with served.get() as connection:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                until = time.monotonic() + seconds
                while time.monotonic() < until:
                    connection.recv(4096)
                    time.sleep(0.05)
                return {"grown": (_resident(served.pid) - before) / 2**20}

    found = alternate(bench, "K", {name: lambda name=name: grown(name) for name in (OURS, *_PEERS)})
    yield found.figure(
        "grown", f"growth of the server, {seconds} s of a slow reader", "MiB", goals=(Goal(0.5),)
    )


def _resident(pid: int) -> int:
    """Return the memory of a server, its workers included, in bytes; not of the commands it runs."""
    members = (pid, *(one for one in processes.descendants(pid)[1:] if "python" in _name(one)))
    return sum(processes.resident(one) for one in members) * 1024


def _name(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/comm") as file:
            return file.read()
    except OSError:
        return ""


ROW = Row("K", "a slow reader", measure)
