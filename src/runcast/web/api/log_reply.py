"""`GET /runs/{id}/log`: from a request to the stream that answers it.

Owns the first checks: the form, the place to begin, a Range. Errors are reported before the first
byte, as problem+json.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from errno import EACCES, EDQUOT, ENOSPC, EPERM, EROFS
from urllib.parse import urlencode

from runcast.errors import (
    ArtifactAway,
    HostUnreachable,
    MirrorBehind,
    OffsetBeyondTail,
    RuncastError,
    RunElsewhere,
    SegmentAway,
    StoreUnwritable,
)
from runcast.log import Log
from runcast.model import Channel, Reason
from runcast.offsets import parse_offset
from runcast.readers import begin
from runcast.run import Run
from runcast.run.base import files_of
from runcast.web.api.past_end import past_end
from runcast.web.http.messages import Reply, Request, is_known
from runcast.web.http.ranges import is_range, parse_range
from runcast.web.live.log_stream import KEEPALIVE_SECONDS, LogStream, LogView
from runcast.web.live.long_poll import PollStream, away_until
from runcast.web.live.until import until_of
from runcast.web.page import run_page
from runcast.wire import (
    HTML,
    POLL,
    PROBLEM_TYPE,
    START,
    EventId,
    Form,
    Query,
    ResumePoint,
    headers,
    hides,
    negotiate,
    parse_event_id,
    problem,
)
from runcast.wire.query import START_PARAMS

__all__ = ["log_reply", "log_view", "problem_reply"]

_log = logging.getLogger("runcast.web")
_RETRY_SECONDS = "2"  # after which what is away may be here
_FULL, _UNWRITABLE = {ENOSPC, EDQUOT}, {EROFS, EACCES, EPERM}
_WITH_LINES = (Reason.LOST, Reason.FAILED_TO_START)  # outcomes for which a text may have added lines
_OWN_WRITER = ("command", "function", "generator")  # while live, their logs need no check for damage
_OF_ONE_POLL = {"format", *START_PARAMS}  # parameters that the URL of the next poll does not repeat


def problem_reply(error: RuncastError | OSError) -> Reply:
    """Return an error as a reply.

    Raises:
        OSError: any other error than that the store cannot be written to.
    """
    if isinstance(error, OSError) and not isinstance(error, RuncastError):
        if error.errno not in _FULL | _UNWRITABLE:
            raise error
        error = StoreUnwritable((error.strerror or str(error)).lower(), full=error.errno in _FULL)
    if hides(error):  # the reply says that this is in the log
        _log.error("%s: %s", type(error).__name__, error)
    status, body = problem(error)
    fixed = [("Content-Type", PROBLEM_TYPE), ("Cache-Control", "no-store")]
    fixed.append(("X-Content-Type-Options", "nosniff"))
    if isinstance(error, SegmentAway | ArtifactAway):
        comes = isinstance(error, SegmentAway) or error.comes is not None
        fixed.append(("Retry-After", _RETRY_SECONDS))
        return Reply(status, fixed, body, away=error if comes else None)
    if isinstance(error, HostUnreachable):
        fixed.append(("Retry-After", _RETRY_SECONDS))
    return Reply(status, fixed, body)


def log_reply(
    run: Run,
    request: Request,
    *,
    interval: float | None = None,
    page: Callable[[], bytes] | None = None,
    new: bool = False,
) -> Reply:
    """Return the log of a run in the requested form.

    Args:
        run: whose log.
        request: the request.
        interval: the seconds of silence after which a visible line is given; None for never.
        page: returns the page of the run; by default that of a view, which has nothing but the output.
        new: the run has begun just now: it takes the time of its first byte to see that it goes on.

    Raises:
        NotAcceptable: there is no such form.
        UsageError: a parameter is invalid.
        OffsetBeyondTail, OffsetGone: the offset cannot be read.
        SegmentAway: the bytes there are not on this disk; MirrorBehind: nor known to be anywhere. Of a poll
            with `until`, by when it is answered whether they have come or not.
    """
    query = Query.parse(request.parameters)
    form = negotiate(request.header("accept"), query.format)
    if form is HTML:
        return Reply(200, headers(form, live=False), run_page(request.root) if page is None else page())
    last = request.header("last-event-id")
    try:
        return _reply(run, request, query, form, last, interval, new=new)
    except SegmentAway as error:
        if form is POLL:
            error.until = away_until(query, request.arrived)
        if last is None or form.media_type != "text/event-stream" or not isinstance(error, MirrorBehind):
            raise
        # Of any status but 200 an EventSource never recovers; after the end of this one it comes again.
        restart = form.encode(run.id, START, **form.pick()).restart()
        return Reply(200, headers(form, live=True), restart, away=error)


def _reply(
    run: Run,
    request: Request,
    query: Query,
    form: Form,
    last: str | None,
    interval: float | None,
    *,
    new: bool,
) -> Reply:
    """Return the log in a form that is not a page, for a client that had the event id `last`."""
    if last and parse_event_id(last) == EventId(run.id, None):
        return Reply(204, [("Cache-Control", "no-store")])  # the client has the outcome: EventSource stops
    live = query.follow and (new or not run.closed)
    log = None
    if not live or run.request["source"] not in _OWN_WRITER:
        log = run.log()
        _ = log.tail_offset  # a log that cannot be read is an error before the first byte
    if live and (last or query.offset is not None) and (host := run.elsewhere) is not None:
        if _resume_point(run, query, last, form).read_from == run.tail_offset:  # the client has everything
            raise RunElsewhere(run.id, host)
    fields = headers(form, live=live)
    if form is POLL:
        start = _resume_point(run, query, last, form).read_from
        _expect_here(run.log() if files_of(run).is_mirror else log, start)
        return Reply(200, fields, stream=PollStream(run, query, start, _next_poll(run, request)))
    if not form.verbatim:
        view = log_view(run, query, form, last, request, interval, new=new)
        _expect_here(log, view.resume_point.read_from)
        return Reply(200, fields, stream=LogStream(view))
    tag = None if live else _tag(run, query, last, interval)
    if tag is not None:
        fields = [*fields, ("ETag", tag)]
        if is_known(request.header("if-none-match"), tag):
            return Reply(304, [header for header in fields if header[0] != "Content-Type"])
    part = request.header("range") or ""
    if is_range(part) and not query.channels and query.until is None:  # RFC 9110, 14.2
        # 13.1.5: a client with a part of another text gets the whole of this one. A weak tag never
        # matches, nor does a date, since no reply has one.
        if request.header("if-range") in (None, tag):
            return _part(run, form, part, fields)
    view = log_view(run, query, form, last, request, interval, new=new)
    _expect_here(log, view.resume_point.read_from)
    if not live and (size := _size(run, query, view.interval, view.resume_point.read_from)) is not None:
        fields = [*fields, ("Content-Length", str(size))]
    return Reply(200, fields, stream=LogStream(view))


def _expect_here(log: Log | None, offset: int) -> None:
    """Raise `SegmentAway` where a reply could not begin at once; one of a log that grows waits by itself."""
    if log is not None and (away := log.away(offset)) is not None:
        raise away


def _tag(run: Run, query: Query, last_event_id: str | None, interval: float | None) -> str | None:
    """Return the ETag of a text that is a closed log from its start, byte for byte; None for any other."""
    starts = (query.offset, query.tail, query.line, query.since, last_event_id)
    if any(start is not None for start in starts):
        return None
    size = _size(run, query, query.interval or interval, 0)
    return None if size is None else f'"{run.id}-{size}"'


def _next_poll(run: Run, request: Request) -> str:
    """Return the URL of the next poll without its offset, with all other parameters of the request."""
    kept = [(name, value) for name, value in request.parameters if name not in _OF_ONE_POLL]
    return f"{request.root}/runs/{run.id}/log?{urlencode([('format', 'json'), *kept])}"


def _size(run: Run, query: Query, interval: float | None, start: int) -> int | None:
    """Return the length of a reply in text, where it is certain.

    With it a client knows the size and can check that nothing is missing, and the server needs no
    chunked framing, which copies every block.
    """
    outcome = run.outcome
    if outcome is None or outcome.reason in _WITH_LINES or outcome.dropped or outcome.truncated:
        return None  # there may be notices of gaps
    if query.channels or query.end or query.until is not None or interval is not None or not run.closed:
        return None
    return max(run.tail_offset - start, 0)


def log_view(
    run: Run,
    query: Query,
    form: Form,
    last_event_id: str | None,
    request: Request,
    interval: float | None = None,
    *,
    new: bool = False,
) -> LogView:
    """Return the view for a query."""
    silence, partial = query.interval or interval, query.partial and form.partial
    resume_point = _resume_point(run, query, last_event_id, form)
    settings = form.pick(
        named=query.named,
        end=query.end,
        began=_zero(run, resume_point, last_event_id) if "began" in form.settings else 0.0,
        terminal=run.tty is True,  # else stderr is a pipe's, and a terminal's lines end with CR LF anyway
        idle_time_limit=query.idle_time_limit,
    )
    return LogView(
        run,
        # The values that viewers who share encoded bytes have in common.
        (form.name, query.channels, *settings.values(), query.end, silence, request.root, partial),
        lambda resume_point: form.encode(run.id, resume_point, **settings),
        run.to_json,
        resume_point,
        query.channels,
        query.follow,
        interval=silence,
        keepalive=None if form.verbatim else KEEPALIVE_SECONDS,
        kind=form.name,
        trailers=query.end,
        partial=partial,
        last_line=None if query.until is None else until_of(run, query),
        new=new,
    )


def _offset_in(run: Run, log: Log, text: str) -> int:
    try:
        return parse_offset(text, log.tail_offset)
    except OffsetBeyondTail as error:
        offset, tail = error.offset, error.tail
    return past_end(run, log, offset, tail)


def _resume_point(run: Run, query: Query, last_event_id: str | None, form: Form) -> ResumePoint:
    """Return where to begin: `Last-Event-ID` takes precedence over the query."""
    params = (query.offset, query.tail, query.line, query.since, last_event_id)
    if all(param is None for param in params):
        return START
    log = run.log()
    try:
        if last_event_id is not None:
            seen = parse_event_id(last_event_id)
            if seen is not None and seen.run == run.id and seen.resume_point is not None:
                if seen.resume_point.offset > (tail := log.tail_offset):
                    end = past_end(run, log, seen.resume_point.offset, tail)
                    return ResumePoint(end, at=seen.resume_point.at, resumed=True)
                return seen.resume_point._replace(resumed=True)
        offset = None if query.offset is None else _offset_in(run, log, query.offset)
        start = begin(
            log, offset=offset, tail=query.tail, line=query.line, since=query.since, channels=query.channels
        )
        resumed = form.verbatim and offset and query.offset != "now"
        return ResumePoint(start, fresh=not resumed or _ends_line(log, start, query.channels))
    finally:
        log.close()


def _zero(run: Run, resume_point: ResumePoint, last_event_id: str | None) -> float:
    """Return the time that is zero in a recording: of the place where it begins, not of the run."""
    seen = parse_event_id(last_event_id or "")
    if seen is not None and seen.run == run.id and seen.zero is not None:
        return seen.zero / 1e6
    if not resume_point.read_from:
        return run.created_at
    log = run.log()
    try:
        reading = log.read(resume_point.read_from, 1)
        if reading.chunks and reading.chunks[0].channel is Channel.GAP:
            reading = log.read(reading.next, 1)
    finally:
        log.close()
    if reading.chunks:
        return round(reading.chunks[0].time or run.created_at, 6)
    return round(time.time() if run.outcome is None else run.outcome.ended_at, 6)


def _ends_line(log: Log, offset: int, channels: frozenset[Channel] | None) -> bool:
    """Return whether the bytes before an offset end with a line feed."""
    before = log.read(offset - 1, 1, channels, labelled=False).chunks
    return not before or before[0].data in (b"", b"\n")


def _part(run: Run, form: Form, header: str, fields: list[tuple[str, str]]) -> Reply:
    """Answer a Range (RFC 9110, section 14); for a live log, with the present bytes.

    Raises:
        UsageError: the header is invalid.
        OffsetGone: bytes of the range were dropped.
    """
    log = run.log()
    try:
        tail = log.tail_offset
        total = str(tail) if log.closed else "*"
        start, end = parse_range(header, tail)
        if start < end:
            log.check_offset(start, end)
            _expect_here(log, start)
    finally:
        log.close()
    if start >= end:
        reply = problem_reply(OffsetBeyondTail(start, tail))
        return Reply(416, [*reply.headers, ("Content-Range", f"bytes */{tail}")], reply.body)
    view = LogView(
        run,
        (form.name, "part"),
        lambda resume_point: form.encode(run.id, resume_point),
        run.to_json,
        ResumePoint(start),
        follow=False,
        until=end,
    )
    length = [("Content-Range", f"bytes {start}-{end - 1}/{total}"), ("Content-Length", str(end - start))]
    return Reply(206, [*fields, *length], stream=LogStream(view))
