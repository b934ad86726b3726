"""One connection to PostgreSQL in pipeline mode, for a loop that polls.

Owns the queue of requests, which of them are under way, and the heartbeat. psycopg connects, in a thread
(`postgres_hello`); from then on the loop drives libpq itself, which never blocks. Each request is a
transaction of its own. Must not know what the requests are about.
"""

from __future__ import annotations

import contextlib
import select
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

import psycopg
from psycopg import pq

from runcast.errors import LinkDown, LinkError
from runcast.link.postgres_errors import error_of
from runcast.link.postgres_hello import SILENCE, Connection

__all__ = ["PostgresConnection", "Rows"]

_IDLE = 1.0  # seconds without a request, after which there is a heartbeat
_BEAT = 5.0  # seconds between two where there is always one
_UNDER_WAY = 64  # requests that the server has not answered yet
_BINARY = pq.Format.BINARY
_STATE = pq.DiagnosticField.SQLSTATE
_TEXT = pq.DiagnosticField.MESSAGE_PRIMARY
Rows = list[tuple[bytes | None, ...]]


class _Request(NamedTuple):
    statement: bytes
    values: list[bytes | None]
    call: Callable[[Rows | LinkError], None]


class PostgresConnection:
    """A connection that is open.

    Args:
        connection: in pipeline mode.
        where: the server, for people.
        poller: where its socket is registered.
        hear: called with the text of each notification.
        beat: sends a heartbeat.
    """

    def __init__(
        self,
        connection: Connection,
        where: str,
        poller: select.epoll,
        hear: Callable[[str], None],
        beat: Callable[[], None],
    ) -> None:
        self._connection, self._where, self._poller = connection, where, poller
        self._hear, self._beat = hear, beat
        self._pgconn = connection.pgconn
        self._descriptor = self._pgconn.socket
        self._queue: deque[_Request] = deque()
        self._sent: deque[_Request] = deque()
        self._rows: Rows | LinkError | None = None
        self._blocked = False
        self._since = self._beaten = time.monotonic()
        poller.register(self._descriptor, select.EPOLLIN)

    def send(
        self, statement: str, values: Sequence[bytes | None], call: Callable[[Rows | LinkError], None]
    ) -> None:
        """Queue a prepared statement; `call` gets its rows, or why there are none."""
        if not self._sent and not self._queue:
            self._since = time.monotonic()
        self._queue.append(_Request(statement.encode(), list(values), call))

    def flush(self) -> None:
        """Send what can be sent now.

        Raises:
            LinkDown: the connection is down.
        """
        try:
            while self._queue and len(self._sent) < _UNDER_WAY and not self._blocked:
                request = self._queue.popleft()
                formats = [_BINARY] * len(request.values)
                self._pgconn.send_query_prepared(request.statement, request.values, formats, _BINARY)
                self._pgconn.pipeline_sync()
                self._sent.append(request)
                self._flush()
        except psycopg.Error as error:
            raise self._down(error) from None

    def _flush(self) -> None:
        blocked = bool(self._pgconn.flush())
        if blocked != self._blocked:
            self._blocked = blocked
            events = select.EPOLLIN | (select.EPOLLOUT if blocked else 0)
            self._poller.modify(self._descriptor, events)

    def receive(self) -> None:
        """Receive what has come, and give the results to those who wait for them.

        Raises:
            LinkDown: the connection is down.
        """
        try:
            self._pgconn.consume_input()
            if self._blocked:
                self._flush()
            self._since = time.monotonic()
            while self._sent and not self._pgconn.is_busy():
                self._take(self._pgconn.get_result())
                if self._closed:  # by what a result led to
                    return
            while (notification := self._pgconn.notifies()) is not None:
                self._hear(notification.extra.decode("utf-8", "replace"))
        except psycopg.Error as error:
            raise self._down(error) from None

    @property
    def _closed(self) -> bool:
        return self._descriptor < 0

    def _take(self, result: pq.abc.PGresult | None) -> None:
        """Take what is next: the result of a statement, what ends it, or what ends its transaction."""
        if result is None:
            return
        if result.status == pq.ExecStatus.PIPELINE_SYNC:
            rows, self._rows = self._rows, None
            request = self._sent.popleft()
            request.call(rows if rows is not None else [])
        elif result.status == pq.ExecStatus.TUPLES_OK:
            columns = range(result.nfields)
            self._rows = [
                tuple(result.get_value(row, column) for column in columns) for row in range(result.ntuples)
            ]
        elif result.status == pq.ExecStatus.FATAL_ERROR:
            code, text = (result.error_field(field) or b"" for field in (_STATE, _TEXT))
            error = error_of(code.decode(), text.decode("utf-8", "replace"), self._where)
            if isinstance(error, LinkDown):
                raise error
            self._rows = error

    def beat(self, now: float) -> None:
        """Notice that there is no answer any more, and see to it that there is one from time to time.

        Raises:
            LinkDown: there is none.
        """
        waits = bool(self._sent or self._queue)
        if waits and now - self._since > SILENCE:
            raise LinkDown(f"expected an answer of {self._where} within {SILENCE:g} s, none came: is it up?")
        if now >= self._beat_at(waits=waits):
            self._beaten = now
            self._beat()

    def _beat_at(self, *, waits: bool) -> float:
        return self._beaten + _BEAT if waits else min(self._since + _IDLE, self._beaten + _BEAT)

    def due(self) -> float:
        """Return when `beat` has something to do, on the monotonic clock."""
        waits = bool(self._sent or self._queue)
        at = self._beat_at(waits=waits)
        return min(at, self._since + SILENCE + 0.01) if waits else at

    @property
    def unsent(self) -> bool:
        """Whether there is something that could be sent now."""
        return bool(self._queue) and len(self._sent) < _UNDER_WAY and not self._blocked

    def close(self) -> None:
        """End it. Those who wait for results are the owner's to tell."""
        if not self._closed:
            with contextlib.suppress(OSError, ValueError):
                self._poller.unregister(self._descriptor)
            self._descriptor = -1
            self._connection.close()
        self._queue.clear()
        self._sent.clear()

    def _down(self, error: psycopg.Error) -> LinkDown:
        text = " ".join(str(error).split())
        return LinkDown(f"expected {self._where} to go on, it does not ({text}): connect again")
