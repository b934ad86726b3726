"""B: one viewer of a command that prints lines of 80 bytes as fast as it can.

Megabytes of lines a second, whatever a form puts around them. Slower contenders get fewer lines,
so that each takes about a second. Each has served the same once before: what a first request
costs (ours starts the process that makes supervisors, 40 ms) is not what this row is about. For a WebSocket
the run is started at the moment of connecting, for a view answers none.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

from bench.bench import Bench
from bench.measure import OURS, alternate
from bench.row import Figure, Goal, Row
from bench.web import ACCEPTS, Served, serve
from runcast import Store

_LINES = {OURS: 2_500_000, "C copy": 2_500_000, "websocketd": 200_000, "usual Starlette": 100_000}
_LINES["usual Flask"] = 100_000
_LINE_EVENTS = 500_000
_LINE_BYTES = 80
_SOCKET = "WebSocket"
_CLOSE = b"\x88\x02\x03\xe8"  # a close frame with the code 1000 (RFC 6455, sections 5.5.1 and 7.4.1)
_GOALS = {"text": 50.0, "SSE (a line an event)": 30.0, "SSE (JSON)": 45.0, _SOCKET: 45.0}


def measure(bench: Bench) -> Iterator[Figure]:
    """Yield the throughput in each form beside each peer."""
    linegen, copy_server = bench.program("linegen"), bench.program("copyserver")
    other = str(max(os.sched_getaffinity(0)))

    def flat_out(name: str, form: str) -> dict[str, float]:
        lines = _LINE_EVENTS if "a line" in form else _LINES[name]
        lines //= bench.pick(1, 4)
        command = [linegen, str(lines), "-w", "65536", "-c", other]
        with bench.memory(lines * 200) as folder, serve(name, command, f"{folder}/s", copy_server) as served:
            _seconds(served, form, lines * _LINE_BYTES)
            return {form: lines * _LINE_BYTES / 1e6 / _seconds(served, form, lines * _LINE_BYTES)}

    def socket() -> dict[str, float]:
        lines = _LINE_EVENTS // bench.pick(1, 4)
        command = [linegen, str(lines), "-w", "65536", "-c", other]
        with bench.memory(lines * 200) as folder, serve(OURS, command, f"{folder}/s") as served:
            _socket_seconds(served, Store(f"{folder}/s"), command, lines * _LINE_BYTES)
            seconds = _socket_seconds(served, Store(f"{folder}/s"), command, lines * _LINE_BYTES)
            return {"text": lines * _LINE_BYTES / 1e6 / seconds}

    contenders = {name: lambda name=name: flat_out(name, "text") for name in _LINES}
    for form in list(ACCEPTS)[1:]:
        contenders[f"{OURS} {form}"] = lambda form=form: {"text": flat_out(OURS, form)[form]}
    contenders[f"{OURS} {_SOCKET}"] = socket
    found = alternate(bench, "B", contenders)
    peers = [name for name in _LINES if name != OURS]
    yield found.figure("text", "flat out, text", "MB/s", peers=peers, goals=_goals("text"), higher=True)
    for form in [*list(ACCEPTS)[1:], _SOCKET]:
        yield found.figure(
            "text",
            f"flat out, {form}",
            "MB/s",
            ours=f"{OURS} {form}",
            peers=["websocketd", "C copy"],
            goals=_goals(form),
            higher=True,
        )


def _goals(form: str) -> tuple[Goal, ...]:
    return (Goal(_GOALS[form], "websocketd"),)


def _socket_seconds(served: Served, store: Store, command: list[str], expected: int) -> float:
    run = store.start(command, cap=None)
    begun = time.perf_counter()
    with served.get(f"/runs/{run.id}/log", form=_SOCKET) as connection:
        received = bytearray(1 << 18)
        total, last = 0, b""
        while not last.endswith(_CLOSE):
            count = connection.recv_into(received)
            assert count, f"the WebSocket ended without a close, after {total} bytes"
            total += count
            last = (last + received[max(count - len(_CLOSE), 0) : count])[-len(_CLOSE) :]
    assert total >= expected, f"WebSocket: {total} bytes of {expected}"
    return time.perf_counter() - begun


def _seconds(served: Served, form: str, expected: int) -> float:
    begun = time.perf_counter()
    with served.get(form=form) as connection:
        received = bytearray(1 << 18)
        total = 0
        while count := connection.recv_into(received):
            total += count
            if received[:count].endswith(b":end\n\n"):
                break
    assert total >= expected, f"{served.name}: {total} bytes of {expected}"
    return time.perf_counter() - begun


ROW = Row("B", "one viewer, flat out", measure, quick=True)
