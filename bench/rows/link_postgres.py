"""LINK-PG: the same as LINK through PostgreSQL, beside psycopg by itself, and beside Valkey."""

from __future__ import annotations

import os
import select
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import psycopg

from bench.bench import Bench
from bench.measure import OURS, alternate
from bench.row import Figure, Goal, Row
from bench.rows.link import LOGS, follow, put_all, served, timed
from tests.helpers.engines import serving, valkey
from tests.helpers.postgres import Postgres, postgres

_PLAIN, _CHANNELS, _VALKEY = "psycopg's INSERT", "a channel a log", "Valkey"
_APPENDS = (  # bytes, how many, how many for --quick, how many under way
    (65536, 1000, 300, 16),
    (80, 20_000, 6000, 100),
    (80, 3000, 1000, 1),
)
_TABLE = "CREATE TABLE log (run text, start bigint, data bytea, PRIMARY KEY (run, start))"
_INSERT = "INSERT INTO log VALUES (%s, %s, %s)"


def measure(bench: Bench) -> Iterator[Figure]:
    """Yield the client's CPU time of an append, and the server's of news; the server syncs as by default."""
    with (
        bench.memory(1 << 30) as folder,
        postgres(fsync="on", full_page_writes="on", shared_buffers="128MB") as server,
        serving(valkey(), Path(folder)) as other,
    ):
        for size, usual, quick, window in _APPENDS:
            count = bench.pick(usual, quick)
            found = alternate(
                bench,
                f"LINK-PG {size} B",
                {
                    OURS: partial(put_all, server, size, count, window),
                    _PLAIN: partial(_insert, server, size, count, window),
                    _VALKEY: partial(put_all, other, size, count, window),
                },
            )
            title = f"appends of {size:,} B, " + (f"{window} under way" if window > 1 else "one by one")
            yield found.figure("cpu", f"CPU time of the client, {title}", "us", goals=(Goal(3.0, _PLAIN),))
            yield found.figure("rate", title, "1/s", higher=True)
        count = bench.pick(3000, 1000)
        found = alternate(
            bench,
            "LINK-PG news",
            {
                OURS: partial(follow, server, count),
                _CHANNELS: partial(_listen, server, count),
                _VALKEY: partial(follow, other, count),
            },
        )
        title = f"CPU time of the server, an entry and its news, {LOGS:,} logs followed"
        yield found.figure("cpu", title, "us", goals=(Goal(3.0, _CHANNELS),))


def _insert(server: Postgres, size: int, count: int, window: int) -> dict[str, float]:
    """Insert rows as psycopg does it, without a guard or news: each window in one transaction."""
    server.clear()
    data = os.urandom(size)
    with psycopg.connect(server.url) as client:
        client.execute("DROP TABLE IF EXISTS log")
        client.execute(_TABLE)
        client.commit()

        def act() -> None:
            for first in range(0, count, window):
                with client.pipeline():
                    for number in range(first, min(first + window, count)):
                        client.execute(_INSERT, ("run", number * size, data), binary=True)
                client.commit()

        return timed(count, act)


def _listen(server: Postgres, count: int) -> dict[str, float]:
    """Follow all logs by a channel for each of them, in the plain way."""
    server.clear()
    data = b"x" * 80
    with (
        psycopg.connect(server.url, autocommit=True) as writer,
        psycopg.connect(server.url, autocommit=True) as reader,
    ):
        writer.execute("DROP TABLE IF EXISTS log")
        writer.execute(_TABLE)
        for number in range(LOGS):
            reader.execute(f"LISTEN log{number}".encode())
        ends = [0] * LOGS
        poller = select.poll()
        poller.register(reader.fileno(), select.POLLIN)

        def deliver(number: int) -> None:
            with writer.transaction():
                writer.execute(_INSERT, (f"log{number}", ends[number], data), binary=True)
                writer.execute("SELECT pg_notify(%s, '')", (f"log{number}",))
            [heard] = reader.notifies(timeout=10, stop_after=1)
            assert heard.channel == f"log{number}"
            query = "SELECT data FROM log WHERE run = %s AND start >= %s"
            assert reader.execute(query, (heard.channel, ends[number]), binary=True).fetchall()
            ends[number] += len(data)

        return served(server, count, deliver)


ROW = Row("LINK-PG", "a link between hosts, through PostgreSQL", measure)
