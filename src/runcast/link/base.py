"""The interface of a link: what hosts share of their runs, through an engine that all can reach.

A link connects folder stores; it is no log of its own. An agent on each host puts there what its
runs write, and reads from there what others have. A `Link` is one host's connection, for a single
thread: requests are queued and sent by `step`, and each returns a `Reply`. The loop of an agent:

    while True:
        link.step()                        # sends, receives, settles replies
        for run in link.news(): ...        # raises LinkDown where the link is down
        pause = link.timeout()             # seconds, None for ever; poll(2) has milliseconds
        poller.poll(None if pause is None else 1000 * pause)  # link.fileno() among what it watches

Replies to requests for one run come in the order of the requests; those for different runs may
overtake each other. Any request may fail with `LinkDown`, and then it may have been done or not.
There is one way back, and nothing else needs code for recovery: pause (0.1 s, up to 2 s), call
`hello`, `look` at all runs that are active, and go on from the engine's tail of each.

Must not know files, processes or the options of a run: requests, records and states are bytes.
"""

from __future__ import annotations

import select
import time
from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from typing import Final, Literal, NamedTuple, TypeVar

from runcast.errors import LinkDown
from runcast.link.reply import Reply

__all__ = [
    *("ASKS", "LISTED", "PUT_BYTES"),
    *("Ask", "Engine", "Entry", "Field", "Hello", "Link", "Look", "Stretch"),
]

PUT_BYTES: Final = 64 * 1024
"""The most bytes of a `put`, and of the request or answer of an `ask`: the span of an index record."""
LISTED: Final = "*listed"
"""The name under which `Link.news` has changes of the list of runs; `watch` it like a run."""
ASKS: Final = "*asks"
"""The name under which `Link.news` says that others ask for something; `lease` watches it."""
Field = Literal["state", "progress", "outcome"]

T = TypeVar("T")


class Engine(NamedTuple):
    """What a link's engine is.

    Attributes:
        name: product and version, for people.
        durable: whether it writes to disk, so that its data outlives its process.
        limit: how many bytes it takes; None without a limit.
    """

    name: str
    durable: bool
    limit: int | None


class Hello(NamedTuple):
    """What `Link.hello` found.

    Attributes:
        epoch: a random name that the engine's first client gave it. Another one than before means
            that the engine lost its data, so all of it is to be put there again.
        engine: what it is.
        servers: names of the processes that serve. Others than before, after a restart or in place of
            those that failed, may lack what was taken last, also of what nobody sends any more.
        age: for how many seconds these have served; infinite where they lose nothing.
    """

    epoch: str
    engine: Engine
    servers: str = ""
    age: float = float("inf")


class Entry(NamedTuple):
    """One `put`, as it is read.

    Attributes:
        start: the offset of its first byte.
        end: the offset after its last byte.
        data: the bytes; empty for a gap, whose bytes were dropped by the run's cap.
        records: the packed index records that begin in it.
    """

    start: int
    end: int
    data: bytes
    records: bytes


class Stretch(NamedTuple):
    """Part of a run's log.

    Attributes:
        entries: in order and without a hole between them; none at the tail. The first one may begin
            before the offset that was read from.
        first: an offset from which on nothing is missing. It is after the one that was read from only
            where the front was trimmed, and then it is where the engine's log begins.
        tail: where the engine's log ends.
        version: of a run that is watched a number, the same for as long as nothing else of the run changed,
            so that nobody need look at that for each of its lines; None where that is not known.
    """

    entries: list[Entry]
    first: int
    tail: int
    version: int | None = None


class Look(NamedTuple):
    """What a link knows of a run, without its log.

    Attributes:
        request: as `create` had it.
        host: the run's own.
        state: the last one, None before the first.
        progress: likewise.
        outcome: None until there is one, then always the same.
        tail: where the engine's log ends.
        first: from where on the engine has the log.
        fence: how often the run was taken from its host: 0, or 1 after a `lose`.
    """

    request: bytes
    host: str
    state: bytes | None
    progress: bytes | None
    outcome: bytes | None
    tail: int
    first: int
    fence: int


class Ask(NamedTuple):
    """What somebody wants of a host; `ticket` says where the answer goes."""

    ticket: str
    request: bytes


class Link(ABC):
    """A connection to the engine that several hosts share. Not for more than one thread."""

    # The life of a connection

    @abstractmethod
    def fileno(self) -> int:
        """Return the descriptor to poll for reading; the same one until `close`."""

    @abstractmethod
    def step(self) -> None:
        """Send what is queued, receive what has come, settle replies. Waits for nothing.

        Raises nothing of its own: a request that fails fails by its reply. To be called when the
        descriptor is readable, when `timeout` is over, and after requests.
        """

    @abstractmethod
    def timeout(self) -> float | None:
        """Return for how many seconds `poll` may wait before the next `step`; None for ever."""

    @abstractmethod
    def close(self) -> None:
        """End the connection; open requests fail with LinkDown. A second call does nothing."""

    def wait(self, reply: Reply[T], seconds: float = 10.0) -> T:
        """Step until a reply has come, and return its result: for tests and short programs.

        Raises:
            LinkDown: no reply came within so many seconds; `result` may raise other errors.
        """
        deadline = time.monotonic() + seconds
        poller = select.poll()
        poller.register(self.fileno(), select.POLLIN)
        while True:
            self.step()
            if reply.done:
                return reply.result()
            if (left := deadline - time.monotonic()) <= 0:
                raise LinkDown(f"expected a reply of the link within {seconds:g} s, none came: try again")
            pause = self.timeout()
            poller.poll(1000 * (left if pause is None else min(left, pause)))

    @abstractmethod
    def hello(self) -> Reply[Hello]:
        """Connect, or connect again. All other requests fail with LinkDown until this has succeeded.

        What was watched stays watched, and all of it is news.

        Raises (the reply):
            LinkRefused: wrong user or password, too old, or set up so that it drops data when full.
        """

    # A run and its log, by its own host

    @abstractmethod
    def create(self, run: str, request: bytes, host: str, key: str | None = None) -> Reply[str]:
        """Make a run, and reply with its id; or with the id of the run that has the key.

        The key is taken first, then the run is made, then it is listed: who dies in between leaves a
        key that is free again after 60 s. May be repeated; a run that is there stays as it is. To be
        waited for before the first `put`.
        """

    @abstractmethod
    def put(self, run: str, start: int, end: int, data: bytes, records: bytes) -> Reply[int | None]:
        """Append to the run's log, if its tail is `start`; reply None, or else the tail, and store nothing.

        Args:
            run: the id.
            start: the offset of the first byte.
            end: the offset after the last byte.
            data: `end - start` bytes, at most `PUT_BYTES`; or none, for a gap of any length.
            records: the packed index records that begin in it.

        Raises (the reply):
            Fenced: the run has its outcome already.
            Full: the engine has no room; nothing was stored.
            NoRun: it is not there, or no longer.
            UsageError: at once: not as many bytes as the offsets say.
        """

    @abstractmethod
    def tell(self, run: str, field: Field, value: bytes) -> Reply[bool]:
        """Set a field; reply whether it has this value now.

        The last state and progress win, the first outcome does. After an outcome no `put` is taken,
        so the log is to be put before it.

        Raises (the reply):
            Fenced: the run was taken from its host, by `lose`.
            NoRun, Full: as for `put`.
        """

    @abstractmethod
    def trim(self, run: str, before: int) -> Reply[int]:
        """Forget the entries that end at or before an offset; reply where the engine's log now begins.

        Only for what is kept elsewhere. The tail stays, and with it where the next `put` must begin.

        Raises (the reply):
            NoRun: it is not there.
        """

    @abstractmethod
    def drop(self, run: str) -> Reply[None]:
        """Forget a run, its log and its key. One that is not there is no error."""

    # Names that all hosts share: the key of a run is one, `rules.key_name`

    @abstractmethod
    def claim(self, name: str, value: bytes) -> Reply[bytes]:
        """Give a name a value, if it has none; reply with the one that it has."""

    @abstractmethod
    def named(self, name: str) -> Reply[bytes | None]:
        """Reply with the value of a name; None where it has none."""

    @abstractmethod
    def free(self, name: str, value: bytes) -> Reply[None]:
        """Take a name's value away, if it still is this one."""

    # All runs, by any host

    @abstractmethod
    def read(self, run: str, offset: int, limit: int) -> Reply[Stretch]:
        """Read the entries that end after an offset: one at least if there is any, and no more than about
        `limit` bytes. The front of the first one is the reader's to cut.

        Raises (the reply):
            NoRun: it is not there.
        """

    @abstractmethod
    def look(self, runs: Sequence[str]) -> Reply[dict[str, Look]]:
        """Reply with what is known of these runs, without those that are not there."""

    @abstractmethod
    def watch(self, runs: Collection[str]) -> None:
        """Have changes of these runs (or `LISTED`) in `news`; each is news once when this takes effect."""

    @abstractmethod
    def unwatch(self, runs: Collection[str]) -> None:
        """End that. What is news already may still come."""

    @abstractmethod
    def news(self) -> set[str]:
        """Return what may have changed since the last call: too much at times, never too little.

        Raises:
            LinkDown: the link is down, or `hello` is still under way.
            LinkRefused: it is down because the last `hello` was refused.
        """

    @abstractmethod
    def list(self, before: str | None, limit: int) -> Reply[Sequence[str]]:
        """Reply with up to `limit` ids that sort before one, or the last ones, the last one first."""

    # Hosts

    @abstractmethod
    def lease(self, host: str, seconds: float, holder: bytes) -> Reply[None]:
        """Say that a host is here, for so many seconds from now, by the engine's clock.

        Args:
            host: its name at the link.
            seconds: how long; to be called again well before.
            holder: who says so. The next agent of the same store is the same holder.

        Raises (the reply):
            Fenced: another holder has a lease of this host.
        """

    @abstractmethod
    def leases(self) -> Reply[dict[str, float]]:
        """Reply with the seconds that each host's lease goes on; negative since when it is over.

        Hosts whose lease has been over for a week are forgotten.
        """

    @abstractmethod
    def lose(self, run: str, outcome: bytes) -> Reply[bool]:
        """Set the outcome of a run whose host has no lease; reply whether it was set.

        It was not if the run has an outcome, or its host a lease. From then on the host is fenced.

        Raises (the reply):
            NoRun: it is not there.
        """

    @abstractmethod
    def ask(self, host: str, request: bytes, seconds: float) -> Reply[bytes]:
        """Have a host do something, at most once, and reply with its answer. Never for starting a run.

        Args:
            host: its name at the link.
            request: at most `PUT_BYTES`.
            seconds: how long the host may take; after that it does not begin.

        Raises (the reply):
            NoHost: it has no lease.
            Late: no answer in time.
            UsageError: at once: the request is too long.
        """

    @abstractmethod
    def asks(self) -> Reply[Sequence[Ask]]:
        """Take what others ask of the host of this link's last `lease`; some, there may be more.

        Each comes once. If this fails, what it would have replied is lost, and the other side gets `Late`.
        """

    @abstractmethod
    def answer(self, ask: Ask, answer: bytes) -> Reply[None]:
        """Answer. That nobody waits for it any more is no error."""
