"""One stream: what may be appended, by whom, after what.

Owns the rules of appending, the same for every backend: closed or open, the media type, a
producer's sequence, `Stream-Seq`. Judging and appending happen under the stream's append lock, so
that of two requests of one producer the later one sees the earlier. A backend holds the lock,
keeps `State` where a crash cannot part it from the bytes, and appends.
"""

from __future__ import annotations

import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from typing import Any, NamedTuple

from runcast.durable.caps import Busy, Caps
from runcast.errors import FileDamaged, ProducerFenced, ProducerGap, StreamConflict, UsageError
from runcast.log import Log
from runcast.model import Channel, Outcome, Reason
from runcast.wire.durable import JSON, OCTETS, Appending, Producer, media_type, parse_seconds

__all__ = ["CONTROL", "Appended", "Busy", "Settings", "State", "Stream", "channel_of", "ended"]

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")  # what no name and no header may have


class Appended(NamedTuple):
    """What became of an append.

    Attributes:
        tail: the tail offset after it.
        closed: whether the stream is closed.
        producer: whose it was, with the highest sequence number that was taken.
        duplicate: it had been taken before, and nothing was appended now.
    """

    tail: int
    closed: bool
    producer: Producer | None = None
    duplicate: bool = False


@dataclass(frozen=True)
class Settings:
    """What a stream was made with; never changes.

    Attributes:
        id: of this very stream; another one of the same name has another.
        name: its path.
        content_type: as whoever made it wrote it.
        created_at: when, in seconds since the epoch.
        ttl: seconds without a read or an append after which it is deleted.
        expires_at: when it is deleted, as RFC 3339.
        asked_ttl, asked_expires_at: the same, as asked for: a fork has those of its parent unless asked.
        forked_from: name of the stream it begins with.
        parent: id of that stream.
        fork_offset: where it leaves it, without `sub_offset`.
        sub_offset: bytes or messages more.
        begins_at: where its own bytes begin, behind those of its parent.
    """

    id: str
    name: str
    content_type: str = OCTETS
    created_at: float = 0.0
    ttl: int | None = None
    expires_at: str | None = None
    asked_ttl: int | None = None
    asked_expires_at: str | None = None
    forked_from: str | None = None
    parent: str | None = None
    fork_offset: int | None = None
    sub_offset: int = 0
    begins_at: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return them as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any], where: str = "the stream") -> Settings:
        """Read back what `to_json` gave; keys of later versions are passed over.

        Args:
            value: the JSON object.
            where: names it in an error.

        Raises:
            FileDamaged: it says something else.
        """
        known = {one.name for one in fields(cls)}
        for name in ("id", "name", "content_type", "created_at"):
            if name not in value:
                raise FileDamaged(f"{where}: expected {name}, it is missing")
        for name, good in _FIELDS.items():
            if name in value and not good(value[name]):
                raise FileDamaged(f"{where}: expected {name} of another kind, got {value[name]!r:.60}")
        return cls(**{name: value[name] for name in known & value.keys()})


def _text(value: object) -> bool:
    """Whether a name or a header may have this value: what `check_name` lets through, at least."""
    try:
        return isinstance(value, str) and not CONTROL.search(value) and bool(value.encode())
    except UnicodeEncodeError:
        return False


def _count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _instant(value: object) -> bool:
    try:
        return value is None or (isinstance(value, str) and parse_seconds(value) is not None)
    except UsageError:
        return False


_FIELDS: Mapping[str, Callable[[object], bool]] = {
    **dict.fromkeys(("id", "name", "content_type"), _text),
    **dict.fromkeys(("forked_from", "parent"), lambda value: value is None or _text(value)),
    **dict.fromkeys(("ttl", "asked_ttl", "fork_offset"), lambda value: value is None or _count(value)),
    **dict.fromkeys(("expires_at", "asked_expires_at"), _instant),
    **dict.fromkeys(("sub_offset", "begins_at"), _count),
}


@dataclass
class State:
    """What the next append depends on, beside the bytes.

    Attributes:
        producers: epoch and last sequence number of each.
        seq: the last `Stream-Seq`.
        closed: no more may be appended.
    """

    producers: dict[str, tuple[int, int]] = field(default_factory=dict)
    seq: str | None = None
    closed: bool = False

    def take(self, ask: Appending) -> None:
        """Note an append that was taken."""
        if ask.producer is not None:
            self.producers[ask.producer.id] = ask.producer.epoch, ask.producer.seq
        if ask.seq is not None:
            self.seq = ask.seq
        self.closed = self.closed or ask.close


class Stream(ABC):
    """A stream of this process's view; `Streams` finds and makes them."""

    gone = False  # deleted, but kept from others while its forks live

    def __init__(self, settings: Settings, caps: Caps) -> None:
        self.settings = settings
        self.caps = caps
        self.media_type = media_type(settings.content_type)
        self.json = self.media_type == JSON
        self.channel = channel_of(settings)
        at = settings.expires_at
        self._expires = None if at is None else parse_seconds(at)

    @property
    def id(self) -> str:
        """The id of this very stream."""
        return self.settings.id

    @abstractmethod
    def open_log(self) -> Log:
        """Return the log, for reading at offsets. Whoever reads sees whole appends only."""

    @property
    @abstractmethod
    def used_at(self) -> float:
        """When it was last read or appended to, in seconds since the epoch."""

    @abstractmethod
    def touch(self) -> None:
        """Note that it is being read, if that keeps it alive."""

    @abstractmethod
    def settle(self) -> None:
        """Find out whether it still is there.

        Raises:
            StreamNotFound: it was deleted.
        """

    @property
    @abstractmethod
    def forks(self) -> int:
        """How many streams were forked from it and are still there."""

    @property
    @abstractmethod
    def _state(self) -> State:
        """What appends depend on. Asked and changed by the holder of the lock only."""

    @property
    @abstractmethod
    def _tail(self) -> int:
        """The tail offset, for the holder of the lock."""

    @abstractmethod
    def _hold(self, *, wait: bool) -> None:
        """Take the append lock; everything before is settled when this returns.

        Raises:
            Busy: somebody else holds it, and `wait` is false.
        """

    @abstractmethod
    def _free(self) -> None:
        """Free the append lock."""

    @abstractmethod
    def _append(self, ask: Appending, data: bytes) -> None:
        """Keep what was asked and append, both or nothing.

        Raises:
            StreamFull: there is no room; nothing was kept.
        """

    @property
    def expired(self) -> bool:
        """Whether its time is over."""
        now = time.time()
        if self._expires is not None and now >= self._expires:
            return True
        return self.settings.ttl is not None and now >= self.used_at + self.settings.ttl

    @contextmanager
    def still(self) -> Iterator[int]:
        """Let nobody append for a block; gives the tail offset."""
        self._hold(wait=True)
        try:
            yield self._tail
        finally:
            self._free()

    def append(self, ask: Appending, data: bytes, *, wait: bool = True) -> Appended:
        """Append what a request brings, or close the stream, or both.

        Args:
            ask: what its headers ask for.
            data: the bytes, in JSON mode as `messages` returns them; empty to close only.
            wait: block while others append, or all streams are measured; otherwise raise `Busy`.

        Raises:
            StreamConflict: the stream is closed, of another type, or further.
            ProducerFenced, UsageError: a producer's epoch is over, or does not begin at 0.
            StreamFull: there is no room, or none is allowed; nothing was kept.
        """
        self._hold(wait=wait)
        try:
            state = self._state
            if ask.producer is not None and (last := self._taken(state, ask.producer)) is not None:
                return Appended(self._tail, state.closed, ask.producer._replace(seq=last), duplicate=True)
            if state.closed and not data and ask.close and ask.producer is None:
                return Appended(self._tail, True)
            if state.closed:
                raise StreamConflict(
                    "expected an open stream, this one is closed: nothing more can be appended",
                    tail=self._tail,
                    closed=True,
                )
            if data and media_type(ask.content_type) != self.media_type:
                raise StreamConflict(
                    f"expected {self.media_type}, as the stream has it, got {(ask.content_type or '')[:80]!r}"
                )
            if ask.seq is not None and state.seq is not None and ask.seq <= state.seq:
                raise StreamConflict(
                    f"expected Stream-Seq to be more than {state.seq[:80]!r}, got {ask.seq[:80]!r}"
                )
            if data:
                self.caps.take(len(data), self._tail, self.settings.begins_at, wait=wait)
            self._append(ask, data)
            return Appended(self._tail, self._state.closed, ask.producer)
        finally:
            self._free()

    @staticmethod
    def _taken(state: State, producer: Producer) -> int | None:
        """Return the highest number that was taken if this one was; None if it may be taken now."""
        known = state.producers.get(producer.id)
        if known is None:
            if producer.seq and not state.closed:
                raise ProducerGap(0, producer.seq)
            return None
        epoch, last = known
        if producer.epoch < epoch:
            raise ProducerFenced(producer.epoch, epoch)
        if producer.epoch > epoch:
            if producer.seq:
                raise UsageError(f"expected Producer-Seq 0 in a new epoch, got {producer.seq}: begin at 0")
            return None
        if producer.seq <= last:
            return last
        if producer.seq > last + 1 and not state.closed:
            raise ProducerGap(last + 1, producer.seq)
        return None


def channel_of(settings: Settings) -> Channel:
    """Return the channel of a stream's bytes."""
    return Channel.DATA if media_type(settings.content_type) == JSON else Channel.STDOUT


def ended() -> Outcome:
    """Return the outcome of a stream that was closed."""
    return Outcome(Reason.EXITED, 0, ended_at=time.time())
