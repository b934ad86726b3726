"""Reading: what there is, what comes next (long-poll), all that comes (events).

Owns the order of looking: closed? then the bytes, then the tail, so that "closed" and "up to
date" are never said too early. A long-poll's status is known only when it ends, so it is steps
that end in a reply; events are a `Viewing`, fed like every live reply of ours.
"""

from __future__ import annotations

import time
from collections.abc import Hashable, Iterable
from typing import NamedTuple

from runcast.errors import OffsetGone
from runcast.log import Log
from runcast.model import CHUNK_BYTES, Channel, format_offset
from runcast.readers import Steps, Wait, hub
from runcast.web.durable.source import Source
from runcast.web.http import Reply, is_known
from runcast.web.streams import CUT_SHORT, Viewing
from runcast.wire.durable import JSON, Reading, parse_position
from runcast.wire.durable_json import array_of, whole_messages
from runcast.wire.durable_live import control_event, cursor_after, data_event, sayable

__all__ = ["POLL_SECONDS", "READ_BYTES", "Later", "head_reply", "read_reply"]

READ_BYTES = 4 * 1024 * 1024  # in one reply; whoever wants more comes again
POLL_SECONDS = 20.0  # a long-poll without news: shorter than what proxies cut
_LOOK_SECONDS = 1.0  # how often is asked whether the writer still lives
_BEAT_SECONDS = 15.0  # events: how long a reader may hear nothing
_EVENTS_SECONDS = 60.0  # then a reader comes again: so that caches can gather them
_FRESH = "max-age=60, stale-while-revalidate=300"
# Shared caches may say for a second where the tail is, so that of many who ask at once one asks us;
# a browser asks each time.
_MOMENT = "public, max-age=0, s-maxage=1"
_FOREVER = "max-age=31536000, immutable"

Headers = list[tuple[str, str]]


class Part(NamedTuple):
    """What one look at a log brought."""

    data: bytes
    start: int
    next: int
    tail: int
    closed: bool

    @property
    def up_to_date(self) -> bool:
        """Whether it reaches to the tail."""
        return self.next >= self.tail

    @property
    def ended(self) -> bool:
        """Whether nothing will ever come behind it."""
        return self.closed and self.up_to_date


class Later:
    """A reply that must be waited for. Steps never wait; `stopping` has them end at the next chance."""

    def __init__(self, source: Source, asked: Reading, start: int, public: bool, seconds: float) -> None:
        self._source, self._asked, self._start = source, asked, start
        self._public = public
        self._until = time.monotonic() + seconds
        self.stopping = False

    def steps(self) -> Steps[Reply]:
        """Wait for bytes behind the offset, or the end, and give the reply."""
        log = self._source.open_log()
        watch = hub().watch(log)
        try:
            woken = False
            while True:
                seen = [(watch, watch.version)]
                if woken:
                    self._source.settle()
                part = look(log, self._start, READ_BYTES, json=self._source.media_type == JSON)
                left = self._until - time.monotonic()
                if part.next != self._start or part.ended or left <= 0 or self.stopping:
                    break
                self._source.want(self._start)
                yield Wait(seen, min(left, _LOOK_SECONDS))
                woken = True
            self._source.touch()
            yield _whole_reply(self._source, self._asked, part, self._public)
        finally:
            watch.close()
            log.close()


def look(log: Log, start: int, limit: int, *, json: bool = False) -> Part:
    """Read what there is from an offset on; in JSON mode whole messages, also one beyond the limit.

    Raises:
        OffsetGone: the bytes there were dropped.
    """
    closed = log.closed
    parts: list[bytes] = []
    offset, room = start, limit
    while True:
        reading = log.read(offset, room, labelled=False) if room > 0 else None
        if reading is None or reading.next == offset:
            break
        chunk = reading.chunks[0]
        if chunk.channel is Channel.GAP:
            if not parts:
                raise OffsetGone(chunk.offset, chunk.next)
            break
        parts.append(chunk.data)
        offset = reading.next
        room -= len(chunk.data)
        if room <= 0 and json and not any(b"\n" in part for part in parts):
            room = CHUNK_BYTES
    data = parts[0] if len(parts) == 1 else b"".join(parts)
    if json and (whole := whole_messages(data)) < len(data):
        data, offset = data[:whole], start + whole
    return Part(data, start, offset, log.tail_offset, closed)


def read_reply(
    source: Source, asked: Reading, match: str | None, *, public: bool, poll_seconds: float = POLL_SECONDS
) -> Reply | Later:
    """Answer a GET, or say what must be waited for.

    Raises:
        BadOffset, OffsetBeyondTail, OffsetGone: the place cannot be read.
    """
    log = source.open_log()
    try:
        tail = log.tail_offset
        start = parse_position(asked.offset if asked.offset is not None else "-1", tail)
        source.expect_boundary(log, start)
        source.touch()
        if asked.live == "sse":
            return _events(source, asked, start)
        if asked.live is not None:
            return Later(source, asked, start, public, poll_seconds)
        limit = 0 if asked.offset == "now" else READ_BYTES
        part = look(log, start, limit, json=source.media_type == JSON)
    finally:
        log.close()
    reply = _whole_reply(source, asked, part, public)
    if match is not None and _matches(match, reply.headers):
        kept = [(name, value) for name, value in reply.headers if name != "Content-Type"]
        return Reply(304, kept)
    return reply


def _matches(match: str, headers: Iterable[tuple[str, str]]) -> bool:
    return any(name == "ETag" and is_known(match, value) for name, value in headers)


def _whole_reply(source: Source, asked: Reading, part: Part, public: bool) -> Reply:
    cursor = str(cursor_after(asked.cursor, time.time()))
    told: Headers = [("Stream-Next-Offset", format_offset(part.next))]
    if part.up_to_date:
        told.append(("Stream-Up-To-Date", "true"))
    if part.ended:
        told.append(("Stream-Closed", "true"))
    if asked.live is not None and part.next == part.start:
        told += [("Cache-Control", _MOMENT if public else "no-store"), ("Stream-Cursor", cursor)]
        return Reply(204, told)
    told += [("Content-Type", source.content_type), ("Stream-Cursor", cursor)]
    if asked.offset == "now" and asked.live is None:
        told.append(("Cache-Control", "no-store"))
    else:
        end = ":c" if part.ended else ""
        told.append(("ETag", f'"{source.id}:{part.start}:{part.next}{end}"'))
        told.append(("Cache-Control", _caching(source, asked, part, public)))
    return Reply(200, told, array_of(part.data) if source.media_type == JSON else part.data)


def _caching(source: Source, asked: Reading, part: Part, public: bool) -> str:
    """Say how long a reply may be kept: bytes at an offset never change, where the tail is does."""
    who = "public" if public else "private"
    if asked.live is None and part.up_to_date and not part.closed:
        return _MOMENT if public else "private, no-cache"
    if source.immutable and asked.live is None and asked.offset is not None:
        return f"{who}, {_FOREVER}"
    return f"{who}, {_FRESH}"


def head_reply(source: Source) -> Reply:
    """Answer a HEAD: what there is to know, never from a cache."""
    log = source.open_log()
    try:
        closed, tail = log.closed, log.tail_offset
    finally:
        log.close()
    told: Headers = [
        ("Content-Type", source.content_type),
        ("Stream-Next-Offset", format_offset(tail)),
        ("Cache-Control", "no-store"),
        ("ETag", f'"{source.id}:0:{tail}{":c" if closed else ""}"'),
        *source.lifetime,
    ]
    if closed:
        told.append(("Stream-Closed", "true"))
    return Reply(200, told)


def _events(source: Source, asked: Reading, start: int) -> Reply:
    told: Headers = [
        ("Content-Type", "text/event-stream"),
        ("Cache-Control", "no-cache, no-transform"),
        ("X-Accel-Buffering", "no"),
    ]
    if not (source.media_type == JSON or source.media_type.startswith("text/")):
        told.append(("Stream-SSE-Data-Encoding", "base64"))
    now = time.time()
    cursor = cursor_after(asked.cursor, now)
    ahead = cursor if cursor > cursor_after(None, now) else None
    return Reply(200, told, stream=_Events(source, start, ahead))


class _Events(Viewing):
    """A reader's way through a stream, as events."""

    kind = "events"

    def __init__(self, source: Source, offset: int, ahead: int | None) -> None:
        self._source = source
        self.offset = offset
        self._ahead = ahead  # a cursor of its own, for it has seen a later one than the others
        self.form: Hashable = ("durable", source.key)
        self._until = time.monotonic() + _EVENTS_SECONDS

    @property
    def place(self) -> Hashable:
        """Where it is: those with a cursor of their own are fed by themselves."""
        return self.offset, self._ahead

    def copy(self) -> _Events:
        """Return the viewing of another reader at the same place."""
        return _Events(self._source, self.offset, self._ahead)

    def _cursor(self) -> int:
        return max(cursor_after(None, time.time()), self._ahead or 0)

    def _control(self, part: Part) -> bytes:
        return control_event(part.next, self._cursor(), up_to_date=part.up_to_date, closed=part.ended)

    def steps(self, *, begin: bool = True) -> Steps[bytes]:
        """Give events until the stream is closed, or a minute is over."""
        source = self._source
        log = source.open_log()
        watch = hub().watch(log)
        told = time.monotonic()
        news, woken = begin, False
        try:
            while not self.stopping and time.monotonic() < self._until:
                seen = [(watch, watch.version)]
                if woken:
                    source.settle()
                part = self._part(log)
                if part.data or news or part.ended:
                    said = data_event(part.data, source.media_type) if part.data else b""
                    self.offset, news = part.next, False
                    source.touch()
                    yield said + self._control(part)
                    told, woken = time.monotonic(), False
                    if part.ended:
                        break
                    continue
                if time.monotonic() - told >= _BEAT_SECONDS:
                    news = True
                    continue
                source.want(self.offset)
                yield Wait(seen, _LOOK_SECONDS)
                woken = True
            self.finished = True
        except CUT_SHORT:
            self.finished = True  # whoever comes again is told
        finally:
            watch.close()
            log.close()

    def _part(self, log: Log) -> Part:
        part = look(log, self.offset, CHUNK_BYTES, json=self._source.media_type == JSON)
        size = sayable(part.data, self._source.media_type, final=part.ended)
        if size == len(part.data):
            return part
        return part._replace(data=part.data[:size], next=part.start + size)
