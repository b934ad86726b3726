"""The streams of a server: find them by name, create, fork and delete them.

Owns the rules that concern more than one stream: names are unique, the name of a deleted stream stays
taken while it has forks, an expired stream is deleted by the first request that finds it. A backend
stores names and bytes.
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
_TRIES = 8  # to create a stream while others create and delete one of the same name


@functools.lru_cache(256)
def check_name(name: str) -> str:
    """Return a name if it is valid.

    Raises:
        UsageError: it is empty or too long, or has control characters or parts such as `..`.
    """
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        raise UsageError(f"expected the name of a stream in UTF-8, got {name[:80]!r}") from None
    if "\ufffd" in name:  # servers decode invalid UTF-8 to it: different names would become one
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
        caps: the limits of their sizes.
    """

    def __init__(self) -> None:
        self.caps = Caps(self._measure)

    @abstractmethod
    def _measure(self) -> int:
        """Return the total size of all streams in bytes; bytes that forks share count once."""

    @abstractmethod
    def _find(self, name: str) -> Stream | None:
        """Return the stream of a name, even if it is gone or has expired; None where there is none."""

    @abstractmethod
    def _make(
        self, settings: Settings, parent: Stream | None, offset: int, data: bytes, *, closed: bool
    ) -> Stream | None:
        """Create a stream that begins with its parent's bytes up to `offset`, then `data`.

        Returns None if there is a stream of this name by now.
        """

    @abstractmethod
    def _remove(self, stream: Stream) -> None:
        """Delete a stream and its bytes; while it has forks, only mark it as gone."""

    @abstractmethod
    def names(self) -> Iterator[str]:
        """Yield the names of all streams, in no order."""

    def close(self) -> None:  # noqa: B027  not abstract: a backend in memory has nothing to close
        """Close open files. The streams are untouched."""

    def knows(self, name: str) -> bool:
        """Return whether it is known at once where the stream of a name is, and whether it is there."""
        return True

    def get(self, name: str) -> Stream:
        """Return the stream of a name.

        Raises:
            UsageError: the name is invalid.
            StreamNotFound: there is no such stream, or it has expired.
            StreamGone: it was deleted, but has forks.
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

    def create(self, name: str, params: Creation, data: bytes = b"") -> tuple[Stream, bool]:
        """Create a stream, unless there is one of this name with the same parameters.

        Args:
            name: its path.
            params: the parameters of the request; `forked_from` is a name here.
            data: its first own bytes, behind those of its parent; in JSON mode as lines.

        Returns:
            The stream, and whether it was created now.

        Raises:
            UsageError: the name or the offset of the fork is invalid.
            StreamNotFound: the stream to fork does not exist.
            StreamConflict: the name is taken by another stream, or the parent has another type.
            StreamFull: there is no room for `data`, or a cap is reached.
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
                        f"the stream {name[:80]!r} was deleted, but has forks: its name is free when they "
                        "are deleted, too"
                    )
                _expect_same(existing, params)
                return existing, False
            made = self._created(name, params, data)
            if made is not None:
                return made, True
        raise StreamConflict(
            f"expected the stream {name[:80]!r} to stay in place, others create and delete it: try again"
        )

    def _created(self, name: str, params: Creation, data: bytes) -> Stream | None:
        settings = Settings(
            new_run_id(),
            name,
            params.content_type or OCTETS,
            time.time(),
            ttl=params.ttl,
            expires_at=params.expires_at,
            asked_ttl=params.ttl,
            asked_expires_at=params.expires_at,
        )
        if params.forked_from is None:
            if data:
                self.caps.reserve(len(data), 0)
            return self._make(settings, None, 0, data, closed=params.closed)
        parent = self._parent(params)
        with parent.locked() as tail:
            now = self._find(params.forked_from)
            if now is None or now.gone or now.id != parent.id:  # deleted while we waited
                raise StreamNotFound(params.forked_from)
            at = _fork_offset(parent, params, tail)
            own = params.ttl is not None or params.expires_at is not None
            offset = _advance(parent, at, params.sub_offset, tail)
            if data:
                self.caps.reserve(len(data), offset, offset)
            values = settings.to_json() | {
                "content_type": params.content_type or parent.settings.content_type,
                "ttl": params.ttl if own else parent.settings.ttl,
                "expires_at": params.expires_at if own else parent.settings.expires_at,
                "forked_from": params.forked_from,
                "parent": parent.id,
                "fork_offset": at,
                "sub_offset": params.sub_offset,
                "begins_at": offset,
            }
            return self._make(Settings.from_json(values), parent, offset, data, closed=params.closed)

    def _parent(self, params: Creation) -> Stream:
        assert params.forked_from is not None
        try:
            parent = self.get(params.forked_from)
        except StreamGone as error:
            raise StreamConflict(str(error)) from None
        if params.content_type is not None and media_type(params.content_type) != parent.media_type:
            raise StreamConflict(
                f"expected {parent.media_type}, the type of the parent, got {params.content_type[:80]!r}"
            )
        return parent

    def type_of(self, params: Creation) -> str:
        """Return the media type of a stream that would be created with these parameters.

        Raises:
            StreamNotFound, StreamConflict: the stream to fork does not exist, or has another type.
        """
        if params.content_type is None and params.forked_from is not None:
            return self._parent(params).media_type
        return media_type(params.content_type)

    def delete(self, name: str) -> None:
        """Delete a stream. Raises what `get` does."""
        self._remove(self.get(name))


def _fork_offset(parent: Stream, params: Creation, tail: int) -> int:
    """Return the offset in the parent at which the fork begins."""
    if params.fork_offset is None:
        return tail
    try:
        at = parse_position(params.fork_offset, tail)
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


def _advance(parent: Stream, at: int, more: int, tail: int) -> int:
    """Return the offset that lies `more` bytes, or messages, behind `at`."""
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


def _expect_same(stream: Stream, params: Creation) -> None:
    """Raise `StreamConflict` unless an existing stream has the requested parameters."""
    settings = stream.settings
    log = stream.open_log()
    closed = log.closed
    log.close()
    inherits = params.content_type is None and params.forked_from is not None
    same = {
        "Content-Type": inherits or media_type(params.content_type) == stream.media_type,
        "Stream-TTL": params.ttl == settings.asked_ttl,
        "Stream-Expires-At": _instant(params.expires_at) == _instant(settings.asked_expires_at),
        "Stream-Closed": params.closed == closed,
        "Stream-Forked-From": params.forked_from == settings.forked_from,
        "Stream-Fork-Offset": params.fork_offset is None
        or _number(params.fork_offset) == settings.fork_offset,
        "Stream-Fork-Sub-Offset": params.sub_offset == settings.sub_offset,
    }
    for header, good in same.items():
        if not good:
            raise StreamConflict(f"the stream {settings.name[:80]!r} exists, with another {header}")


def _instant(text: str | None) -> float | None:
    return None if text is None else parse_seconds(text)


def _number(text: str) -> int:
    return parse_position(text, 2**64)


def expect_boundary(stream: Stream, log: Log, offset: int) -> None:
    """Check that an offset is not within a message, where no reply of the server ever pointed.

    Raises:
        BadOffset: it is within a message.
    """
    if stream.json and offset:
        chunks = log.read(offset - 1, 1, labelled=False).chunks
        if chunks and chunks[0].data not in (b"", b"\n"):
            raise BadOffset(f"expected an offset that a reply named, {offset} is within a message")
