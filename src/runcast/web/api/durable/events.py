"""A stream as events, until the stream is closed or a minute is over.

Owns when a reader is sent away to come back, and where: readers of what caches share end together, at one
offset and with one cursor, so that they come back with one URL.
"""

from __future__ import annotations

import time
from collections.abc import Hashable

from runcast.errors import SegmentAway
from runcast.log import Log
from runcast.log.fetch import Fetch
from runcast.model import CHUNK_BYTES
from runcast.readers import Steps, Wait, hub
from runcast.web.api.durable.look import Slice, look
from runcast.web.api.durable.source import Source
from runcast.web.api.durable.waypoints import common_end, present_second
from runcast.web.http.messages import Reply
from runcast.web.http.response_stream import DURABLE, ResponseStream
from runcast.web.live.log_stream import CUT_SHORT
from runcast.wire.durable import JSON, ReadParams
from runcast.wire.durable_live import control_event, cursor_after, data_event, sendable_bytes

__all__ = ["events_reply"]

_LOOK_SECONDS = 1.0  # between checks that the writer is alive
_HEARTBEAT_SECONDS = 15.0  # the longest silence
_EVENTS_SECONDS = 60.0  # after which a reader reconnects, so that caches can merge requests
# For caches that collapse while they stream (RFC 9213): the protocol has clients see `no-cache`. The URL says
# where it begins, so it is right for as long as it is kept; that of `now` does not.
_SHARED, _SHARED_NOW = "public, max-age=60", "public, max-age=1"

Headers = list[tuple[str, str]]


def events_reply(source: Source, params: ReadParams, start: int, *, shared: bool) -> Reply:
    """Answer with events.

    Args:
        source: what is read.
        params: the parameters of the request.
        start: the offset to begin at.
        shared: caches may share the reply, so it ends with those of others.
    """
    headers: Headers = [
        ("Content-Type", "text/event-stream"),
        ("Cache-Control", "no-cache, no-transform"),
        ("X-Accel-Buffering", "no"),
    ]
    if shared:
        headers.append(("CDN-Cache-Control", _SHARED_NOW if params.offset == "now" else _SHARED))
    if not (source.media_type == JSON or source.media_type.startswith("text/")):
        headers.append(("Stream-SSE-Data-Encoding", "base64"))
    now = time.time()
    cursor = cursor_after(params.cursor, now)
    ahead = cursor if cursor > cursor_after(None, now) else None
    return Reply(200, headers, stream=_Events(source, start, ahead, common_end(now) if shared else None))


class _Events(ResponseStream):
    """A reader's way through a stream, as events.

    Args:
        source: what is read.
        offset: where to begin.
        ahead: the reader's own cursor, if it has seen a later one than the others.
        end: when it ends, with a second of the log, in seconds since the epoch; None for a minute from now.
    """

    kind = f"{DURABLE}sse"

    def __init__(self, source: Source, offset: int, ahead: int | None, end: float | None) -> None:
        self._source = source
        self.offset = offset
        self._ahead, self._end = ahead, end
        self._last_second: float | None = None  # of the log: what is of a later one is not sent
        self.form: Hashable = ("durable", source.key)
        lasts = _EVENTS_SECONDS if end is None else end - time.time()
        self._until = time.monotonic() + lasts

    @property
    def position(self) -> Hashable:
        """Its position: readers with a cursor of their own are fed separately."""
        return self.offset, self._ahead

    def copy(self) -> _Events:
        """Return the stream of another reader at the same position."""
        return _Events(self._source, self.offset, self._ahead, self._end)

    def _control(self, part: Slice) -> bytes:
        """Return the event with the offset; the last one has the same cursor for all, and a new one."""
        now = time.time()
        if self._end is not None:
            now = min(now, self._end) if self._last_second is None else self._end
        cursor = max(cursor_after(None, now), self._ahead or 0)
        return control_event(part.next, cursor, up_to_date=part.up_to_date, closed=part.ended)

    def steps(self, *, begin: bool = True) -> Steps[bytes]:
        """Yield events until the stream is closed, or its time is over."""
        source = self._source
        log = source.open_log()
        watch = hub().watch(log)
        fetch, sent_at = Fetch(log, follows=True), time.monotonic()
        news, woken = begin, False
        try:
            while not self.stopping:
                seen = [(watch, watch.version)]
                if woken:
                    source.settle()
                left = self._until - time.monotonic()
                if left <= 0 and self._end is not None and self._last_second is None:
                    self._last_second, left = present_second(log)
                    self._until = time.monotonic() + left
                if left <= 0 and (self._end is None or log.away(self.offset)):
                    break
                try:
                    part = self._part(log)
                except SegmentAway as away:
                    yield Wait(seen, fetch.ask(away), away=True)
                    continue
                over = left <= 0 and not part.data
                if part.data or news or part.ended or over:
                    payload = data_event(part.data, source.media_type) if part.data else b""
                    self.offset, news = part.next, False
                    source.touch()
                    yield payload + self._control(part)
                    sent_at, woken = time.monotonic(), False
                    if part.ended or over:
                        break
                    continue
                if time.monotonic() - sent_at >= _HEARTBEAT_SECONDS:
                    news = True
                    continue
                source.want(self.offset)
                yield Wait(seen, min(_LOOK_SECONDS, left))
                woken = True
            self.finished = True
        except CUT_SHORT:
            self.finished = True  # the next request gets the error
        finally:
            watch.close()
            log.close()

    def _part(self, log: Log) -> Slice:
        """Return what to send next."""
        limit = CHUNK_BYTES
        if self._last_second is not None:
            limit = min(limit, max(log.offset_of_time(self._last_second) - self.offset, 0))
        part = look(log, self.offset, limit, json=self._source.media_type == JSON)
        size = sendable_bytes(part.data, self._source.media_type, final=part.ended)
        if size == len(part.data):
            return part
        return part._replace(data=part.data[:size], next=part.start + size)
