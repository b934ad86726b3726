"""A link through Redis or Valkey, 7.0 or later: one server, or a cluster.

Owns the verbs and the names of keys. The scripts (`redis_scripts`) have what must be done in one
piece, the connections are `redis_wire`'s. An entry's id in its stream is where its bytes end, so
a put that is behind the tail could not even be added by mistake.
"""

from __future__ import annotations

import hashlib
import math
import os
import time
from collections.abc import Collection, Sequence
from typing import Any

from runcast.errors import Late, LinkError, NoHost, NoRun
from runcast.link import redis_scripts as scripts
from runcast.link.base import ASKS, LISTED, Ask, Field, Hello, Link, Look, Stretch
from runcast.link.redis_entries import Counts, entry_of
from runcast.link.redis_scripts import FENCED, NO_RUN, TAKEN
from runcast.link.redis_servers import engine_of
from runcast.link.redis_wire import RedisWire, Steps
from runcast.link.reply import Reply
from runcast.link.rules import check_ask, check_put, fenced, held, within

__all__ = ["RedisLink"]

_KEY_MS, _FORGET_MS = 60_000, 7 * 86_400_000  # a key without its run; a host whose lease is over
_ANSWERS = 100  # taken at once
_LOOK = ("request", "host", "state", "progress", "outcome", "tail", "first", "fence")


class RedisLink(Link):
    """A link to a server or a cluster.

    Args:
        url: `redis://`, `rediss://` (TLS) or `unix://`, with user, password and database.
        prefix: of all keys and channels, so that an ACL can give a user these and no others.

    Raises:
        UsageError: this is no such URL.
    """

    def __init__(self, url: str, prefix: str = "rc:") -> None:
        self._prefix = prefix.encode()
        self._wire = RedisWire(url, self._hear)
        self._me = os.urandom(8).hex()
        self._answers = self._key(b"answer:{%b}" % self._me.encode())
        self._names: dict[bytes, str] = {}
        self._news: set[str] = set()
        self._counts = Counts()
        self._waiting: dict[str, tuple[Reply[bytes], str, float, float]] = {}
        self._host = ""
        self._numbers = 0

    # The life of a connection

    def fileno(self) -> int:
        """Return the descriptor to poll."""
        return self._wire.fileno()

    def step(self) -> None:
        """Send, receive, settle replies."""
        self._wire.step()
        now = time.monotonic()
        for ticket, (reply, host, seconds, deadline) in list(self._waiting.items()):
            if self._wire.down is not None:
                del self._waiting[ticket]
                reply.fail(self._wire.down)
            elif deadline <= now:
                del self._waiting[ticket]
                reply.fail(Late(host, seconds))

    def timeout(self) -> float | None:
        """Return the seconds until the next step."""
        pause = self._wire.timeout()
        if not self._waiting:
            return pause
        if self._wire.down is not None:
            return 0.0
        left = max(0.0, min(deadline for *_, deadline in self._waiting.values()) - time.monotonic())
        return min(left, math.inf if pause is None else pause)

    def close(self) -> None:
        """End it."""
        self._wire.close()
        self.step()

    def hello(self) -> Reply[Hello]:
        """Connect."""
        return self._wire.steps(self._greet())

    def _greet(self) -> Steps[Hello]:
        infos = yield from self._wire.open()
        try:
            engine = engine_of(infos, self._wire.where)
        except LinkError as error:
            self._wire.cut(error)
            raise
        key, mine = self._key(b"epoch"), os.urandom(8).hex()
        epoch = yield self._wire.request(key, "SET", key, mine, "NX", "GET", even_down=True)
        self._wire.down = None
        self._wire.resubscribe()
        return Hello(epoch.decode() if epoch else mine, engine)

    # Names

    def _key(self, name: bytes) -> bytes:
        return self._prefix + name

    def _of(self, run: str) -> bytes:
        """Return the channel of a run, with which its keys begin."""
        return b"%b{%b}" % (self._prefix, run.encode())

    def _channel(self, name: str) -> bytes:
        if name == LISTED:
            return self._key(b"runs")
        if name == ASKS:
            return self._of_host(b"ask", self._host)
        return self._of(name)

    def _of_host(self, what: bytes, host: str) -> bytes:
        return b"%b%b:{%b}" % (self._prefix, what, host.encode())

    # A run and its log

    def create(self, run: str, request: bytes, host: str, key: str | None = None) -> Reply[str]:
        """Make a run."""
        return self._wire.steps(self._create(run, request, host, key))

    def _create(self, run: str, request: bytes, host: str, key: str | None) -> Steps[str]:
        taken = b""
        if key is not None:
            taken = self._key(b"key:" + hashlib.sha256(key.encode()).hexdigest().encode())
            holder = yield self._wire.request(taken, "SET", taken, run, "NX", "GET", "PX", _KEY_MS)
            if holder and holder.decode() != run:
                return str(holder.decode())
        mine = self._of(run)
        yield self._wire.run(scripts.CREATE, (mine + b"run",), request, host, taken, mine)
        runs = self._key(b"runs")
        listed = self._wire.request(runs, "ZADD", runs, 0, run)
        noted = self._wire.request(runs, "SPUBLISH", runs, b"")
        if taken:
            yield self._wire.request(taken, "PERSIST", taken)
        yield listed
        yield noted
        return run

    def put(self, run: str, start: int, end: int, data: bytes, records: bytes) -> Reply[int | None]:
        """Append if the tail is `start`."""
        check_put(start, end, data)
        mine, reply = self._of(run), Reply[int | None]()
        raw = self._wire.run(scripts.PUT, (mine + b"log", mine + b"run"), start, end, data, records, mine)

        def settle(raw: Reply[Any]) -> None:
            try:
                value = raw.result()
                if isinstance(value, int):
                    _check(run, value)
            except Exception as error:
                reply.fail(error)
            else:
                reply.succeed(None if isinstance(value, int) else int(value))

        raw.then(settle)
        return reply

    def tell(self, run: str, field: Field, value: bytes) -> Reply[bool]:
        """Set a field."""

        def steps() -> Steps[bool]:
            mine = self._of(run)
            code = yield self._wire.run(scripts.TELL, (mine + b"run",), field, value, mine)
            _check(run, code)
            return bool(code == TAKEN)

        return self._wire.steps(steps())

    def trim(self, run: str, before: int) -> Reply[int]:
        """Forget entries."""

        def steps() -> Steps[int]:
            mine = self._of(run)
            first = yield self._wire.run(scripts.TRIM, (mine + b"log", mine + b"run"), before, before + 1)
            if first is None:
                raise NoRun(run)
            return int(first)

        return self._wire.steps(steps())

    def drop(self, run: str) -> Reply[None]:
        """Forget a run."""

        def steps() -> Steps[None]:
            mine, runs = self._of(run), self._key(b"runs")
            key = yield self._wire.request(mine, "HGET", mine + b"run", "key")
            if key:
                yield self._wire.run(scripts.FREE, (key,), run)
            yield self._wire.run(scripts.DROP, (mine + b"log", mine + b"run"), mine)
            yield self._wire.request(runs, "ZREM", runs, run)
            yield self._wire.request(runs, "SPUBLISH", runs, b"")

        return self._wire.steps(steps())

    def read(self, run: str, offset: int, limit: int) -> Reply[Stretch]:
        """Read entries; how many at once is learned from what came before."""

        def steps() -> Steps[Stretch]:
            mine = self._of(run)
            count, behind = self._counts.count(run, limit)
            found = self._wire.request(mine, "XRANGE", mine + b"log", f"({offset}-0", "+", "COUNT", count)
            state = self._ends(mine) if behind else None
            entries = [entry_of(*pair) for pair in (yield found)]
            fitting = within(entries, offset, limit)
            self._counts.learn(run, count, len(entries), len(fitting))
            if state is None and 0 < len(entries) < count and entries[0].start <= offset:
                return Stretch(fitting, entries[0].start, entries[-1].end)  # less to do for the server
            first, tail = yield state or self._ends(mine)
            if tail is None:
                raise NoRun(run)
            return Stretch(fitting, int(first), int(tail))

        return self._wire.steps(steps())

    def _ends(self, mine: bytes) -> Reply[Any]:
        return self._wire.request(mine, "HMGET", mine + b"run", "first", "tail")

    def look(self, runs: Sequence[str]) -> Reply[dict[str, Look]]:
        """Look at runs."""

        def steps() -> Steps[dict[str, Look]]:
            keys = [self._of(run) + b"run" for run in runs]
            replies = [self._wire.request(key, "HMGET", key, *_LOOK) for key in keys]
            found = {}
            for run, reply in zip(runs, replies, strict=True):
                request, host, state, progress, outcome, tail, first, fence = yield reply
                if tail is not None:
                    numbers = int(tail), int(first), int(fence)
                    found[run] = Look(request, host.decode(), state, progress, outcome, *numbers)
            return found

        return self._wire.steps(steps())

    # News

    def watch(self, runs: Collection[str]) -> None:
        """Watch names."""
        channels = {self._channel(run): run for run in runs}
        self._names |= channels
        self._wire.subscribe(channels)

    def unwatch(self, runs: Collection[str]) -> None:
        """Watch them no more."""
        channels = [self._channel(run) for run in runs]
        for channel in channels:
            self._names.pop(channel, None)
        self._wire.unsubscribe(channels)

    def news(self) -> set[str]:
        """Return the news."""
        if self._wire.down is not None:
            raise self._wire.down
        news, self._news = self._news, set()
        return news

    def _hear(self, channel: bytes) -> None:
        if channel == self._answers:
            self._wire.request(channel, "LPOP", channel, 2 * _ANSWERS).then(self._take)
        elif channel in self._names:
            self._news.add(self._names[channel])

    def list(self, before: str | None, limit: int) -> Reply[Sequence[str]]:
        """List ids."""

        def steps() -> Steps[Sequence[str]]:
            runs = self._key(b"runs")
            highest = "+" if before is None else f"({before}"
            ids = yield self._wire.request(runs, "ZREVRANGEBYLEX", runs, highest, "-", "LIMIT", 0, limit)
            return [run.decode() for run in ids]

        return self._wire.steps(steps())

    # Hosts

    def lease(self, host: str, seconds: float, holder: bytes) -> Reply[None]:
        """Hold a host's lease."""

        def steps() -> Steps[None]:
            milliseconds = max(1, int(1000 * seconds))
            key, hosts = self._of_host(b"host", host), self._key(b"hosts")
            if (yield self._wire.run(scripts.LEASE, (key,), holder, milliseconds)) != TAKEN:
                raise held(host)
            if self._host != host:
                self._host = host
                self.watch([ASKS])
            yield self._wire.run(scripts.NOTE_LEASE, (hosts,), host, milliseconds, _FORGET_MS)

        return self._wire.steps(steps())

    def leases(self) -> Reply[dict[str, float]]:
        """List the leases."""

        def steps() -> Steps[dict[str, float]]:
            now, pairs = yield self._wire.run(scripts.LEASES, (self._key(b"hosts"),))
            hosts = zip(pairs[::2], pairs[1::2], strict=True)
            return {host.decode(): (float(until) - float(now)) / 1000 for host, until in hosts}

        return self._wire.steps(steps())

    def lose(self, run: str, outcome: bytes) -> Reply[bool]:
        """Set the outcome of a run whose host is gone."""

        def steps() -> Steps[bool]:
            mine = self._of(run)
            host = yield self._wire.request(mine, "HGET", mine + b"run", "host")
            if host is None:
                raise NoRun(run)
            lease = self._of_host(b"host", host.decode())
            if (yield self._wire.request(lease, "EXISTS", lease)):
                return False
            code = yield self._wire.run(scripts.LOSE, (mine + b"run",), outcome, mine)
            _check(run, code)
            return bool(code == TAKEN)

        return self._wire.steps(steps())

    def ask(self, host: str, request: bytes, seconds: float) -> Reply[bytes]:
        """Have a host do something."""
        check_ask(request)
        reply = Reply[bytes]()
        self._numbers += 1
        ticket = f"{self._me}.{self._numbers}"

        def steps() -> Steps[None]:
            lease, asks = self._of_host(b"host", host), self._of_host(b"ask", host)
            code = yield self._wire.run(
                scripts.ASK, (lease, asks), ticket, request, int(1000 * seconds), asks
            )
            if code == NO_RUN:
                raise NoHost(host)

        def settle(sent: Reply[None]) -> None:
            try:
                sent.result()
            except Exception as error:
                self._waiting.pop(ticket, None)
                reply.fail(error)
            else:  # from now on, so that it is too late here only when it is at the server, too
                if ticket in self._waiting:
                    self._waiting[ticket] = reply, host, seconds, time.monotonic() + seconds

        self._waiting[ticket] = reply, host, seconds, math.inf
        self._wire.subscribe([self._answers])
        self._wire.steps(steps()).then(settle)
        return reply

    def asks(self) -> Reply[Sequence[Ask]]:
        """Take what others want."""

        def steps() -> Steps[Sequence[Ask]]:
            pairs = yield self._wire.run(scripts.ASKS, (self._of_host(b"ask", self._host),))
            return [
                Ask(name.decode(), request) for name, request in zip(pairs[::2], pairs[1::2], strict=True)
            ]

        return self._wire.steps(steps())

    def answer(self, ask: Ask, answer: bytes) -> Reply[None]:
        """Answer."""
        check_ask(answer)

        def steps() -> Steps[None]:
            where = self._key(b"answer:{%b}" % ask.ticket.partition(".")[0].encode())
            yield self._wire.run(scripts.ANSWER, (where,), ask.ticket, answer, where)

        return self._wire.steps(steps())

    def _take(self, raw: Reply[Any]) -> None:
        """Settle what was answered."""
        try:
            pairs = raw.result() or []
        except Exception:  # those that wait learn of it, too
            return
        for ticket, answer in zip(pairs[::2], pairs[1::2], strict=True):
            waiting = self._waiting.pop(ticket.decode(), None)
            if waiting is not None:
                waiting[0].succeed(answer)
        if len(pairs) == 2 * _ANSWERS:
            self._hear(self._answers)


def _check(run: str, code: int) -> None:
    """Raise what a script's code says, if it says that."""
    if code == NO_RUN:
        raise NoRun(run)
    if code == FENCED:
        raise fenced(run)
