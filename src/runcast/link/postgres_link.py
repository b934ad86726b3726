"""A link through PostgreSQL, 14 or later.

Owns the verbs: what is requested for each, and what the replies mean. The functions of
`postgres_tables` have what must be done in one piece, the connection is `postgres_wire`'s.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Collection, Sequence
from functools import partial

import psycopg
from psycopg.conninfo import conninfo_to_dict

from runcast.errors import Full, Late, LinkDown, LinkError, NoHost, NoRun, UsageError
from runcast.link.base import ASKS, Ask, Entry, Field, Hello, Link, Look, Stretch
from runcast.link.postgres_connection import Rows
from runcast.link.postgres_values import TEXT, array, double, integer, read_double, read_integer
from runcast.link.postgres_wire import PUT, PostgresWire, Write
from runcast.link.questions import Questions
from runcast.link.reply import Reply
from runcast.link.rules import check_ask, check_put, fenced, held, key_name
from runcast.link.steps import Steps, take_steps

__all__ = ["PostgresLink"]

_TAKEN, _NO_RUN, _FENCED = -1, -2, -3  # what functions return
_KINDS = {"state": 1, "progress": 2, "outcome": 3}
_ANSWERS = "*answers"
_LONGEST_SCHEMA = 63  # bytes of a name: a longer one would be cut off
_SCHEMA = re.compile(r"(?!pg_)[\w :.-]+")
_LAST = "\U0010ffff"  # sorts after all ids
_STATEMENTS = {
    "append": "SELECT ~.append($1, $2, $3, $4, $5, $6, $7, $8)",
    "create": "SELECT ~.create_run($1, $2, $3, $4)",
    "trim": "SELECT ~.trim($1, $2)",
    "drop": "SELECT ~.drop_run($1)",
    "claim": "SELECT ~.claim($1, $2)",
    "named": "SELECT value FROM ~.names WHERE name = $1",
    "free": "DELETE FROM ~.names WHERE name = $1 AND value = $2",
    "sweep": "SELECT ~.sweep($1)",
    "read": "SELECT * FROM ~.read($1, $2, $3)",
    "look": "SELECT name, request, host, state, progress, outcome, "
    "~.tail_of(id, first), first, fence::bigint FROM ~.runs WHERE name = ANY($1::text[])",
    "watch": "SELECT ~.watch($1, $2)",
    "unwatch": "DELETE FROM ~.watches WHERE link = $1 AND name = ANY($2::text[])",
    "list": "SELECT name FROM ~.runs WHERE name < $1 ORDER BY name DESC LIMIT $2",
    "lease": "SELECT ~.lease($1, $2, $3, $4)",
    "leases": "SELECT host, extract(epoch FROM until - clock_timestamp())::float8 FROM ~.hosts "
    "WHERE host <> ''",
    "now": "SELECT extract(epoch FROM clock_timestamp())::float8",
    "lose": "SELECT ~.lose($1, $2)",
    "ask": "SELECT ~.ask($1, $2, $3, $4)",
    "asks": "SELECT * FROM ~.take_asks($1)",
    "answer": "SELECT ~.answer($1, $2, $3)",
    "answers": "DELETE FROM ~.answers WHERE link = $1 RETURNING ticket, answer",
    "beat": "SELECT ~.beat($1, $2, $3)",
}


class PostgresLink(Link):
    """A link to a server, or to whichever of several is the primary.

    Args:
        url: `postgresql://USER:PASSWORD@HOST:PORT/DB`, with options as libpq has them.
        prefix: the schema of the tables.

    Raises:
        UsageError: this is no such URL, or no name of a schema.
    """

    def __init__(self, url: str, prefix: str = "runcast") -> None:
        try:
            options = {name: str(value) for name, value in conninfo_to_dict(url).items()}
        except psycopg.Error:  # its text may have the password
            raise UsageError(
                "expected postgresql://USER:PASSWORD@HOST:PORT/DB with options of libpq, and special "
                "letters as %XX, got another URL"
            ) from None
        if len(prefix.encode()) > _LONGEST_SCHEMA or not _SCHEMA.fullmatch(prefix):
            raise UsageError(
                "expected as prefix the name of a schema, of letters, digits, spaces, and _ - : . alone, "
                f"{_LONGEST_SCHEMA} bytes at most and not pg_…, got {prefix!r}"
            )
        if "," in options.get("host", "") + options.get("hostaddr", ""):
            options.setdefault("target_session_attrs", "primary")
        self._me = secrets.randbits(62)
        self._wire = PostgresWire(options, prefix, self._me, _STATEMENTS, self._hear)
        self._questions = Questions()
        self._watched: set[str] = set()
        self._news: set[str] = set()
        self._host = ""
        self._numbers = 0

    # The life of a connection

    def fileno(self) -> int:
        """Return the descriptor to poll."""
        return self._wire.fileno()

    def step(self) -> None:
        """Send, receive, settle replies."""
        self._wire.step()
        self._questions.step(self._wire.down)

    def timeout(self) -> float | None:
        """Return the seconds until the next step."""
        return self._questions.timeout(self._wire.timeout(), self._wire.down)

    def close(self) -> None:
        """End it."""
        self._wire.close()
        self._questions.step(self._wire.down)

    def hello(self) -> Reply[Hello]:
        """Connect."""

        def steps() -> Steps[Hello]:
            hello = yield self._wire.open()
            self._host = ""
            self.watch(self._watched)
            return hello  # type: ignore[no-any-return]

        return take_steps(steps())

    # A run and its log

    def create(self, run: str, request: bytes, host: str, key: str | None = None) -> Reply[str]:
        """Make a run."""
        name = None if key is None else key_name(key).encode()

        def steps() -> Steps[str]:
            [[holder]] = yield self._wire.request("create", run.encode(), name, host.encode(), request)
            return (holder or b"").decode()

        return take_steps(steps())

    def put(self, run: str, start: int, end: int, data: bytes, records: bytes) -> Reply[int | None]:
        """Append if the tail is `start`."""
        check_put(start, end, data)
        reply = Reply[int | None]()

        def settle(raw: Reply[int]) -> None:
            try:
                value = _check(run, raw.result())
            except Exception as error:
                reply.fail(error)
            else:
                reply.succeed(None if value == _TAKEN else value)

        self._wire.write(Write(PUT, run.encode(), start, end, data, records)).then(settle)
        return reply

    def tell(self, run: str, field: Field, value: bytes) -> Reply[bool]:
        """Set a field."""

        def steps() -> Steps[bool]:
            code = yield self._wire.write(Write(_KINDS[field], run.encode(), 0, 0, value, b""))
            return bool(_check(run, code) == _TAKEN)

        return take_steps(steps())

    def trim(self, run: str, before: int) -> Reply[int]:
        """Forget entries."""

        def steps() -> Steps[int]:
            [[first]] = yield self._wire.request("trim", run.encode(), integer(before))
            if first is None:
                raise NoRun(run)
            return read_integer(first)

        return take_steps(steps())

    def drop(self, run: str) -> Reply[None]:
        """Forget a run."""

        def steps() -> Steps[None]:
            yield self._wire.request("drop", run.encode())

        return take_steps(steps())

    def claim(self, name: str, value: bytes) -> Reply[bytes]:
        """Give a name a value."""

        def steps() -> Steps[bytes]:
            [[found]] = yield self._wire.request("claim", name.encode(), value)
            return found or b""

        return take_steps(steps())

    def named(self, name: str) -> Reply[bytes | None]:
        """Look at a name."""

        def steps() -> Steps[bytes | None]:
            rows: Rows = yield self._wire.request("named", name.encode())
            return rows[0][0] if rows else None

        return take_steps(steps())

    def free(self, name: str, value: bytes) -> Reply[None]:
        """Take a name's value away."""

        def steps() -> Steps[None]:
            yield self._wire.request("free", name.encode(), value)

        return take_steps(steps())

    def read(self, run: str, offset: int, limit: int) -> Reply[Stretch]:
        """Read entries."""

        def steps() -> Steps[Stretch]:
            rows: Rows = yield self._wire.request("read", run.encode(), integer(offset), integer(limit))
            if not rows:
                raise NoRun(run)
            first, tail = (read_integer(value or b"") for value in rows[0][:2])
            entries = [
                Entry(read_integer(start or b""), read_integer(until or b""), data or b"", records or b"")
                for start, until, data, records in rows[1:]
            ]
            return Stretch(entries, first, tail)

        return take_steps(steps())

    def look(self, runs: Sequence[str]) -> Reply[dict[str, Look]]:
        """Look at runs."""

        def steps() -> Steps[dict[str, Look]]:
            rows: Rows = yield self._wire.request("look", array(TEXT, [run.encode() for run in runs]))
            found = {}
            for name, request, host, state, progress, outcome, *numbers in rows:
                tail, first, fence = (read_integer(number or b"") for number in numbers)
                look = Look(
                    request or b"", (host or b"").decode(), state, progress, outcome, tail, first, fence
                )
                found[(name or b"").decode()] = look
            return found

        return take_steps(steps())

    # News

    def watch(self, runs: Collection[str]) -> None:
        """Watch names; each is news when the server has noted that."""
        self._watched |= set(runs)
        if self._wire.down is not None:
            return
        for run in runs:
            if run != ASKS:  # a lease watches those
                noted = self._wire.request("watch", integer(self._me), run.encode())
                noted.then(partial(self._noted, run))

    def _noted(self, run: str, reply: Reply[Rows]) -> None:
        try:
            reply.result()
        except Full as error:  # what is not watched would never be news: connect again
            self._wire.cut(LinkDown(str(error)))
        except LinkError:
            return
        if run in self._watched:
            self._news.add(run)

    def unwatch(self, runs: Collection[str]) -> None:
        """Watch them no more."""
        self._watched -= set(runs)
        if self._wire.down is None:
            self._wire.request("unwatch", integer(self._me), array(TEXT, [run.encode() for run in runs]))

    def news(self) -> set[str]:
        """Return the news."""
        if self._wire.down is not None:
            raise self._wire.down
        news, self._news = self._news, set()
        return news

    def _hear(self, text: str) -> None:
        """Take note of a notification: names that are news, or of everything; or answers."""
        if text == _ANSWERS:
            self._wire.request("answers", integer(self._me)).then(self._take)
        elif not text:
            self._news |= self._watched
        else:
            for name in text.split("\n"):
                name = ASKS if name.startswith(ASKS) else name
                if name in self._watched:
                    self._news.add(name)

    def list(self, before: str | None, limit: int) -> Reply[Sequence[str]]:
        """List ids."""

        def steps() -> Steps[Sequence[str]]:
            highest = (_LAST if before is None else before).encode()
            rows: Rows = yield self._wire.request("list", highest, integer(limit))
            return [(name or b"").decode() for [name] in rows]

        return take_steps(steps())

    # Hosts

    def lease(self, host: str, seconds: float, holder: bytes) -> Reply[None]:
        """Hold a host's lease."""

        def steps() -> Steps[None]:
            values = host.encode(), double(seconds), holder, integer(self._me)
            [[taken]] = yield self._wire.request("lease", *values)
            if taken != b"\x01":
                raise held(host)
            if self._host != host:
                self._host = host
                self._watched.add(ASKS)
                self._news.add(ASKS)

        return take_steps(steps())

    def leases(self) -> Reply[dict[str, float]]:
        """List the leases."""

        def steps() -> Steps[dict[str, float]]:
            rows: Rows = yield self._wire.request("leases")
            return {(host or b"").decode(): read_double(left or b"") for host, left in rows}

        return take_steps(steps())

    def lose(self, run: str, outcome: bytes) -> Reply[bool]:
        """Set the outcome of a run whose host is gone."""

        def steps() -> Steps[bool]:
            [[code]] = yield self._wire.request("lose", run.encode(), outcome)
            return bool(_check(run, read_integer(code)) == _TAKEN)

        return take_steps(steps())

    def ask(self, host: str, request: bytes, seconds: float) -> Reply[bytes]:
        """Have a host do something."""
        check_ask(request)
        self._numbers += 1
        ticket = f"{self._me}.{self._numbers}"

        def steps() -> Steps[None]:
            # By its clock: what follows may lie in a socket until the server, or the way to it, is back.
            [[now]] = yield self._wire.request("now")
            until = double(read_double(now) + seconds)
            [[sent]] = yield self._wire.request("ask", host.encode(), ticket.encode(), request, until)
            if (code := read_integer(sent)) != _TAKEN:
                raise NoHost(host) if code == _NO_RUN else Late(host, seconds)

        return self._questions.ask(ticket, host, seconds, take_steps(steps()))

    def asks(self) -> Reply[Sequence[Ask]]:
        """Take what others want."""

        def steps() -> Steps[Sequence[Ask]]:
            rows: Rows = yield self._wire.request("asks", self._host.encode())
            return [Ask((ticket or b"").decode(), request or b"") for ticket, request in rows]

        return take_steps(steps())

    def answer(self, ask: Ask, answer: bytes) -> Reply[None]:
        """Answer."""
        check_ask(answer)

        def steps() -> Steps[None]:
            link = int(ask.ticket.partition(".")[0])
            yield self._wire.request("answer", integer(link), ask.ticket.encode(), answer)

        return take_steps(steps())

    def _take(self, raw: Reply[Rows]) -> None:
        """Settle what was answered."""
        try:
            rows = raw.result()
        except Exception:  # those that wait learn of it, too
            return
        for ticket, answer in rows:
            self._questions.answered((ticket or b"").decode(), answer or b"")


def _check(run: str, code: int) -> int:
    """Return what a function returned, or raise what that says."""
    if code == _NO_RUN:
        raise NoRun(run)
    if code == _FENCED:
        raise fenced(run)
    return code
