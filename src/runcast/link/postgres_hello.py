"""Connecting to PostgreSQL, and what must be so before a link may use it. It blocks: it is for a thread.

Owns the settings of a session, who makes the tables, and what tells a server that has gone back: an older
backup, or a standby that lacked the last moments, has seen fewer of this link's outcomes than it has sent.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping
from typing import Final, NamedTuple

import psycopg

from runcast.errors import LinkError, LinkRefused
from runcast.link.base import Engine, Hello
from runcast.link.postgres_errors import connect_error_of, hello_error_of, not_whole
from runcast.link.postgres_schema import CHANNEL, VERSION, quoted, tables

__all__ = ["SILENCE", "Greeted", "Greeting", "Sent", "where_of"]

SILENCE: Final = 3.5  # seconds without an answer, after which a connection is down
_OLDEST = 14  # the first that looks whether its client is still there, while it waits for a lock
_CONNECT = {
    "application_name": "runcast",
    "client_encoding": "UTF8",
    "connect_timeout": "3",
    "keepalives": "1",
    "keepalives_idle": "1",
    "keepalives_interval": "1",
    "keepalives_count": "3",
    "tcp_user_timeout": str(int(1000 * SILENCE)),
}
"""Options of libpq, where the URL has no others."""
_SESSION = {
    "default_transaction_isolation": "read committed",  # each statement of a function sees what is committed
    "statement_timeout": "5s",  # the link is down by then
    "idle_in_transaction_session_timeout": "5s",
    "client_connection_check_interval": "1s",
    "tcp_keepalives_idle": "1",  # a host that is gone must not keep the locks of its last transaction
    "tcp_keepalives_interval": "1",
    "tcp_keepalives_count": "3",
    "enable_seqscan": "off",  # tables grow faster than they are analyzed: always by index
    "jit": "off",
}
_CHECK = """
SELECT current_setting('server_version'), pg_is_in_recovery()::text, current_setting('transaction_read_only'),
  current_setting('fsync'), extract(epoch FROM pg_postmaster_start_time())
"""
_END = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = $1::int AND backend_start = $2::timestamptz
"""
# Not to_regclass($1): it may have kept, over the wait for a lock, that there is none.
_THERE = """
SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = $1 AND c.relname = 'meta'
"""
_LACKING = """
SELECT relname FROM pg_class WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1)
  AND relkind = 'r' AND NOT (
    has_schema_privilege(relnamespace, 'USAGE') AND has_table_privilege(oid, 'SELECT')
    AND has_table_privilege(oid, 'INSERT') AND has_table_privilege(oid, 'UPDATE')
    AND has_table_privilege(oid, 'DELETE')
  )
UNION SELECT proname FROM pg_proc WHERE pronamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1)
  AND NOT has_function_privilege(oid, 'EXECUTE')
ORDER BY 1
"""
Connection = psycopg.Connection[tuple[object, ...]]


class Sent(NamedTuple):
    """Outcomes that a link has sent, and knows to be stored.

    Attributes:
        outcomes: how many.
        table: the number of the table that had them: another one is there after a restore.
        losses: how often a server had fewer of them.
        backend: process id and start of its last connection's backend, which may still have locks.
    """

    outcomes: int = 0
    table: int = 0
    losses: int = 0
    backend: tuple[str, str] | None = None


class Greeted(NamedTuple):
    """A connection that is ready for a link.

    Attributes:
        connection: in pipeline mode, and not blocking.
        hello: what was found.
        sent: what the link has sent to this server.
    """

    connection: Connection
    hello: Hello
    sent: Sent


class Greeting:
    """One attempt to connect.

    Args:
        options: of libpq.
        schema: where the tables are.
        link: the number of the link.
        sent: what it has sent.
        statements: to prepare, by name.
    """

    def __init__(
        self, options: Mapping[str, str], schema: str, link: int, sent: Sent, statements: Mapping[str, str]
    ) -> None:
        self._options, self._schema, self._link, self._outcomes = options, schema, link, sent
        self._statements = statements
        self._connection: Connection | None = None
        self.where = where_of(options)

    def open(self) -> Greeted | LinkError:
        """Return a connection, or why there is none."""
        failed: LinkError
        try:
            options = {**_CONNECT, **self._options}
            self._connection = psycopg.Connection.connect(autocommit=True, **options)  # type: ignore[arg-type]
            return self._greet(self._connection)
        except LinkError as error:
            failed = error
        except psycopg.Error as error:
            code, text = error.sqlstate, str(error)
            if code is None or self._connection is None:
                failed = connect_error_of(text, self.where)
            else:
                failed = hello_error_of(code, text, self.where)
        except Exception as error:  # a wrong word in the URL, for example
            failed = connect_error_of(f"{type(error).__name__}", self.where)
        if self._connection is not None:
            self._connection.close()
        return failed

    def abandon(self) -> None:
        """Have `open` end soon. From another thread."""
        if self._connection is not None:
            with contextlib.suppress(OSError, psycopg.Error):
                with socket.socket(fileno=os.dup(self._connection.pgconn.socket)) as ours:
                    ours.shutdown(socket.SHUT_RDWR)

    def _greet(self, connection: Connection) -> Greeted:
        if (version := connection.pgconn.server_version) < 10000 * _OLDEST:
            raise LinkRefused(
                f"expected PostgreSQL {_OLDEST} or later at {self.where}, it is {version // 10000}: "
                "upgrade it"
            )
        settings = ", ".join(f"set_config('{name}', '{value}', false)" for name, value in _SESSION.items())
        self._rows(f"SELECT {settings}")
        [check] = self._rows(_CHECK)
        name, recovers, read_only, fsync, began = check
        if recovers == "true":
            raise LinkRefused(f"expected a primary at {self.where}, it is a standby: name the primary")
        if read_only == "on":
            raise LinkRefused(
                f"expected a server that takes data at {self.where}, it is read-only "
                "(default_transaction_read_only): has its disk no room?"
            )
        if self._outcomes.backend is not None:
            self._rows(_END, *self._outcomes.backend)
        epoch = self._tables(connection)
        link, schema = str(self._link), quoted(self._schema)
        prepare = "; ".join(f'PREPARE "{name}" AS {sql}' for name, sql in self._statements.items())
        self._rows(
            f'LISTEN "{CHANNEL}{link}"; DELETE FROM {schema}.watches WHERE link = {link}; '
            + prepare.replace("~.", f"{schema}.")
        )
        [[known, oid, pid, since]] = self._rows(
            f"INSERT INTO {schema}.links VALUES ({link}, 0, clock_timestamp()) ON CONFLICT (id) "
            f"DO UPDATE SET seen = excluded.seen RETURNING outcomes, '{schema}.runs'::regclass::oid, "
            "pg_backend_pid(), (SELECT backend_start FROM pg_stat_get_activity(pg_backend_pid()))"
        )
        served = f"{began} {oid}"
        self._rows(
            f"UPDATE {schema}.meta SET served = $1, since = clock_timestamp() "
            "WHERE served IS DISTINCT FROM $1",
            served,
        )
        [[age]] = self._rows(f"SELECT extract(epoch FROM clock_timestamp() - since) FROM {schema}.meta")
        losses = self._outcomes.losses + (int(known) < self._outcomes.outcomes)
        sent = Sent(int(known), int(oid), losses, (pid, since))
        connection.pgconn.nonblocking = 1
        connection.pgconn.enter_pipeline_mode()
        engine = Engine(f"postgresql {name}", fsync == "on", None)
        return Greeted(connection, Hello(epoch, engine, f"{served} {losses}", float(age)), sent)

    def _tables(self, connection: Connection) -> str:
        """Return the epoch of the tables, which are made if there are none."""
        schema = quoted(self._schema)
        if not self._rows(_THERE, self._schema):
            try:
                self._make(connection)
            except psycopg.errors.InsufficientPrivilege:
                raise LinkRefused(
                    f"expected the tables of runcast in the schema {self._schema} at {self.where}, or the "
                    "right to make them, this user has neither: have somebody who may run what `python -m "
                    f"runcast.link.postgres_schema --prefix {self._schema} --role ROLE` prints"
                ) from None
        lacking = self._rows(_LACKING, self._schema)
        if lacking:
            raise LinkRefused(
                f"expected the right to use the tables and functions of the schema {self._schema} at "
                f"{self.where}, this user may not ({', '.join(name for [name] in lacking)}): `python -m "
                f"runcast.link.postgres_schema --prefix {self._schema} --role ROLE` prints what "
                "gives it, at its end"
            )
        made = self._rows(f"SELECT version, epoch FROM {schema}.meta")
        if len(made) != 1:
            raise not_whole(f"{schema}.meta has {len(made)} rows", self.where)
        [[version, epoch]] = made
        if int(version) != VERSION:
            raise LinkRefused(
                f"expected version {VERSION} of the tables in the schema {self._schema} at {self.where}, "
                f"they have {version}: have all hosts use the same version of runcast, or another prefix"
            )
        return epoch

    def _make(self, connection: Connection) -> None:
        """Make the tables; of several hosts that do so at once, one does, and the others wait for it."""
        schema = quoted(self._schema)
        with connection.transaction():
            self._rows("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", f"runcast {self._schema}")
            if self._rows(_THERE, self._schema):
                return
            if not self._rows("SELECT 1 FROM pg_namespace WHERE nspname = $1", self._schema):
                self._rows(f"CREATE SCHEMA {schema}")
            self._rows(tables(self._schema))

    def _rows(self, sql: str, *values: str) -> list[list[str]]:
        with psycopg.RawCursor(self._connection) as cursor:  # type: ignore[arg-type]
            cursor.execute(sql.encode(), values or None)
            return [[str(value) for value in row] for row in cursor] if cursor.description else []


def where_of(options: Mapping[str, str]) -> str:
    """Return where the server is, for people: without user and password."""
    hosts = options.get("host", options.get("hostaddr", "localhost")).split(",")
    ports = options.get("port", "5432").split(",")
    ports = ports if len(ports) == len(hosts) else ports[:1] * len(hosts)
    return ",".join(f"{host}:{port or 5432}" for host, port in zip(hosts, ports, strict=True))
