"""Reads of a stream: catch-up, long-poll and events.

Owns the order of checks: the close, then the bytes, then the tail, so that a reply never claims "closed"
or "up to date" too early; and what caches may do with a reply. The status of a long-poll is known only at its
end, so it is a generator of steps that yields a reply; events are a `ResponseStream` (events.py), like every
live reply. Where the replies end that caches share is in waypoints.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from runcast.errors import OffsetBeyondTail
from runcast.log import Log
from runcast.offsets import format_offset
from runcast.readers import Steps, Wait, fetched, hub
from runcast.web.api.durable.events import events_reply
from runcast.web.api.durable.look import Slice, look
from runcast.web.api.durable.source import Source
from runcast.web.api.durable.waypoints import (
    COARSE_BYTES,
    FINE_BYTES,
    catch_up_end,
    last_waypoint,
    next_waypoint,
    settled,
)
from runcast.web.http.messages import Reply, is_known
from runcast.wire.durable import JSON, ReadParams, parse_position
from runcast.wire.durable_json import array_of
from runcast.wire.durable_live import cursor_after, waited_until

__all__ = ["MOMENT", "POLL_SECONDS", "READ_BYTES", "Later", "Sharing", "head_reply", "read_reply"]

READ_BYTES = COARSE_BYTES  # in one reply; for more, a client repeats the request
POLL_SECONDS = 20.0  # a long-poll without output: shorter than the timeouts of proxies
_LOOK_SECONDS = 1.0  # between checks that the writer is alive
_GATHER_SECONDS = (
    0.01  # between looks at what has come, so that a fast run does not wake a poll for each line
)
_FRESH = "max-age=60, stale-while-revalidate=300"
# Shared caches may keep the position of the tail for a second, so that they merge simultaneous
# requests; a browser revalidates each time.
MOMENT = "public, max-age=0, s-maxage=1"
_FOREVER = "max-age=31536000, immutable"

Headers = list[tuple[str, str]]


class Sharing(NamedTuple):
    """What readers have in common.

    Attributes:
        public: all of them get the same replies, so that caches may share these.
        gathers: a cache is there that does; only then live replies wait for more, and end at waypoints.
    """

    public: bool = False
    gathers: bool = False


class Later:
    """A reply that must be waited for. Its steps never block; `stopping` ends them at the next step."""

    def __init__(
        self, source: Source, params: ReadParams, start: int, sharing: Sharing, seconds: float
    ) -> None:
        self._source, self._asked, self._start = source, params, start
        self._sharing = sharing
        self._until = time.monotonic() + seconds
        self._due: float | None = None  # when what has come is sent, whatever else comes
        self._json = source.media_type == JSON
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
                now = time.monotonic()
                if part.next != self._start and not part.closed and self._sharing.gathers:
                    part, wait = yield from fetched(log, self._to_waypoint(log, part), lambda: self.stopping)
                    left = self._due = now + wait if self._due is None else self._due
                    left -= now
                    done = not wait
                else:
                    left, done = self._until - now, part.next != self._start or part.ended
                if done or left <= 0 or self.stopping:
                    break
                self._source.want(part.next)
                yield Wait(seen, min(left, _LOOK_SECONDS))
                if part.next != self._start and not self.stopping:
                    yield Wait((), min(left, _GATHER_SECONDS))
                woken = True
            self._source.touch()
            yield _whole_reply(self._source, log, self._asked, part, self._sharing.public)
        finally:
            watch.close()
            log.close()

    def _look_at(self, log: Log) -> Callable[[], Slice]:
        def take() -> Slice:
            if not self._sharing.public:
                return look(log, self._start, READ_BYTES, json=self._json)
            closed = log.closed
            if self._sharing.gathers and not closed:
                return look(log, self._start, FINE_BYTES, json=self._json)
            end = catch_up_end(self._start, log.tail_offset, closed=closed)
            return look(log, self._start, end - self._start, json=self._json)

        return take

    def _to_waypoint(self, log: Log, part: Slice) -> Callable[[], tuple[Slice, float]]:
        """Return a function for the part up to the next waypoint, and in how many seconds it is there."""

        def reach() -> tuple[Slice, float]:
            end, wait = next_waypoint(log, self._start)
            if wait:
                return part, wait
            there = look(log, self._start, end - self._start, json=self._json)
            return there._replace(tail=last_waypoint(log)), 0.0

        return reach


def read_reply(
    source: Source,
    params: ReadParams,
    match: str | None,
    *,
    sharing: Sharing,
    poll_seconds: float = POLL_SECONDS,
) -> Reply | Later:
    """Answer a GET, or return a `Later` to wait for.

    Raises:
        BadOffset, OffsetBeyondTail, OffsetGone: the offset cannot be read.
    """
    log = source.open_log()
    try:
        closed, tail = log.closed, log.tail_offset
        complete = settled(log, time.time()) if sharing.gathers else tail
        if params.offset == "now":
            start = complete
        else:
            try:
                start = parse_position(params.offset if params.offset is not None else "-1", tail)
            except OffsetBeyondTail as error:
                start = source.past_end(log, error.offset, error.tail)
        source.expect_boundary(log, start)
        source.touch()
        if params.live == "sse":
            return events_reply(source, params, start, shared=sharing.public)
        if params.live is not None:
            return Later(source, params, start, sharing, poll_seconds)
        limit = 0 if params.offset == "now" else READ_BYTES
        if limit and sharing.public:
            limit = catch_up_end(start, complete, closed=closed) - start
        part = look(log, start, limit, json=source.media_type == JSON)
        if sharing.gathers and not part.closed:
            part = part._replace(tail=complete)
        reply = _whole_reply(source, log, params, part, sharing.public)
    finally:
        log.close()
    if match is not None and _matches(match, reply.headers):
        kept = [(name, value) for name, value in reply.headers if name != "Content-Type"]
        return Reply(304, kept)
    return reply


def _matches(match: str, headers: Iterable[tuple[str, str]]) -> bool:
    return any(name == "ETag" and is_known(match, value) for name, value in headers)


def _whole_reply(source: Source, log: Log, params: ReadParams, part: Slice, public: bool) -> Reply:
    waited = params.live is not None and part.next == part.start
    reached = waited_until(time.time()) if waited else log.time_before(part.next)
    headers: Headers = [
        ("Stream-Next-Offset", format_offset(part.next)),
        ("Stream-Cursor", str(cursor_after(params.cursor, reached))),
        ("Cache-Control", _caching(source, params, part, public)),
    ]
    if part.up_to_date:
        headers.append(("Stream-Up-To-Date", "true"))
    if part.ended:
        headers.append(("Stream-Closed", "true"))
    if waited:
        return Reply(204, headers)
    headers.append(("Content-Type", source.content_type))
    if params.offset != "now" or params.live is not None:
        end = ":c" if part.ended else ""
        headers.append(("ETag", f'"{source.id}:{part.start}:{part.next}{end}"'))
    return Reply(200, headers, array_of(part.data) if source.media_type == JSON else part.data)


def _caching(source: Source, params: ReadParams, part: Slice, public: bool) -> str:
    """Return how long a reply may be cached: bytes at an offset never change, but the tail does."""
    scope = "public" if public else "private"
    if params.offset == "now":  # an answer to anybody else only if that one asks at once, too
        return MOMENT if public and params.live is not None else "no-store"
    if params.live is not None and part.next == part.start and not (public and part.ended):
        return MOMENT if public else "no-store"
    if params.live is None and part.up_to_date and not part.closed:
        return MOMENT if public else "private, no-cache"
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
