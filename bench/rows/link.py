"""LINK: appends and news through an engine between hosts, beside redis-py; one Valkey for both."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

import redis

from bench import processes
from bench.bench import Bench
from bench.measure import OURS, alternate
from bench.row import Figure, Goal, Row
from runcast.ids import new_run_id
from runcast.link import Link
from runcast.link.opening import open_link
from runcast.link.resp import Parser
from tests.helpers.engines import Server, serving, valkey

LOGS: Final = 1000
"""That one follows."""
_PIPELINE, _XADD, _BLOCK = "redis-py pipeline", "redis-py xadd", "XREAD BLOCK"
_APPENDS = (  # bytes, how many, how many for --quick, how many under way, beside whom
    (65536, 2000, 600, 16, _PIPELINE),
    (80, 20_000, 6000, 100, _PIPELINE),
    (80, 10_000, 3000, 1, _XADD),
)


class Engine(Protocol):
    """A server."""

    @property
    def url(self) -> str:
        """The address, for a link."""

    def clear(self) -> None:
        """Have it lose all data."""

    def pids(self) -> list[int]:
        """Return its processes."""


def measure(bench: Bench) -> Iterator[Figure]:
    """Yield the client's CPU time of an append, and the server's of news."""
    with bench.memory(1 << 30) as folder, serving(valkey(), Path(folder)) as server:
        for size, usual, quick, window, peer in _APPENDS:
            count = bench.pick(usual, quick)
            found = alternate(
                bench,
                f"LINK {size} B",
                {
                    OURS: partial(put_all, server, size, count, window),
                    peer: partial(adds, server, size, count, window),
                },
            )
            title = f"appends of {size:,} B, " + (f"{window} under way" if window > 1 else "one by one")
            yield found.figure("cpu", f"CPU time of the client, {title}", "us", goals=(Goal(3.0, peer),))
            yield found.figure("rate", title, "1/s", higher=True)
        count = bench.pick(5000, 2000)
        found = alternate(
            bench,
            "LINK news",
            {OURS: partial(follow, server, count), _BLOCK: partial(_blocking, server, count)},
        )
        title = f"CPU time of the server, an entry and its news, {LOGS:,} logs followed"
        yield found.figure("cpu", title, "us", goals=(Goal(0.12, _BLOCK),))


def _opened(server: Engine) -> Link:
    link = open_link(server.url)
    link.wait(link.hello())
    return link


def timed(count: int, act: Callable[[], None]) -> dict[str, float]:
    """Return the CPU time of this process for one of so many, and how many there were in a second."""
    begun, cpu = time.perf_counter(), time.process_time()
    act()
    used, took = time.process_time() - cpu, time.perf_counter() - begun
    return {"cpu": used / count * 1e6, "rate": count / took}


def put_all(server: Engine, size: int, count: int, window: int) -> dict[str, float]:
    """Put so many entries into a new log, a window of them at once."""
    server.clear()
    data, records = os.urandom(size), b"r" * 32
    with contextlib.closing(_opened(server)) as link:
        run = link.wait(link.create(new_run_id(), b"{}", "bench"))
        link.wait(link.put(run, 0, 1, b"x", b""))  # brings the script

        def act() -> None:
            for first in range(0, count, window):
                ends = range(1 + first * size, 1 + min(first + window, count) * size, size)
                replies = [link.put(run, at, at + size, data, records) for at in ends]
                for reply in replies:
                    assert link.wait(reply) is None

        return timed(count, act)


def adds(
    server: Server, size: int, count: int, window: int, *, flush: bool = True, rate: float = 0.0
) -> dict[str, float]:
    """Add entries of so many bytes by redis-py, at a rate or as fast as it can; return what each took."""
    if flush:
        server.clear()
    else:
        server.command("DEL", "log")
    data, records = os.urandom(size), b"r" * 32
    with redis.Redis(port=server.port) as client:
        client.ping()

        def act() -> None:
            begun = time.monotonic()
            for first in range(0, count, window):
                if rate:
                    time.sleep(max(0.0, begun + first / rate - time.monotonic()))
                ends = range(1 + first, 1 + min(first + window, count))
                if window == 1:
                    client.xadd("log", {"d": data, "i": records}, id=f"{ends[0]}-0")
                    continue
                with client.pipeline(transaction=False) as pipeline:
                    for end in ends:
                        pipeline.xadd("log", {"d": data, "i": records}, id=f"{end}-0")
                    pipeline.execute()

        return timed(count, act)


def served(server: Engine, count: int, deliver: Callable[[int], None]) -> dict[str, float]:
    """Return the CPU time of the server for each entry that is appended and reaches a follower."""
    before = processes.running_ns(server.pids())
    for number in range(count):
        deliver(number % LOGS)
    return {"cpu": (processes.running_ns(server.pids()) - before) / count / 1000}


def follow(server: Engine, count: int) -> dict[str, float]:
    """Append to 1,000 logs in turns, each of which another link follows."""
    server.clear()
    data = b"x" * 80
    with contextlib.closing(_opened(server)) as writer, contextlib.closing(_opened(server)) as reader:
        runs = [writer.wait(writer.create(new_run_id(), b"{}", "bench")) for _ in range(LOGS)]
        ends = [0] * LOGS
        reader.watch(runs)
        poller = select.poll()
        poller.register(reader.fileno(), select.POLLIN)

        def news() -> set[str]:
            reader.step()
            if not (found := reader.news()):
                poller.poll(100)
            return found

        watched: set[str] = set()
        while len(watched) < LOGS:
            watched |= news()

        def deliver(number: int) -> None:
            run, start = runs[number], ends[number]
            ends[number] += len(data)
            writer.put(run, start, ends[number], data, b"")
            writer.step()
            while run not in news():
                pass
            assert reader.wait(reader.read(run, start, 65536)).tail == ends[number]
            writer.step()

        return served(server, count, deliver)


def _blocking(server: Server, count: int) -> dict[str, float]:
    """Follow all logs by one XREAD BLOCK."""
    server.clear()
    data = b"x" * 80
    names = [b"log%d" % number for number in range(LOGS)]
    places = [_bulk(b"0-0") for _ in names]
    head = b"*%d\r\n" % (4 + 2 * LOGS) + b"".join(
        _bulk(part) for part in (b"XREAD", b"BLOCK", b"0", b"STREAMS", *names)
    )
    parser = Parser()
    with (
        redis.Redis(port=server.port) as writer,
        socket.create_connection(("127.0.0.1", server.port)) as reader,
    ):

        def deliver(number: int) -> None:
            reader.sendall(head + b"".join(places))
            writer.xadd(names[number], {"d": data, "i": b""})
            replies: list[Any] = []
            while not replies:
                replies = parser.feed(reader.recv(1 << 18))
            [[name, entries]] = replies[0]
            assert name == names[number]
            places[number] = _bulk(entries[-1][0])

        return served(server, count, deliver)


def _bulk(text: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(text), text)


ROW = Row("LINK", "a link between hosts", measure)
