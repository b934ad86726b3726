"""One stream: the checks before an append, and the append itself.

Owns the rules of appending, the same for every backend: closed or open, the media type, a producer's
sequence numbers, `Stream-Seq`. Checks and append happen under the stream's append lock, so the later
of two requests of one producer sees the earlier one. A backend implements the lock and the append, and
stores `AppendState` such that a crash cannot separate it from the bytes.
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

__all__ = ["CONTROL", "AppendState", "Appended", "Busy", "Settings", "Stream", "channel_of", "ended"]

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")  # characters not allowed in names and headers


class Appended(NamedTuple):
    """The result of an append.

    Attributes:
        tail: the tail offset after it.
        closed: whether the stream is closed.
        producer: the producer, with its highest sequence number that was accepted.
        duplicate: it had been accepted before, and nothing was appended now.
    """

    tail: int
    closed: bool
    producer: Producer | None = None
    duplicate: bool = False


@dataclass(frozen=True)
class Settings:
    """The parameters that a stream was created with; immutable.

    Attributes:
        id: of this stream; a later stream of the same name has another id.
        name: its path.
        content_type: verbatim from the request that created it.
        created_at: when, in seconds since the epoch.
        ttl: seconds without a read or an append after which it is deleted.
        expires_at: when it is deleted, as RFC 3339.
        asked_ttl, asked_expires_at: the values of the request; a fork inherits those that are missing.
        forked_from: name of the stream whose beginning it shares.
        parent: id of that stream.
        fork_offset: where the fork begins in the parent, without `sub_offset`.
        sub_offset: how many bytes or messages behind that.
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
        """Return the settings as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any], where: str = "the stream") -> Settings:
        """Restore settings from `to_json`; keys of later versions are ignored.

        Args:
            value: the JSON object.
            where: its source, for an error message.

        Raises:
            FileDamaged: the object is invalid.
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
    """Whether a name or a header may have this value; accepts all that `check_name` accepts."""
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
class AppendState:
    """The state of a stream beside its bytes, which the next append is checked against.

    Attributes:
        producers: epoch and last sequence number of each.
        seq: the last `Stream-Seq`.
        closed: no more may be appended.
    """

    producers: dict[str, tuple[int, int]] = field(default_factory=dict)
    seq: str | None = None
    closed: bool = False

    def apply(self, params: Appending) -> None:
        """Update the state with an append that was accepted."""
        if params.producer is not None:
            self.producers[params.producer.id] = params.producer.epoch, params.producer.seq
        if params.seq is not None:
            self.seq = params.seq
        self.closed = self.closed or params.close


class Stream(ABC):
    """A stream as this process sees it; `Streams` finds and creates them."""

    gone = False  # deleted, but its name stays taken while it has forks

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
        """The id of this stream."""
        return self.settings.id

    @abstractmethod
    def open_log(self) -> Log:
        """Return the log, for reading at offsets. Readers see complete appends only."""

    @property
    @abstractmethod
    def used_at(self) -> float:
        """When it was last read or appended to, in seconds since the epoch."""

    @abstractmethod
    def touch(self) -> None:
        """Update `used_at` for a read, if the stream has a time to live."""

    @abstractmethod
    def check_exists(self) -> None:
        """Check that the stream still exists.

        Raises:
            StreamNotFound: it was deleted.
        """

    @property
    @abstractmethod
    def forks(self) -> int:
        """The number of existing streams that were forked from it."""

    @property
    @abstractmethod
    def _state(self) -> AppendState:
        """The state that appends are checked against. Read and changed by the holder of the lock only."""

    @property
    @abstractmethod
    def _tail(self) -> int:
        """The tail offset, for the holder of the lock."""

    @abstractmethod
    def _hold(self, *, wait: bool) -> None:
        """Take the append lock, and recover from an append that was interrupted.

        Raises:
            Busy: the lock is taken, and `wait` is false.
        """

    @abstractmethod
    def _free(self) -> None:
        """Release the append lock."""

    @abstractmethod
    def _append(self, params: Appending, data: bytes) -> None:
        """Store the new state and the bytes, both or neither.

        Raises:
            StreamFull: there is no room; nothing was stored.
        """

    @property
    def expired(self) -> bool:
        """Whether it has expired."""
        now = time.time()
        if self._expires is not None and now >= self._expires:
            return True
        return self.settings.ttl is not None and now >= self.used_at + self.settings.ttl

    @contextmanager
    def locked(self) -> Iterator[int]:
        """Hold the append lock for a block; yields the tail offset."""
        self._hold(wait=True)
        try:
            yield self._tail
        finally:
            self._free()

    def append(self, params: Appending, data: bytes, *, wait: bool = True) -> Appended:
        """Append the body of a request, or close the stream, or both.

        Args:
            params: the parameters of the request.
            data: the bytes, in JSON mode as `messages` returns them; empty to close only.
            wait: block while another append runs, or all streams are measured; otherwise raise `Busy`.

        Raises:
            StreamConflict: the stream is closed, of another type, or has a later `Stream-Seq`.
            ProducerFenced, UsageError: a producer's epoch is over, or does not begin at 0.
            StreamFull: there is no room, or a cap is reached; nothing was stored.
        """
        self._hold(wait=wait)
        try:
            state = self._state
            if params.producer is not None and (last := self._accepted(state, params.producer)) is not None:
                return Appended(self._tail, state.closed, params.producer._replace(seq=last), duplicate=True)
            if state.closed and not data and params.close and params.producer is None:
                return Appended(self._tail, True)
            if state.closed:
                raise StreamConflict(
                    "expected an open stream, this one is closed: nothing more can be appended",
                    tail=self._tail,
                    closed=True,
                )
            if data and media_type(params.content_type) != self.media_type:
                raise StreamConflict(
                    f"expected {self.media_type}, the type of the stream, "
                    f"got {(params.content_type or '')[:80]!r}"
                )
            if params.seq is not None and state.seq is not None and params.seq <= state.seq:
                raise StreamConflict(
                    f"expected Stream-Seq to be more than {state.seq[:80]!r}, got {params.seq[:80]!r}"
                )
            if data:
                self.caps.reserve(len(data), self._tail, self.settings.begins_at, wait=wait)
            self._append(params, data)
            return Appended(self._tail, self._state.closed, params.producer)
        finally:
            self._free()

    @staticmethod
    def _accepted(state: AppendState, producer: Producer) -> int | None:
        """Return the producer's last accepted number if this one is a duplicate; None if it is the next."""
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
