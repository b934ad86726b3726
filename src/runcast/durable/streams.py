"""The streams of a server: find them by name, make, fork and delete them.

Owns the rules that concern more than one stream: a name names one, forks keep their parent's name
from others, what has expired is deleted by whoever finds it. A backend keeps names and bytes.
"""

from __future__ import annotations

import functools
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator

from runcast.durable.caps import Caps
from runcast.durable.stream import CONTROL, Settings, Stream
from runcast.errors import BadOffset, OffsetBeyondTail, StreamConflict, StreamGone, StreamNotFound, UsageError
from runcast.ids import new_run_id
from runcast.log import Log
from runcast.wire.durable import JSON, OCTETS, Creation, media_type, parse_position, parse_seconds

__all__ = ["NAME_BYTES", "Streams", "check_name", "expect_boundary"]

NAME_BYTES = 1024  # of a stream's name in UTF-8
_BAD_PART = re.compile(r"(?:^|/)\.{0,2}(?:/|$)")
_TRIES = 8  # of who makes a stream at the very moment at which another one of the name comes or goes


@functools.lru_cache(256)
def check_name(name: str) -> str:
    """Return a name if it is a good one.

    Raises:
        UsageError: it is empty, too long, has control characters, or parts that lead elsewhere.
    """
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        raise UsageError(f"expected the name of a stream in UTF-8, got {name[:80]!r}") from None
    if "\ufffd" in name:  # what a server makes of bytes that are no UTF-8: many names would be one
        raise UsageError(f"expected the name of a stream in UTF-8, got other bytes: {name[:80]!r}")
    if not 0 < size <= NAME_BYTES:
        raise UsageError(f"expected the name of a stream in 1 to {NAME_BYTES} bytes, got {size}")
    if CONTROL.search(name):
        raise UsageError(f"expected the name of a stream without control characters, got {name[:80]!r}")
    if _BAD_PART.search(name):
        raise UsageError(
            f"expected the name of a stream without empty parts, `.` and `..`, got {name[:80]!r}"
        )
    return name


class Streams(ABC):
    """A set of streams.

    Attributes:
        caps: how many bytes they may have.
    """

    def __init__(self) -> None:
        self.caps = Caps(self._measure)

    @abstractmethod
    def _measure(self) -> int:
        """Return how many bytes all streams have; what several share counts once."""

    @abstractmethod
    def _find(self, name: str) -> Stream | None:
        """Return the stream of a name, also one that is gone or has expired; None where there is none."""

    @abstractmethod
    def _make(
        self, settings: Settings, parent: Stream | None, offset: int, data: bytes, *, closed: bool
    ) -> Stream | None:
        """Make a stream that begins with its parent's bytes up to `offset`, then `data`.

        None if there is one of the name by now.
        """

    @abstractmethod
    def _remove(self, stream: Stream) -> None:
        """Take a stream and its bytes away; keep its name, as gone, while it has forks."""

    @abstractmethod
    def names(self) -> Iterator[str]:
        """Yield the names of all streams, in no order."""

    def close(self) -> None:  # noqa: B027  a backend in memory holds nothing open
        """Let go of what is held open. The streams are untouched."""

    def get(self, name: str) -> Stream:
        """Return the stream of a name.

        Raises:
            UsageError: it is no name.
            StreamNotFound: there is none, or no more.
            StreamGone: it was deleted, and its forks are still there.
        """
        for _ in range(2):
            stream = self._find(check_name(name))
            if stream is None:
                break
            if stream.gone:
                raise StreamGone(name)
            if not stream.expired:
                return stream
            self._remove(stream)
        raise StreamNotFound(name)

    def create(self, name: str, ask: Creation, data: bytes = b"") -> tuple[Stream, bool]:
        """Make a stream, unless there is one of this name that was made in the same way.

        Args:
            name: its path.
            ask: what the request asks for; `forked_from` is a name here.
            data: what it begins with, behind what it has of its parent; in JSON mode as lines.

        Returns:
            The stream, and whether it was made now.

        Raises:
            UsageError: the name or the place of the fork is none.
            StreamNotFound: the stream to fork is not there.
            StreamConflict: there is another one of this name, or the parent's type is another.
            StreamFull: there is no room for what it begins with, or none is allowed.
        """
        check_name(name)
        for _ in range(_TRIES):
            existing = self._find(name)
            if existing is not None and not existing.gone and existing.expired:
                self._remove(existing)
                existing = self._find(name)
            if existing is not None:
                if existing.gone:
                    raise StreamConflict(
                        f"the stream {name[:80]!r} was deleted, its name is free when its forks are"
                    )
                _expect_same(existing, ask)
                return existing, False
            made = self._made(name, ask, data)
            if made is not None:
                return made, True
        raise StreamConflict(f"expected the stream {name[:80]!r} to stay for a moment, it comes and goes")

    def _made(self, name: str, ask: Creation, data: bytes) -> Stream | None:
        settings = Settings(
            new_run_id(),
            name,
            ask.content_type or OCTETS,
            time.time(),
            ttl=ask.ttl,
            expires_at=ask.expires_at,
            asked_ttl=ask.ttl,
            asked_expires_at=ask.expires_at,
        )
        if ask.forked_from is None:
            if data:
                self.caps.take(len(data), 0)
            return self._make(settings, None, 0, data, closed=ask.closed)
        parent = self._parent(ask)
        with parent.still() as tail:
            now = self._find(ask.forked_from)
            if now is None or now.gone or now.id != parent.id:  # deleted while we waited
                raise StreamNotFound(ask.forked_from)
            at = _position(parent, ask, tail)
            own = ask.ttl is not None or ask.expires_at is not None
            offset = _further(parent, at, ask.sub_offset, tail)
            if data:
                self.caps.take(len(data), offset, offset)
            values = settings.to_json() | {
                "content_type": ask.content_type or parent.settings.content_type,
                "ttl": ask.ttl if own else parent.settings.ttl,
                "expires_at": ask.expires_at if own else parent.settings.expires_at,
                "forked_from": ask.forked_from,
                "parent": parent.id,
                "fork_offset": at,
                "sub_offset": ask.sub_offset,
                "begins_at": offset,
            }
            return self._make(Settings.from_json(values), parent, offset, data, closed=ask.closed)

    def _parent(self, ask: Creation) -> Stream:
        assert ask.forked_from is not None
        try:
            parent = self.get(ask.forked_from)
        except StreamGone as error:
            raise StreamConflict(str(error)) from None
        if ask.content_type is not None and media_type(ask.content_type) != parent.media_type:
            raise StreamConflict(
                f"expected {parent.media_type}, as the parent has it, got {ask.content_type[:80]!r}"
            )
        return parent

    def type_of(self, ask: Creation) -> str:
        """Return the media type that a stream has if it is made as asked.

        Raises:
            StreamNotFound, StreamConflict: of the stream to fork.
        """
        if ask.content_type is None and ask.forked_from is not None:
            return self._parent(ask).media_type
        return media_type(ask.content_type)

    def delete(self, name: str) -> None:
        """Delete a stream. Raises what `get` does."""
        self._remove(self.get(name))


def _position(parent: Stream, ask: Creation, tail: int) -> int:
    """Return where a fork leaves its parent."""
    if ask.fork_offset is None:
        return tail
    try:
        at = parse_position(ask.fork_offset, tail)
    except OffsetBeyondTail as error:
        raise UsageError(
            f"expected Stream-Fork-Offset up to the tail, which is {tail}, got {error.offset}"
        ) from None
    log = parent.open_log()
    try:
        expect_boundary(parent, log, at)
    finally:
        log.close()
    return at


def _further(parent: Stream, at: int, more: int, tail: int) -> int:
    """Return the offset that lies so many bytes, or messages, behind another."""
    if not more:
        return at
    log = parent.open_log()
    try:
        if parent.media_type != JSON:
            end, there = at + more, tail - at
        else:
            before = log.lines_before(at)
            end, there = log.offset_of_line(before + more + 1), log.lines_before(tail) - before
    finally:
        log.close()
    if more > there:
        raise UsageError(f"expected Stream-Fork-Sub-Offset up to {there}, for there is no more, got {more}")
    return end


def _expect_same(stream: Stream, ask: Creation) -> None:
    """Refuse to make a stream that is there, unless it is as asked."""
    settings = stream.settings
    log = stream.open_log()
    closed = log.closed
    log.close()
    inherits = ask.content_type is None and ask.forked_from is not None
    same = {
        "Content-Type": inherits or media_type(ask.content_type) == stream.media_type,
        "Stream-TTL": ask.ttl == settings.asked_ttl,
        "Stream-Expires-At": _instant(ask.expires_at) == _instant(settings.asked_expires_at),
        "Stream-Closed": ask.closed == closed,
        "Stream-Forked-From": ask.forked_from == settings.forked_from,
        "Stream-Fork-Offset": ask.fork_offset is None or _number(ask.fork_offset) == settings.fork_offset,
        "Stream-Fork-Sub-Offset": ask.sub_offset == settings.sub_offset,
    }
    for header, good in same.items():
        if not good:
            raise StreamConflict(f"the stream {settings.name[:80]!r} exists, with another {header}")


def _instant(text: str | None) -> float | None:
    return None if text is None else parse_seconds(text)


def _number(text: str) -> int:
    return parse_position(text, 2**64)


def expect_boundary(stream: Stream, log: Log, offset: int) -> None:
    """Refuse an offset within a message: no reply of ours named it.

    Raises:
        BadOffset: it is one.
    """
    if stream.json and offset:
        chunks = log.read(offset - 1, 1, labelled=False).chunks
        if chunks and chunks[0].data not in (b"", b"\n"):
            raise BadOffset(f"expected an offset that a reply named, {offset} is within a message")
