"""Requests to a server of PostgreSQL, and what comes back.

Owns the one state that a link is in, up or down, the connection, and what is sent in which order. Writes
that follow each other go as one batch, which is one transaction: at most two are under way, so the more
there is to write, the more is in each. Must not know what runs are. All in the thread that calls `step`.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from runcast.errors import LinkDown, LinkError
from runcast.link.background import Opening
from runcast.link.base import Hello
from runcast.link.postgres_connection import PostgresConnection, Rows
from runcast.link.postgres_hello import Greeted, Greeting, Sent, where_of
from runcast.link.postgres_values import BYTES, TEXT, array, integer, integers, read_integer, read_integers
from runcast.link.reply import Reply
from runcast.link.wire import Wire

__all__ = ["OUTCOME", "PUT", "PostgresWire", "Write"]

PUT, _STATE, _PROGRESS, OUTCOME = range(4)
_BATCHES = 2  # under way
_BATCH_WRITES, _BATCH_BYTES = 250, 1 << 20  # so that the names of a batch fit into one notification
_OPENING = 10.0  # seconds for connecting, with all that is looked at
_SWEPT = 500  # entries removed in one go: with 64 KiB each still a fraction of a second
_UNKNOWN, _DEAF, _UNSWEPT = 1, 2, 4


class Write(NamedTuple):
    """A `put`, or a field of a run.

    Attributes:
        kind: `PUT`, or 1 to `OUTCOME` for state, progress, outcome.
        run: the id.
        start: where a `put` begins.
        until: where it ends.
        data: its bytes; or the value of the field.
        records: its index records.
    """

    kind: int
    run: bytes
    start: int
    until: int
    data: bytes
    records: bytes


class _Batch:
    """Writes that go together."""

    def __init__(self) -> None:
        self.writes: list[Write] = []
        self.replies: list[Reply[int]] = []
        self.size = 0

    def takes(self, write: Write) -> bool:
        """Return whether there is room for another one."""
        return len(self.writes) < _BATCH_WRITES and self.size + len(write.data) <= _BATCH_BYTES

    def add(self, write: Write) -> Reply[int]:
        """Take another one."""
        reply: Reply[int] = Reply()
        self.writes.append(write)
        self.replies.append(reply)
        self.size += len(write.data)
        return reply

    def values(self, link: int, outcomes: int | None) -> list[bytes | None]:
        """Return the parameters of `append`."""
        kinds, runs, starts, ends, pieces, records = zip(*self.writes, strict=True)
        return [
            integers(kinds),
            array(TEXT, runs),
            integers(starts),
            integers(ends),
            array(BYTES, pieces),
            array(BYTES, records),
            integer(link),
            None if outcomes is None else integer(outcomes),
        ]


class _Request(NamedTuple):
    statement: str
    values: tuple[bytes | None, ...]
    reply: Reply[Rows]


class PostgresWire(Wire):
    """The connection of one link.

    Args:
        options: of libpq.
        schema: where the tables are.
        link: the number of the link.
        statements: that are requested, by name.
        hear: called with the text of each notification.
    """

    def __init__(
        self,
        options: Mapping[str, str],
        schema: str,
        link: int,
        statements: Mapping[str, str],
        hear: Callable[[str], None],
    ) -> None:
        super().__init__()
        self._options, self._schema, self._link = options, schema, link
        self._statements, self._hear = statements, hear
        self._connection: PostgresConnection | None = None
        self._greeting: tuple[Greeting, Opening[Greeted], Reply[Hello], float] | None = None
        self._queue: deque[_Batch | _Request] = deque()
        self._batches = 0
        self._outcomes = Sent()
        self._numbered = 0
        self.where = where_of(options)

    def timeout(self) -> float | None:
        """Return the seconds until there is something to do."""
        if self._greeting is not None:
            return max(0.0, self._greeting[3] - time.monotonic())
        if self._connection is None:
            return None
        if self._connection.unsent or (self._queue and self._may_send(self._queue[0])):
            return 0.0
        return max(0.0, self._connection.due() - time.monotonic())

    def _turn(self) -> None:
        self._take_opened()
        self._send()
        if self._polling.ready() and self._connection is not None:
            self._connection.receive()
        if self._connection is not None:
            self._connection.beat(time.monotonic())
        self._send()

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
        if self._greeting is not None:
            self._greeting[0].abandon()
            self._greeting[1].close()
        self._connection = self._greeting = None
        self._queue.clear()
        self._batches = 0

    # Connecting

    def open(self) -> Reply[Hello]:
        """Connect; reply with what is found there. All that waits for replies fails."""
        self._connects()
        greeting = Greeting(self._options, self._schema, self._link, self._outcomes, self._statements)
        opening = Opening(greeting.open, _close, self._polling.ring)
        reply: Reply[Hello] = Reply()
        self._waiting[reply] = None
        self._greeting = greeting, opening, reply, time.monotonic() + _OPENING
        return reply

    def _take_opened(self) -> None:
        if self._greeting is None:
            return
        _, opening, reply, deadline = self._greeting
        found = opening.take()
        if found is None:
            if time.monotonic() >= deadline:
                raise LinkDown(
                    f"expected an answer of {self.where} within {_OPENING:g} s, none came: is it up?"
                )
            return
        self._greeting = None
        self._outcomes, self._numbered = found.sent, found.sent.outcomes
        self._connection = PostgresConnection(
            found.connection, self.where, self._polling.poller, self._hear, self._beat
        )
        self.down = None
        self._settle(reply, found.hello)

    def _beat(self) -> None:
        assert self._connection is not None
        known = self._link, self._outcomes.outcomes, self._outcomes.table
        self._connection.send("beat", [integer(value) for value in known], self._beaten)

    def _beaten(self, rows: Rows | LinkError) -> None:
        if isinstance(rows, LinkError):
            return
        found = read_integer(rows[0][0] or b"")
        if found & _UNKNOWN:
            raise LinkDown(f"expected {self.where} to know this link, it does not: was its data restored?")
        if found & _DEAF:
            raise LinkDown(
                f"expected notifications from {self.where}, it sends none: name the server itself, or a "
                "pooler that gives each client a session of its own"
            )
        if found & _UNSWEPT:
            self._sweep()

    def _sweep(self) -> None:
        def swept(reply: Reply[Rows]) -> None:
            if self.down is None and reply.result()[0][0] == b"\x01":
                self._sweep()

        self.request("sweep", integer(_SWEPT)).then(swept)

    # Requests

    def request(self, statement: str, *values: bytes | None) -> Reply[Rows]:
        """Have a statement executed; reply with its rows."""
        reply: Reply[Rows] = Reply()
        if self.down is not None:
            reply.fail(self.down)
        else:
            self._waiting[reply] = None
            self._queue.append(_Request(statement, values, reply))
        return reply

    def write(self, write: Write) -> Reply[int]:
        """Have something written; reply as the function `append` does."""
        if self.down is not None:
            reply: Reply[int] = Reply()
            reply.fail(self.down)
            return reply
        last = self._queue[-1] if self._queue else None
        if not isinstance(last, _Batch) or not last.takes(write):
            last = _Batch()
            self._queue.append(last)
        reply = last.add(write)
        self._waiting[reply] = None
        return reply

    def _may_send(self, what: _Batch | _Request) -> bool:
        return not isinstance(what, _Batch) or self._batches < _BATCHES

    def _send(self) -> None:
        if self._connection is None:
            return
        while self._queue and self._may_send(self._queue[0]):
            what = self._queue.popleft()
            if isinstance(what, _Request):
                self._connection.send(what.statement, what.values, partial(self._settle, what.reply))
                continue
            outcomes = None
            if any(write.kind == OUTCOME for write in what.writes):
                outcomes = self._numbered = self._numbered + 1
            self._batches += 1
            values = what.values(self._link, outcomes)
            self._connection.send("append", values, partial(self._written, what, outcomes))
        self._connection.flush()

    def _written(self, batch: _Batch, outcomes: int | None, rows: Rows | LinkError) -> None:
        self._batches -= 1
        if isinstance(rows, LinkError):
            for reply in batch.replies:
                self._settle(reply, rows)
            return
        if outcomes is not None:
            self._outcomes = self._outcomes._replace(outcomes=outcomes)
        for reply, result in zip(batch.replies, read_integers(rows[0][0] or b""), strict=True):
            self._settle(reply, result)

    def _settle(self, reply: Reply[Any], value: object) -> None:
        self._waiting.pop(reply, None)
        if isinstance(value, LinkError):
            reply.fail(value)
        else:
            reply.succeed(value)


def _close(greeted: Greeted) -> None:
    greeted.connection.close()
