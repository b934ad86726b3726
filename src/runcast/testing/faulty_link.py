"""A link that fails on purpose, by a seed: the same seed fails at the same requests.

What it does is what a network and an engine do: a request that is lost on its way (`dropped`), one
that is done and whose reply is lost (`cut`), one that a caller repeats although it was done
(`doubled`), and replies that come late (`delayed`), in order. News come over a connection of their own, so
they may overtake the reply to a read, whose version is then of a later moment than its entries
(`overtaken`), and a reply may overtake them (`late`).
"""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any, TypeVar

from runcast.errors import LinkDown
from runcast.link import Ask, Hello, Link, Look, Reply, Stretch
from runcast.link.base import Field
from runcast.link.reply import CallbackFailed

__all__ = ["FaultyLink"]

T = TypeVar("T")
FAULTS = ("dropped", "cut", "delayed", "doubled", "overtaken", "late")


class FaultyLink(Link):
    """Another link with faults.

    Args:
        link: the other one, which belongs to this one from now on.
        seed: of the faults.
        rate: the share of requests that have a fault, 0 to 1.
        kinds: those faults that it has, where not all.

    Attributes:
        faults: how many there were of each kind.
    """

    def __init__(self, link: Link, seed: int, rate: float = 0.1, kinds: Collection[str] = FAULTS) -> None:
        self._link, self._rate, self._kinds = link, rate, kinds
        self._chance = random.Random(seed)
        self._open: deque[tuple[Reply[Any], Reply[Any], list[int]]] = deque()
        self._apart: list[Reply[bytes]] = []
        self._late: set[str] = set()  # that have news, which are on their way
        self._versions: dict[str, int | None] = {}  # as they were when no news were
        self._up = False
        self.faults: Counter[str] = Counter()

    def fileno(self) -> int:
        """Return the other link's."""
        return self._link.fileno()

    def step(self) -> None:
        """Step, and settle the replies that have come and are not held back."""
        self._link.step()
        while self._open:
            mine, its, hold = self._open[0]
            if not its.done or hold[0] > 0:
                hold[0] -= 1
                return
            self._open.popleft()
            try:
                _pass_on(its, mine)
            except CallbackFailed:
                self._break("broken by a callback")
                raise

    def timeout(self) -> float | None:
        """Return the other link's, or little while a reply or news are held back."""
        held = self._late or (self._open and self._open[0][1].done)
        return 0.0 if held else self._link.timeout()

    def close(self) -> None:
        """Close the other link."""
        self._break("closed")
        self._link.close()

    def _break(self, why: str) -> None:
        self._up = False
        open_ones, self._open = [mine for mine, _, _ in self._open] + self._apart, deque()
        self._apart = []
        for reply in open_ones:
            reply.fail(LinkDown(f"expected a link without faults, this one was {why}: connect again"))

    def _add(
        self,
        call: Callable[[], Reply[T]],
        *,
        repeatable: bool = True,
        overtaken: Callable[[], Reply[T]] | None = None,
    ) -> Reply[T]:
        mine: Reply[T] = Reply()
        if not self._up:
            mine.fail(LinkDown("expected a link that is connected, it is not: call hello first"))
            return mine
        possible = {"dropped", "cut", "delayed"} | ({"doubled"} if repeatable else set())
        kinds = [one for one in self._kinds if one in possible or (overtaken and one == "overtaken")]
        kind = self._chance.choice(kinds) if kinds and self._chance.random() < self._rate else ""
        self.faults[kind or "none"] += 1
        if kind == "dropped":
            mine.fail(LinkDown("expected a link without faults, this one was dropped: connect again"))
            self._break(kind)
            return mine
        its = overtaken() if overtaken and kind == "overtaken" else call()
        if kind == "doubled":
            its = call()
        self._open.append((mine, its, [self._chance.randrange(1, 5) if kind == "delayed" else 0]))
        if kind == "cut":
            its.then(
                lambda _: self._break("cut") if any(open_one[0] is mine for open_one in self._open) else None
            )
        return mine

    def hello(self) -> Reply[Hello]:
        """Connect the other link, at times in vain."""
        self._break("connected again")
        self._up = True
        return self._add(self._link.hello)

    def create(self, run: str, request: bytes, host: str, key: str | None = None) -> Reply[str]:
        """Make a run."""
        return self._add(lambda: self._link.create(run, request, host, key))

    def put(self, run: str, start: int, end: int, data: bytes, records: bytes) -> Reply[int | None]:
        """Append; one that is doubled replies as its repetition does."""
        return self._add(lambda: self._link.put(run, start, end, data, records))

    def tell(self, run: str, field: Field, value: bytes) -> Reply[bool]:
        """Set a field."""
        return self._add(lambda: self._link.tell(run, field, value))

    def trim(self, run: str, before: int) -> Reply[int]:
        """Forget entries."""
        return self._add(lambda: self._link.trim(run, before))

    def drop(self, run: str) -> Reply[None]:
        """Forget a run."""
        return self._add(lambda: self._link.drop(run))

    def claim(self, name: str, value: bytes) -> Reply[bytes]:
        """Give a name a value."""
        return self._add(lambda: self._link.claim(name, value))

    def named(self, name: str) -> Reply[bytes | None]:
        """Look at a name."""
        return self._add(lambda: self._link.named(name))

    def free(self, name: str, value: bytes) -> Reply[None]:
        """Take a name's value away."""
        return self._add(lambda: self._link.free(name, value))

    def read(self, run: str, offset: int, limit: int) -> Reply[Stretch]:
        """Read entries."""
        its = partial(self._link.read, run, offset, limit)
        reply = self._add(its, overtaken=lambda: _overtaken(its, self._chance.randrange(1, 8)))
        mine: Reply[Stretch] = Reply()
        reply.then(lambda its: _pass_on(its, mine, partial(self._versioned, run)))
        return mine

    def _versioned(self, run: str, stretch: Stretch) -> Stretch:
        """Return it with the version of the last news that have come."""
        if run in self._late:
            return stretch._replace(version=self._versions.get(run))
        self._versions[run] = stretch.version
        return stretch

    def look(self, runs: Sequence[str]) -> Reply[dict[str, Look]]:
        """Look at runs."""
        return self._add(lambda: self._link.look(runs))

    def watch(self, runs: Collection[str]) -> None:
        """Watch, without faults."""
        self._link.watch(runs)

    def unwatch(self, runs: Collection[str]) -> None:
        """Watch no more."""
        self._link.unwatch(runs)

    def news(self) -> set[str]:
        """Return the news."""
        if not self._up:
            raise LinkDown("expected a link that is connected, it is not: call hello")
        news = self._late | self._link.news()
        rate = self._rate if "late" in self._kinds else 0
        self._late = {run for run in sorted(news - self._late) if self._chance.random() < rate}
        self.faults["late"] += len(self._late)
        return news - self._late

    def list(self, before: str | None, limit: int) -> Reply[Sequence[str]]:
        """List ids."""
        return self._add(lambda: self._link.list(before, limit))

    def lease(self, host: str, seconds: float, holder: bytes) -> Reply[None]:
        """Hold a host's lease."""
        return self._add(lambda: self._link.lease(host, seconds, holder))

    def leases(self) -> Reply[dict[str, float]]:
        """List the leases."""
        return self._add(self._link.leases)

    def lose(self, run: str, outcome: bytes) -> Reply[bool]:
        """Set the outcome of a run whose host is gone."""
        return self._add(lambda: self._link.lose(run, outcome), repeatable=False)

    def ask(self, host: str, request: bytes, seconds: float) -> Reply[bytes]:
        """Have a host do something, without faults of its own: its reply would hold back all others."""
        mine: Reply[bytes] = Reply()
        if not self._up:
            mine.fail(LinkDown("expected a link that is connected, it is not: call hello first"))
            return mine
        self._apart = [reply for reply in self._apart if not reply.done] + [mine]

        self._link.ask(host, request, seconds).then(lambda its: _pass_on(its, mine))
        return mine

    def asks(self) -> Reply[Sequence[Ask]]:
        """Take what others want."""
        return self._add(self._link.asks, repeatable=False)

    def answer(self, ask: Ask, answer: bytes) -> Reply[None]:
        """Answer."""
        return self._add(lambda: self._link.answer(ask, answer))


def _pass_on(its: Reply[T], mine: Reply[T], change: Callable[[T], T] = lambda value: value) -> None:
    try:
        value = its.result()
    except Exception as error:
        mine.fail(error)
    else:
        mine.succeed(change(value))


def _overtaken(read: Callable[[], Reply[Stretch]], rounds: int) -> Reply[Stretch]:
    """Read, and reply so many requests later, with what was read and the version of that moment."""
    mine: Reply[Stretch] = Reply()

    def come(left: int, first: Stretch | None, its: Reply[Stretch]) -> None:
        try:
            found = its.result()
        except Exception as error:
            mine.fail(error)
            return
        first = first or found
        if left:
            read().then(partial(come, left - 1, first))
        else:
            mine.succeed(first._replace(version=found.version))

    read().then(partial(come, rounds, None))
    return mine
