"""Reads of a stream: catch-up, long-poll and events.

Owns the order of checks: the close, then the bytes, then the tail, so that a reply never claims "closed"
or "up to date" too early. The status of a long-poll is known only at its end, so it is a generator of
steps that yields a reply; events are a `ResponseStream`, like every live reply.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterable
from typing import NamedTuple

from runcast.errors import OffsetBeyondTail, OffsetGone, SegmentAway
from runcast.log import Log
from runcast.log.fetch import Fetch
from runcast.model import CHUNK_BYTES, Channel
from runcast.offsets import format_offset
from runcast.readers import Steps, Wait, fetched, hub
from runcast.web.api.durable.source import Source
from runcast.web.http.messages import Reply, is_known
from runcast.web.http.response_stream import DURABLE, ResponseStream
from runcast.web.live.log_stream import CUT_SHORT
from runcast.wire.durable import JSON, ReadParams, parse_position
from runcast.wire.durable_json import array_of, whole_messages
from runcast.wire.durable_live import control_event, cursor_after, data_event, sendable_bytes

__all__ = ["POLL_SECONDS", "READ_BYTES", "Later", "head_reply", "read_reply"]

READ_BYTES = 4 * 1024 * 1024  # in one reply; for more, a client repeats the request
POLL_SECONDS = 20.0  # a long-poll without output: shorter than the timeouts of proxies
_LOOK_SECONDS = 1.0  # between checks that the writer is alive
_HEARTBEAT_SECONDS = 15.0  # events: the longest silence
_EVENTS_SECONDS = 60.0  # after which a reader reconnects, so that caches can merge requests
_FRESH = "max-age=60, stale-while-revalidate=300"
# Shared caches may keep the position of the tail for a second, so that they merge simultaneous
# requests; a browser revalidates each time.
_MOMENT = "public, max-age=0, s-maxage=1"
_FOREVER = "max-age=31536000, immutable"

Headers = list[tuple[str, str]]


class Slice(NamedTuple):
    """The result of one read of a log."""

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
        """Whether it ends at the tail of a closed log."""
        return self.closed and self.up_to_date


class Later:
    """A reply that must be waited for. Its steps never block; `stopping` ends them at the next step."""

    def __init__(self, source: Source, params: ReadParams, start: int, public: bool, seconds: float) -> None:
        self._source, self._asked, self._start = source, params, start
        self._public = public
        self._until = time.monotonic() + seconds
        self.stopping = False

    def steps(self) -> Steps[Reply]:
        """Wait for bytes behind the offset, or the end, and yield the reply."""
        log = self._source.open_log()
        watch = hub().watch(log)
        try:
            woken = False
            while True:
                seen = [(watch, watch.version)]
                if woken:
                    self._source.settle()
                part = yield from fetched(log, self._look_at(log), lambda: self.stopping)
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

    def _look_at(self, log: Log) -> Callable[[], Slice]:
        return lambda: look(log, self._start, READ_BYTES, json=self._source.media_type == JSON)


def look(log: Log, start: int, limit: int, *, json: bool = False) -> Slice:
    """Read the bytes from an offset on; in JSON mode whole messages, even one beyond the limit.

    Raises:
        OffsetGone: the bytes there were dropped.
        SegmentAway: they are not on this disk.
    """
    closed = log.closed
    parts: list[bytes] = []
    offset, room = start, limit
    while True:
        try:
            reading = log.read(offset, room, labelled=False) if room > 0 else None
        except SegmentAway:
            if not parts:
                raise
            break
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
    return Slice(data, start, offset, log.tail_offset, closed)


def read_reply(
    source: Source, params: ReadParams, match: str | None, *, public: bool, poll_seconds: float = POLL_SECONDS
) -> Reply | Later:
    """Answer a GET, or return a `Later` to wait for.

    Raises:
        BadOffset, OffsetBeyondTail, OffsetGone: the offset cannot be read.
    """
    log = source.open_log()
    try:
        tail = log.tail_offset
        try:
            start = parse_position(params.offset if params.offset is not None else "-1", tail)
        except OffsetBeyondTail as error:
            raise log.beyond(error.offset, error.tail) from None
        source.expect_boundary(log, start)
        source.touch()
        if params.live == "sse":
            return _events(source, params, start)
        if params.live is not None:
            return Later(source, params, start, public, poll_seconds)
        limit = 0 if params.offset == "now" else READ_BYTES
        part = look(log, start, limit, json=source.media_type == JSON)
    finally:
        log.close()
    reply = _whole_reply(source, params, part, public)
    if match is not None and _matches(match, reply.headers):
        kept = [(name, value) for name, value in reply.headers if name != "Content-Type"]
        return Reply(304, kept)
    return reply


def _matches(match: str, headers: Iterable[tuple[str, str]]) -> bool:
    return any(name == "ETag" and is_known(match, value) for name, value in headers)


def _whole_reply(source: Source, params: ReadParams, part: Slice, public: bool) -> Reply:
    cursor = str(cursor_after(params.cursor, time.time()))
    headers: Headers = [("Stream-Next-Offset", format_offset(part.next))]
    if part.up_to_date:
        headers.append(("Stream-Up-To-Date", "true"))
    if part.ended:
        headers.append(("Stream-Closed", "true"))
    if params.live is not None and part.next == part.start:
        headers += [("Cache-Control", _MOMENT if public else "no-store"), ("Stream-Cursor", cursor)]
        return Reply(204, headers)
    headers += [("Content-Type", source.content_type), ("Stream-Cursor", cursor)]
    if params.offset == "now" and params.live is None:
        headers.append(("Cache-Control", "no-store"))
    else:
        end = ":c" if part.ended else ""
        headers.append(("ETag", f'"{source.id}:{part.start}:{part.next}{end}"'))
        headers.append(("Cache-Control", _caching(source, params, part, public)))
    return Reply(200, headers, array_of(part.data) if source.media_type == JSON else part.data)


def _caching(source: Source, params: ReadParams, part: Slice, public: bool) -> str:
    """Return how long a reply may be cached: bytes at an offset never change, but the tail does."""
    scope = "public" if public else "private"
    if params.live is None and part.up_to_date and not part.closed:
        return _MOMENT if public else "private, no-cache"
    if source.immutable and params.live is None and params.offset is not None:
        return f"{scope}, {_FOREVER}"
    return f"{scope}, {_FRESH}"


def head_reply(source: Source) -> Reply:
    """Answer a HEAD, which is never cached."""
    log = source.open_log()
    try:
        closed, tail = log.closed, log.tail_offset
    finally:
        log.close()
    headers: Headers = [
        ("Content-Type", source.content_type),
        ("Stream-Next-Offset", format_offset(tail)),
        ("Cache-Control", "no-store"),
        ("ETag", f'"{source.id}:0:{tail}{":c" if closed else ""}"'),
        *source.lifetime,
    ]
    if closed:
        headers.append(("Stream-Closed", "true"))
    return Reply(200, headers)


def _events(source: Source, params: ReadParams, start: int) -> Reply:
    headers: Headers = [
        ("Content-Type", "text/event-stream"),
        ("Cache-Control", "no-cache, no-transform"),
        ("X-Accel-Buffering", "no"),
    ]
    if not (source.media_type == JSON or source.media_type.startswith("text/")):
        headers.append(("Stream-SSE-Data-Encoding", "base64"))
    now = time.time()
    cursor = cursor_after(params.cursor, now)
    ahead = cursor if cursor > cursor_after(None, now) else None
    return Reply(200, headers, stream=_Events(source, start, ahead))


class _Events(ResponseStream):
    """A reader's way through a stream, as events."""

    kind = f"{DURABLE}sse"

    def __init__(self, source: Source, offset: int, ahead: int | None) -> None:
        self._source = source
        self.offset = offset
        self._ahead = ahead  # the reader's own cursor, if it has seen a later one than the others
        self.form: Hashable = ("durable", source.key)
        self._until = time.monotonic() + _EVENTS_SECONDS

    @property
    def position(self) -> Hashable:
        """Its position: readers with a cursor of their own are fed separately."""
        return self.offset, self._ahead

    def copy(self) -> _Events:
        """Return the stream of another reader at the same position."""
        return _Events(self._source, self.offset, self._ahead)

    def _cursor(self) -> int:
        return max(cursor_after(None, time.time()), self._ahead or 0)

    def _control(self, part: Slice) -> bytes:
        return control_event(part.next, self._cursor(), up_to_date=part.up_to_date, closed=part.ended)

    def steps(self, *, begin: bool = True) -> Steps[bytes]:
        """Yield events until the stream is closed, or a minute is over."""
        source = self._source
        log = source.open_log()
        watch = hub().watch(log)
        fetch, sent_at = Fetch(log, follows=True), time.monotonic()
        news, woken = begin, False
        try:
            while not self.stopping and time.monotonic() < self._until:
                seen = [(watch, watch.version)]
                if woken:
                    source.settle()
                try:
                    part = self._part(log)
                except SegmentAway as away:
                    yield Wait(seen, fetch.ask(away), away=True)
                    continue
                if part.data or news or part.ended:
                    payload = data_event(part.data, source.media_type) if part.data else b""
                    self.offset, news = part.next, False
                    source.touch()
                    yield payload + self._control(part)
                    sent_at, woken = time.monotonic(), False
                    if part.ended:
                        break
                    continue
                if time.monotonic() - sent_at >= _HEARTBEAT_SECONDS:
                    news = True
                    continue
                source.want(self.offset)
                yield Wait(seen, _LOOK_SECONDS)
                woken = True
            self.finished = True
        except CUT_SHORT:
            self.finished = True  # the next request gets the error
        finally:
            watch.close()
            log.close()

    def _part(self, log: Log) -> Slice:
        part = look(log, self.offset, CHUNK_BYTES, json=self._source.media_type == JSON)
        size = sendable_bytes(part.data, self._source.media_type, final=part.ended)
        if size == len(part.data):
            return part
        return part._replace(data=part.data[:size], next=part.start + size)
