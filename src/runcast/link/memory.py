"""A link within one process: for tests, and as the plainest form of what a link is.

`MemoryEngine` has the data and the rules; the links that share one are hosts of their own. A request
is queued and done by `step`, as over a network, so a caller that forgets to step notices it here, too.
"""

from __future__ import annotations

import socket
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from runcast.errors import LinkDown, NoHost
from runcast.link.base import ASKS, LISTED, Ask, Engine, Entry, Field, Hello, Link, Look, Stretch
from runcast.link.memory_engine import MemoryEngine, MemoryRun
from runcast.link.questions import Questions
from runcast.link.reply import CallbackFailed, Reply
from runcast.link.rules import check_ask, check_put, fenced, held, key_name, within

__all__ = ["MemoryEngine", "MemoryLink"]

T = TypeVar("T")
_FORGET = 7 * 86400  # seconds after the end of a lease


class MemoryLink(Link):
    """A link to an engine of this process.

    Args:
        engine: shared with others.
    """

    def __init__(self, engine: MemoryEngine) -> None:
        self._engine = engine
        self._queue: deque[tuple[Reply[object], Callable[[], object]]] = deque()
        self._questions = Questions()
        self._watched: set[str] = set()
        self._news: set[str] = set()
        self._versions: dict[str, int] = {}  # of watched ones: the last change that was not of bytes
        self._changes = 0
        self._host = ""
        self._up = False
        self._numbers = 0
        self._ends = socket.socketpair()
        for end in self._ends:
            end.setblocking(False)

    def fileno(self) -> int:
        """Return the descriptor to poll."""
        return self._ends[0].fileno()

    def step(self) -> None:
        """Do what is queued, and no more than that: what callbacks add waits for the next step."""
        with suppress(BlockingIOError):
            while self._ends[0].recv(4096):
                pass
        for _ in range(len(self._queue)):
            if not self._queue:
                break
            reply, call = self._queue.popleft()
            try:
                value = call()
            except Exception as error:
                self._settle(reply.fail, error)
            else:
                self._settle(reply.succeed, value)
        self._questions.step(None)

    def _settle(self, settle: Callable[[Any], None], value: object) -> None:
        try:
            settle(value)
        except CallbackFailed:
            self.cut()
            raise

    def timeout(self) -> float | None:
        """Return the seconds until the next `step`."""
        return 0.0 if self._queue else self._questions.timeout(None, None)

    def close(self) -> None:
        """End the connection."""
        self.cut()
        for end in self._ends:
            end.close()

    def cut(self) -> None:
        """Break the connection: open requests fail, and `hello` makes another one."""
        self._up = False
        self._engine.links.discard(self)
        error = LinkDown("expected a connection to the engine, it was cut: connect again")
        for reply, _ in [*self._queue]:
            reply.fail(error)
        self._queue.clear()
        self._questions.step(error)

    def hear(self, name: str, of_bytes: bool) -> None:
        """Take note that a log has grown, or that something else has changed."""
        if name in self._watched:
            self._news.add(name)
            if not of_bytes:
                self._changed([name])
            self._wake()

    def _changed(self, names: Iterable[str]) -> None:
        self._changes += 1
        self._versions |= dict.fromkeys(names, self._changes)

    def _wake(self) -> None:
        with suppress(OSError):  # full, so it is readable
            self._ends[1].send(b"x")

    def _add(self, call: Callable[[], T]) -> Reply[T]:
        reply: Reply[T] = Reply()
        if self._up:
            self._queue.append((reply, call))  # type: ignore[arg-type]
            self._wake()
        else:
            reply.fail(LinkDown("expected a link that is connected, it is not: call hello first"))
        return reply

    def hello(self) -> Reply[Hello]:
        """Connect."""
        self.cut()
        self._up = True
        self._engine.links.add(self)

        def act() -> Hello:
            self._news |= self._watched
            self._changed(self._watched)
            return Hello(self._engine.epoch, Engine("memory", False, None))

        return self._add(act)

    def create(self, run: str, request: bytes, host: str, key: str | None = None) -> Reply[str]:
        """Make a run."""

        def act() -> str:
            names = self._engine.names
            holder = names.setdefault(key_name(key), run.encode()).decode() if key is not None else run
            if holder == run and run not in self._engine.runs:
                self._engine.runs[run] = MemoryRun(request, host, key)
                self._engine.wake(run)
                self._engine.wake(LISTED)
            return holder

        return self._add(act)

    def put(self, run: str, start: int, end: int, data: bytes, records: bytes) -> Reply[int | None]:
        """Append if the tail is `start`."""
        check_put(start, end, data)

        def act() -> int | None:
            kept = self._engine.run(run)
            if "outcome" in kept.fields:
                raise fenced(run)
            if kept.tail != start:
                return kept.tail
            kept.entries.append(Entry(start, end, bytes(data), bytes(records)))
            kept.tail = end
            self._engine.wake(run, of_bytes=True)
            return None

        return self._add(act)

    def tell(self, run: str, field: Field, value: bytes) -> Reply[bool]:
        """Set a field."""

        def act() -> bool:
            kept = self._engine.run(run)
            if kept.fence:
                raise fenced(run)
            if field == "outcome" and field in kept.fields:
                return kept.fields[field] == value
            kept.fields[field] = value
            self._engine.wake(run)
            return True

        return self._add(act)

    def trim(self, run: str, before: int) -> Reply[int]:
        """Forget entries."""

        def act() -> int:
            kept = self._engine.run(run)
            gone = [entry for entry in kept.entries if entry.end <= before]
            kept.entries = kept.entries[len(gone) :]
            kept.first = gone[-1].end if gone else kept.first
            return kept.first

        return self._add(act)

    def drop(self, run: str) -> Reply[None]:
        """Forget a run."""

        def act() -> None:
            kept = self._engine.runs.pop(run, None)
            if kept and kept.key is not None:
                self._free(key_name(kept.key), run.encode())
            self._engine.wake(run)
            self._engine.wake(LISTED)

        return self._add(act)

    def claim(self, name: str, value: bytes) -> Reply[bytes]:
        """Give a name a value."""
        return self._add(lambda: self._engine.names.setdefault(name, value))

    def named(self, name: str) -> Reply[bytes | None]:
        """Look at a name."""
        return self._add(lambda: self._engine.names.get(name))

    def free(self, name: str, value: bytes) -> Reply[None]:
        """Take a name's value away."""
        return self._add(lambda: self._free(name, value))

    def _free(self, name: str, value: bytes) -> None:
        if self._engine.names.get(name) == value:
            del self._engine.names[name]

    def read(self, run: str, offset: int, limit: int) -> Reply[Stretch]:
        """Read entries."""

        def act() -> Stretch:
            kept = self._engine.run(run)
            entries = within(kept.entries, offset, limit)
            return Stretch(entries, kept.first, kept.tail, self._versions.get(run))

        return self._add(act)

    def look(self, runs: Sequence[str]) -> Reply[dict[str, Look]]:
        """Look at runs."""

        def act() -> dict[str, Look]:
            found = {run: self._engine.runs[run] for run in runs if run in self._engine.runs}
            return {
                run: Look(
                    kept.request,
                    kept.host,
                    kept.fields.get("state"),
                    kept.fields.get("progress"),
                    kept.fields.get("outcome"),
                    kept.tail,
                    kept.first,
                    kept.fence,
                )
                for run, kept in found.items()
            }

        return self._add(act)

    def watch(self, runs: Collection[str]) -> None:
        """Watch names."""
        self._watched |= set(runs)
        self._news |= set(runs)
        self._changed(runs)
        self._wake()

    def unwatch(self, runs: Collection[str]) -> None:
        """Watch them no more."""
        self._watched -= set(runs)
        for run in runs:
            self._versions.pop(run, None)

    def news(self) -> set[str]:
        """Return the news."""
        if not self._up:
            raise LinkDown("expected a link that is connected, it is not: call hello")
        news, self._news = self._news, set()
        return news

    def list(self, before: str | None, limit: int) -> Reply[Sequence[str]]:
        """List ids."""

        def act() -> Sequence[str]:
            ids = (run for run in self._engine.runs if before is None or run < before)
            return sorted(ids, reverse=True)[:limit]

        return self._add(act)

    def lease(self, host: str, seconds: float, holder: bytes) -> Reply[None]:
        """Hold a host's lease."""

        def act() -> None:
            leases, now = self._engine.leases, time.monotonic()
            if self._engine.leased(host) and leases[host][1] != holder:
                raise held(host)
            leases[host] = now + seconds, holder
            for name in [name for name, (until, _) in leases.items() if until < now - _FORGET]:
                del leases[name]
            if self._host != host:
                self._host = host
                self.watch([ASKS])

        return self._add(act)

    def leases(self) -> Reply[dict[str, float]]:
        """List the leases."""

        def act() -> dict[str, float]:
            now = time.monotonic()
            return {host: until - now for host, (until, _) in self._engine.leases.items()}

        return self._add(act)

    def lose(self, run: str, outcome: bytes) -> Reply[bool]:
        """Set the outcome of a run whose host is gone."""

        def act() -> bool:
            kept = self._engine.run(run)
            if "outcome" in kept.fields or self._engine.leased(kept.host):
                return False
            kept.fields["outcome"] = outcome
            kept.fence += 1
            self._engine.wake(run)
            return True

        return self._add(act)

    def ask(self, host: str, request: bytes, seconds: float) -> Reply[bytes]:
        """Have a host do something."""
        check_ask(request)
        deadline = time.monotonic() + seconds
        self._numbers += 1
        ticket = f"{id(self)}.{self._numbers}"

        def act() -> None:
            if not self._engine.leased(host):
                raise NoHost(host)
            self._engine.asks.setdefault(host, []).append((deadline, Ask(ticket, request)))
            self._engine.wake(ASKS)

        return self._questions.ask(ticket, host, seconds, self._add(act))

    def asks(self) -> Reply[Sequence[Ask]]:
        """Take what others want."""

        def act() -> Sequence[Ask]:
            now = time.monotonic()
            return [ask for deadline, ask in self._engine.asks.pop(self._host, []) if deadline > now]

        return self._add(act)

    def answer(self, ask: Ask, answer: bytes) -> Reply[None]:
        """Answer."""
        check_ask(answer)

        def act() -> None:
            for link in self._engine.links:
                link.take(ask.ticket, answer)

        return self._add(act)

    def take(self, ticket: str, answer: bytes) -> None:
        """Settle a question of this link's, if it is one; its own `step` calls back."""
        reply = self._questions.take(ticket)
        if reply is not None:
            self._queue.append((reply, lambda: answer))  # type: ignore[arg-type]
            self._wake()
