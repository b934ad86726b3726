"""`GET /runs/{id}/log`: from a request to the stream that answers it.

Owns what is looked at first: the form, the place to begin, a part that is asked for. Errors are
told before the first byte, as problem+json.
"""

from __future__ import annotations

import re
from errno import EACCES, EDQUOT, ENOSPC, EPERM, EROFS
from urllib.parse import urlencode

from runcast.errors import OffsetBeyondTail, RuncastError, RunElsewhere, StoreUnwritable, UsageError
from runcast.log import Log
from runcast.model import Channel, Reason, parse_offset
from runcast.readers import begin
from runcast.run import Run
from runcast.web.http import Reply, Request, is_known
from runcast.web.page import run_page
from runcast.web.polls import PollViewing
from runcast.web.streams import LogViewing, Stream
from runcast.wire import (
    PROBLEM_TYPE,
    START,
    Format,
    Place,
    Query,
    encoder,
    headers,
    negotiate,
    parse_event_id,
    problem,
)
from runcast.wire.query import PLACES

__all__ = ["log_reply", "log_stream", "problem_reply"]

_KINDS = {
    Format.TEXT: "text",
    Format.SSE: "events",
    Format.SSE_JSON: "chunks",
    Format.NDJSON: "ndjson",
    Format.WS: "websocket",
    Format.ASCIICAST: "asciicast",
}
_FULL, _UNWRITABLE = {ENOSPC, EDQUOT}, {EROFS, EACCES, EPERM}
_RANGE = re.compile(r"bytes=([0-9]{0,20})-([0-9]{0,20})", re.I)
_OWN_WRITER = ("command", "function", "generator")  # of a live one the log was just made: no need to look
_OF_ONE_POLL = {"format", *PLACES}  # what the next poll has otherwise


def problem_reply(error: RuncastError | OSError) -> Reply:
    """Return an error as a reply.

    Raises:
        OSError: it is one, and does not say that the store cannot be written to.
    """
    if isinstance(error, OSError) and not isinstance(error, RuncastError):
        if error.errno not in _FULL | _UNWRITABLE:
            raise error
        error = StoreUnwritable((error.strerror or str(error)).lower(), full=error.errno in _FULL)
    status, body = problem(error)
    fixed = [("Content-Type", PROBLEM_TYPE), ("Cache-Control", "no-store")]
    return Reply(status, [*fixed, ("X-Content-Type-Options", "nosniff")], body)


def log_reply(run: Run, request: Request, *, interval: float | None = None) -> Reply:
    """Return the log of a run in the form that the request asks for.

    Raises:
        NotAcceptable: there is no such form.
        UsageError: a parameter is not what it should be.
        OffsetBeyondTail, OffsetGone: the place cannot be read.
    """
    query = Query.parse(request.parameters)
    form = negotiate(request.header("accept"), query.format)
    if form is Format.HTML:
        return Reply(200, headers(form, live=False), run_page(request.root))
    last = request.header("last-event-id")
    if last and parse_event_id(last) == (run.id, None):
        return Reply(204, [("Cache-Control", "no-store")])  # it has seen the exit: an EventSource stops
    live = query.follow and not run.closed
    if not live or run.request["source"] not in _OWN_WRITER:
        _ = run.tail_offset  # a log that cannot be read is told before the first byte
    if live and (last or query.offset is not None) and (host := run.elsewhere) is not None:
        if _place(run, query, last, form).start == run.tail_offset:  # it has seen all that there is
            raise RunElsewhere(run.id, host)
    told = headers(form, live=live)
    if form is Format.POLL:
        place = _place(run, query, last, form)
        return Reply(200, told, stream=PollViewing(run, query, place.start, _next_poll(run, request)))
    if form is not Format.TEXT:
        return Reply(200, told, stream=LogViewing(log_stream(run, query, form, last, request, interval)))
    tag = None if live else _tag(run, query, last, interval)
    if tag is not None:
        told = [*told, ("ETag", tag)]
        if is_known(request.header("if-none-match"), tag):
            return Reply(304, [header for header in told if header[0] != "Content-Type"])
    part = request.header("range") or ""
    if part.lower().startswith("bytes=") and not query.channels:  # RFC 9110, 14.2
        # 13.1.5: who has a part of something else gets the whole of this. No weak tag is ever equal,
        # nor is a date, for no reply has one.
        if request.header("if-range") in (None, tag):
            return _part(run, part, told)
    stream = log_stream(run, query, form, last, request, interval)
    if (size := _size(run, query, stream.interval, stream.place.start)) is not None:
        told = [*told, ("Content-Length", str(size))]
    return Reply(200, told, stream=LogViewing(stream))


def _tag(run: Run, query: Query, last_event_id: str | None, interval: float | None) -> str | None:
    """Return the ETag of a text that is a closed log from its start, byte for byte; None for any other."""
    places = (query.offset, query.tail, query.line, query.since, last_event_id)
    if any(place is not None for place in places):
        return None
    size = _size(run, query, query.interval or interval, 0)
    return None if size is None else f'"{run.id}-{size}"'


def _next_poll(run: Run, request: Request) -> str:
    """Return the URL of the next poll but for its offset: with all else that was asked for."""
    kept = [(name, value) for name, value in request.parameters if name not in _OF_ONE_POLL]
    return f"{request.root}/runs/{run.id}/log?{urlencode([('format', 'json'), *kept])}"


def _size(run: Run, query: Query, interval: float | None, start: int) -> int | None:
    """Return how many bytes a reply in text will have, where that is sure.

    Then whoever gets it sees how much is to come and that nothing is missing, and the server needs
    no chunked framing, for which it copies every block.
    """
    outcome = run.outcome
    if outcome is None or outcome.reason is Reason.LOST or outcome.dropped or outcome.truncated:
        return None  # where there may be gaps, there are lines that tell of them
    if query.channels or query.end or interval is not None or not run.closed:
        return None
    return max(run.tail_offset - start, 0)


def log_stream(
    run: Run,
    query: Query,
    form: Format,
    last_event_id: str | None,
    request: Request,
    interval: float | None = None,
) -> Stream:
    """Return the stream that a query asks for."""
    named, end = query.named, query.end
    silence = query.interval or interval
    began, terminal = run.created_at, bool(run.request.get("tty"))
    return Stream(
        run,
        (form, query.channels, named, end, silence, request.root),
        lambda place: encoder(form, run.id, place, named=named, end=end, began=began, terminal=terminal),
        run.to_json,
        _place(run, query, last_event_id, form),
        query.channels,
        query.follow,
        interval=silence,
        keepalive=None if form is Format.TEXT else 15.0,
        kind=_KINDS[form],
        trailers=end,
    )


def _place(run: Run, query: Query, last_event_id: str | None, form: Format) -> Place:
    """Return where to begin: `Last-Event-ID` wins over the query."""
    asked = (query.offset, query.tail, query.line, query.since, last_event_id)
    if all(place is None for place in asked):
        return START
    log = run.open_log()
    try:
        if last_event_id is not None:
            seen = parse_event_id(last_event_id)
            if seen is not None and seen.run == run.id and seen.place is not None:
                if seen.place.offset > log.tail_offset:
                    raise OffsetBeyondTail(seen.place.offset, log.tail_offset)
                return seen.place
        offset = None if query.offset is None else parse_offset(query.offset, log.tail_offset)
        start = begin(
            log, offset=offset, tail=query.tail, line=query.line, since=query.since, channels=query.channels
        )
        resumed = form is Format.TEXT and offset and query.offset != "now"
        return Place(start, fresh=not resumed or _ends_line(log, start, query.channels))
    finally:
        log.close()


def _ends_line(log: Log, offset: int, channels: frozenset[Channel] | None) -> bool:
    """Return whether what somebody has who comes back at an offset ends a line, as far as one byte tells."""
    before = log.read(offset - 1, 1, channels, labelled=False).chunks
    return not before or before[0].data in (b"", b"\n")


def _part(run: Run, asked: str, told: list[tuple[str, str]]) -> Reply:
    """Answer a Range (RFC 9110, section 14): of a live log, what there is now.

    Raises:
        UsageError: it is none.
        OffsetGone: bytes of it were dropped, so there is no such part.
    """
    match = _RANGE.fullmatch(asked.strip())
    if match is None or not any(match.groups()):
        raise UsageError(f"expected Range as bytes=FIRST-LAST, one range, got {asked[:80]!r}")
    first, last = match.groups()
    log = run.open_log()
    try:
        tail = log.tail_offset
        total = str(tail) if log.closed else "*"
        if not first:  # the last so many bytes
            start, end = max(tail - int(last), 0), tail
        else:
            start, end = int(first), min(int(last) + 1 if last else tail, tail)
        if start < end:
            log.check_offset(start, end)
    finally:
        log.close()
    if start >= end:
        reply = problem_reply(OffsetBeyondTail(start, tail))
        return Reply(416, [*reply.headers, ("Content-Range", f"bytes */{tail}")], reply.body)
    stream = Stream(
        run,
        ("part",),
        lambda place: encoder(Format.TEXT, run.id, place),
        run.to_json,
        Place(start),
        follow=False,
        until=end,
    )
    length = [("Content-Range", f"bytes {start}-{end - 1}/{total}"), ("Content-Length", str(end - start))]
    return Reply(206, [*told, *length], stream=LogViewing(stream))
