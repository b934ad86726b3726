"""A link through Redis or Valkey, 7.0 or later: one server, or a cluster.

Owns the verbs, but for those about names (`redis_names`). The scripts (`redis_scripts`) have what must be
done in one piece, the connections are `redis_wire`'s. An entry's id in its stream is where its bytes end, so
a put that is behind the tail could not even be added by mistake.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from functools import partial
from typing import Any

from runcast.errors import Late, LinkError, LinkRefused, NoHost, NoRun
from runcast.link import redis_scripts as scripts
from runcast.link.base import ASKS, LISTED, Ask, Field, Hello, Look, Stretch
from runcast.link.questions import Questions
from runcast.link.redis_entries import Counts, entry_of
from runcast.link.redis_errors import check_code
from runcast.link.redis_names import RedisNames
from runcast.link.redis_pushed import BYTES, Pushed
from runcast.link.redis_scripts import NO_RUN, TAKEN
from runcast.link.redis_servers import engine_of, servers_of
from runcast.link.redis_wire import RedisWire
from runcast.link.reply import Reply
from runcast.link.rules import check_ask, check_put, held, within
from runcast.link.steps import Steps, take_steps

__all__ = ["RedisLink"]

_FORGET_MS = 7 * 86_400_000  # of a host whose lease is over
_ANSWERS = 100  # taken at once
_LOOK = ("request", "host", "state", "progress", "outcome", "tail", "first", "fence")


class RedisLink(RedisNames):
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
        self._versions: dict[str, int] = {}  # of watched ones: the last message not of bytes
        self._tells = 0
        self._counts = Counts()
        self._pushed = Pushed()
        self._questions = Questions()
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
        self.step()

    def hello(self) -> Reply[Hello]:
        """Connect."""
        return take_steps(self._greet())

    def _greet(self) -> Steps[Hello]:
        infos = yield from self._wire.open()
        try:
            engine = engine_of(infos, self._wire.where)
        except LinkError as error:
            self._wire.cut(error)
            raise
        key, mine = self._key(b"epoch"), os.urandom(8).hex()
        servers = servers_of(infos)
        version = str(scripts.VERSION)
        epoch, age, found = yield self._wire.run(
            scripts.EPOCH, (key,), mine, servers, version, even_down=True
        )
        if found.decode() != version:
            other = LinkRefused(
                f"expected version {version} of the keys {self._prefix.decode()}… at {self._wire.where}, "
                f"they have {found.decode():.40}: have all hosts use the same version of runcast, or another "
                "prefix"
            )
            self._wire.cut(other)
            raise other
        self._wire.down = None
        self._pushed.clear()
        self._wire.resubscribe()
        return Hello(epoch.decode(), engine, servers, int(age) / 1000)

    # Names

    def _channel(self, name: str) -> bytes:
        if name == LISTED:
            return self._key(b"runs")
        if name == ASKS:
            return self._of_host(b"ask", self._host)
        return self._of(name)

    def _of_host(self, what: bytes, host: str) -> bytes:
        return b"%b%b:{%b}" % (self._prefix, what, host.encode())

    # A run and its log

    def put(self, run: str, start: int, end: int, data: bytes, records: bytes) -> Reply[int | None]:
        """Append if the tail is `start`."""
        check_put(start, end, data)
        mine = self._of(run)
        if mine in self._names:
            self._pushed.writes(run)
        keys = mine + b"log", mine + b"run"
        taken = partial(_taken, run)
        return self._wire.run(scripts.PUT, keys, start, end, data, records, mine, convert=taken)

    def tell(self, run: str, field: Field, value: bytes) -> Reply[bool]:
        """Set a field."""

        def steps() -> Steps[bool]:
            mine = self._of(run)
            code = yield self._wire.run(scripts.TELL, (mine + b"run",), field, value, mine)
            check_code(run, code)
            return bool(code == TAKEN)

        return take_steps(steps())

    def trim(self, run: str, before: int) -> Reply[int]:
        """Forget entries."""

        def steps() -> Steps[int]:
            mine = self._of(run)
            first = yield self._wire.run(scripts.TRIM, (mine + b"log", mine + b"run"), before, before + 1)
            if first is None:
                raise NoRun(run)
            return int(first)

        return take_steps(steps())

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

        return take_steps(steps())

    def read(self, run: str, offset: int, limit: int) -> Reply[Stretch]:
        """Read entries; how many at once is learned from what came before. Some came with the news."""
        if self._wire.down is None and (found := self._pushed.take(run, offset, limit)) is not None:
            reply: Reply[Stretch] = Reply()
            reply.succeed(Stretch(*found, self._versions.get(run)))
            return reply

        def steps() -> Steps[Stretch]:
            mine = self._of(run)
            count, behind = self._counts.count(run, limit)
            found = self._wire.request(mine, "XRANGE", mine + b"log", f"({offset}-0", "+", "COUNT", count)
            state = self._ends(mine) if behind else None
            entries = [entry_of(*pair) for pair in (yield found)]
            fitting = within(entries, offset, limit)
            self._counts.learn(run, count, len(entries), len(fitting))
            if state is None and 0 < len(entries) < count and entries[0].start <= offset:
                ends = entries[0].start, entries[-1].end  # less to do for the server
                return Stretch(fitting, *ends, self._versions.get(run))
            first, tail = yield state or self._ends(mine)
            if tail is None:
                raise NoRun(run)
            return Stretch(fitting, int(first), int(tail), self._versions.get(run))

        return take_steps(steps())

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

        return take_steps(steps())

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
            name = self._names.pop(channel, "")
            self._versions.pop(name, None)
            self._pushed.unwatch(name)
        self._wire.unsubscribe(channels)

    def news(self) -> set[str]:
        """Return the news."""
        if self._wire.down is not None:
            raise self._wire.down
        news, self._news = self._news, set()
        return news

    def _hear(self, channel: bytes, said: bytes | None) -> None:
        if channel == self._answers:
            self._take_answers()
        elif (name := self._names.get(channel)) is not None:
            self._news.add(name)
            self._pushed.hear(name, said)
            if said is None or not said.startswith(BYTES):
                self._tells += 1
                self._versions[name] = self._tells

    def _take_answers(self) -> None:
        self._wire.request(self._answers, "LPOP", self._answers, 2 * _ANSWERS).then(self._take)

    def list(self, before: str | None, limit: int) -> Reply[Sequence[str]]:
        """List ids."""

        def steps() -> Steps[Sequence[str]]:
            runs = self._key(b"runs")
            highest = "+" if before is None else f"({before}"
            ids = yield self._wire.request(runs, "ZREVRANGEBYLEX", runs, highest, "-", "LIMIT", 0, limit)
            return [run.decode() for run in ids]

        return take_steps(steps())

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

        return take_steps(steps())

    def leases(self) -> Reply[dict[str, float]]:
        """List the leases."""

        def steps() -> Steps[dict[str, float]]:
            now, pairs = yield self._wire.run(scripts.LEASES, (self._key(b"hosts"),))
            hosts = zip(pairs[::2], pairs[1::2], strict=True)
            return {host.decode(): (float(until) - float(now)) / 1000 for host, until in hosts}

        return take_steps(steps())

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
            check_code(run, code)
            return bool(code == TAKEN)

        return take_steps(steps())

    def ask(self, host: str, request: bytes, seconds: float) -> Reply[bytes]:
        """Have a host do something."""
        check_ask(request)
        self._numbers += 1
        ticket = f"{self._me}.{self._numbers}"

        def steps() -> Steps[None]:
            lease, asks = self._of_host(b"host", host), self._of_host(b"ask", host)
            # By its clock: what follows may lie in a socket until the server, or the way to it, is back.
            whole, micros = yield self._wire.request(asks, "TIME")
            until = 1000 * int(whole) + int(micros) // 1000 + int(1000 * seconds)
            code = yield self._wire.run(scripts.ASK, (lease, asks), ticket, request, until, asks)
            if code != TAKEN:
                raise NoHost(host) if code == NO_RUN else Late(host, seconds)

        self._wire.subscribe([self._answers])
        return self._questions.ask(ticket, host, seconds, take_steps(steps()))

    def asks(self) -> Reply[Sequence[Ask]]:
        """Take what others want."""

        def steps() -> Steps[Sequence[Ask]]:
            pairs = yield self._wire.run(scripts.ASKS, (self._of_host(b"ask", self._host),))
            return [
                Ask(name.decode(), request) for name, request in zip(pairs[::2], pairs[1::2], strict=True)
            ]

        return take_steps(steps())

    def answer(self, ask: Ask, answer: bytes) -> Reply[None]:
        """Answer."""
        check_ask(answer)

        def steps() -> Steps[None]:
            where = self._key(b"answer:{%b}" % ask.ticket.partition(".")[0].encode())
            yield self._wire.run(scripts.ANSWER, (where,), ask.ticket, answer, where)

        return take_steps(steps())

    def _take(self, raw: Reply[Any]) -> None:
        """Settle what was answered."""
        try:
            pairs = raw.result() or []
        except Exception:  # those that wait learn of it, too
            return
        for ticket, answer in zip(pairs[::2], pairs[1::2], strict=True):
            self._questions.answered(ticket.decode(), answer)
        if len(pairs) == 2 * _ANSWERS:
            self._take_answers()


def _taken(run: str, said: int | bytes) -> int | None:
    """Return what a put replies, of what its script does: the tail, if that is another one."""
    if isinstance(said, int):
        check_code(run, said)
        return None
    return int(said)
