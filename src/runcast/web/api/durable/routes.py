"""`/v1/stream/…`: the Durable Streams protocol, request in, reply out.

Owns the methods and the headers of the protocol. Below `runs/` are the runs of the store, read-only;
everything else are streams, which clients create and append to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final
from urllib.parse import quote, unquote

from runcast.acting import acting
from runcast.durable import Appended, Busy, FileStreams, Stream, Streams
from runcast.durable.stream_run import stream_runs
from runcast.errors import (
    OffsetGone,
    ProducerFenced,
    ProducerGap,
    RuncastError,
    StreamConflict,
    StreamFull,
    UsageError,
)
from runcast.offsets import format_offset
from runcast.store.audit import audit_once, audited
from runcast.web.api.access import Access
from runcast.web.api.durable.reads import MOMENT, POLL_SECONDS, Later, Sharing, head_reply, read_reply
from runcast.web.api.durable.source import RunSource, Source, StreamSource
from runcast.web.api.log_reply import problem_reply
from runcast.web.api.refusals import MethodNotAllowed
from runcast.web.http.messages import Reply, Request
from runcast.web.http.paths import STREAM_PREFIX, is_stream
from runcast.web.http.repeat_append import RepeatAppend
from runcast.wire.durable import (
    JSON,
    Appending,
    media_type,
    numbered,
    parse_appending,
    parse_creation,
    parse_reading,
)
from runcast.wire.durable_json import messages

__all__ = [
    "APPEND_BYTES",
    "ROUTES",
    "Busy",
    "Durable",
    "refusal",
    "with_always",
]

# The verb that `authorize` must allow for each method.
_RUN_VERBS: Final = {"GET": "read", "HEAD": "read"}
_STREAM_VERBS: Final = {**_RUN_VERBS, "PUT": "create", "POST": "append", "DELETE": "delete"}
ROUTES: Final[Mapping[str, Mapping[str, str]]] = {
    STREAM_PREFIX + "runs/{id}": _RUN_VERBS,
    STREAM_PREFIX + "{name}": _STREAM_VERBS,
}
_OF_CACHES = ("via", "cdn-loop")
APPEND_BYTES = 16 * 1024 * 1024  # of one request: it is in memory until it is appended as a whole
_RUNS = "runs/"
_ALWAYS = (
    ("X-Content-Type-Options", "nosniff"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    # A client that appends chooses type and content: as a page it has no origin and runs no script.
    ("Content-Security-Policy", "default-src 'none'; sandbox"),
)
_REQUEST_HEADERS = (
    "Authorization, Content-Type, If-None-Match, Producer-Epoch, Producer-Id, Producer-Seq, "
    "Stream-Closed, Stream-Expires-At, Stream-Fork-Offset, Stream-Fork-Sub-Offset, Stream-Forked-From, "
    "Stream-Seq, Stream-TTL"
)

Headers = list[tuple[str, str]]


class Durable:
    """Answers the requests of the protocol.

    Args:
        access: finds the runs, and decides on permissions.
        streams: the streams; by default those in the store's folder.
        public: all clients get the same replies, so caches may share them. A cache that says so (`Via`,
            RFC 9110, or `CDN-Loop`, RFC 8586) gets live replies that gather, for up to a second.
        poll_seconds: how long a long-poll may wait for output.
    """

    def __init__(
        self,
        access: Access,
        streams: Streams | None = None,
        *,
        public: bool = False,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        self._access = access
        self.streams = streams or FileStreams(access.store.path)
        self.public = public
        access.streams = stream_runs(self.streams)
        self._poll_seconds = poll_seconds

    def is_quick(self, request: Request) -> bool:
        """Return whether an event loop may answer a request that reads, or appends little."""
        name = request.path[len(STREAM_PREFIX) :]
        of_run = name.startswith(_RUNS)
        if of_run:
            return self._access.at_once and self._access.is_there(name[len(_RUNS) :])
        return self._access.at_once and self.streams.knows(name)

    def respond(self, request: Request, *, wait: bool = True) -> Reply | Later:
        """Answer one request, or return a `Later` to wait for; an error becomes a reply.

        Args:
            request: the request.
            wait: block while others append; otherwise raise `Busy`.
        """
        try:
            with acting(lambda: request.who, request.peer):
                reply = self._dispatch(request, wait)
        except (RuncastError, OSError) as error:
            reply = self.refused(request, error)
        return reply if isinstance(reply, Later) else self._access.lasting(with_always(reply), request)

    def _dispatch(self, request: Request, wait: bool) -> Reply | Later:
        name, method = request.path[len(STREAM_PREFIX) :], request.method
        of_run = name.startswith(_RUNS)
        verbs = _RUN_VERBS if of_run else _STREAM_VERBS
        if method == "OPTIONS":
            headers = [("Allow", _allowed(verbs)), ("Access-Control-Allow-Methods", _allowed(verbs))]
            return Reply(204, [*headers, ("Access-Control-Allow-Headers", _REQUEST_HEADERS)])
        if method not in verbs:
            raise MethodNotAllowed(_allowed(verbs), method)
        if of_run:
            run = self._access.find(name[len(_RUNS) :], verbs[method], request)
            reply = self._read(request, RunSource(run))
            return self._access.bounded(reply, run, request) if isinstance(reply, Reply) else reply
        self._access.check(verbs[method], request)
        if method == "POST":
            return self._append(request, name, wait)
        if method == "PUT":
            return self._create(request, name)
        if method == "DELETE":
            with audited(self._access.store.path, "delete", name=name):
                self.streams.delete(name)
            return Reply(204)
        return self._read(request, StreamSource(self.streams.get(name)))

    def _read(self, request: Request, source: Source) -> Reply | Later:
        if request.method == "HEAD":
            return head_reply(source)
        params = parse_reading(request.parameters)
        match = request.header("if-none-match")
        cached = self.public and any(request.header(name) for name in _OF_CACHES)
        sharing = Sharing(self.public, cached)
        return read_reply(source, params, match, sharing=sharing, poll_seconds=self._poll_seconds)

    def refused(self, request: Request, error: RuncastError | OSError) -> Reply:
        """Return an error as a reply, with the headers that the protocol requires for it.

        Caches may share for a moment that there is nothing, so that many who read what was removed, or was
        never there, are one request.
        """
        reply = refusal(error)
        if self.public and request.method == "GET" and reply.status in (404, 410):
            kept = [header for header in reply.headers if header[0] != "Cache-Control"]
            return replace(reply, headers=[*kept, ("Cache-Control", MOMENT)])
        return reply

    def _create(self, request: Request, name: str) -> Reply:
        params = parse_creation(request.header)
        if params.forked_from is not None:
            source = _name_in(request, params.forked_from)
            self._access.check("read", replace(request, path=STREAM_PREFIX + source))  # its bytes are copied
            params = params._replace(forked_from=source)
        data = request.body
        if data and self.streams.type_of(params) == JSON:
            data = messages(data)
        with audited(self._access.store.path, "create", name=name):
            stream, made = self.streams.create(name, params, data)
        log = stream.open_log()
        tail, closed = log.tail_offset, log.closed
        log.close()
        headers: Headers = [
            ("Content-Type", stream.settings.content_type),
            ("Stream-Next-Offset", format_offset(tail)),
        ]
        if closed:
            headers.append(("Stream-Closed", "true"))
        if self._access.streams is not None:  # where people can watch it
            page = f"{quote(request.root)}/runs/{stream.id}"
            headers.append(("Link", f'<{page}>; rel="alternate"; type="text/html"'))
        if made:
            headers.append(("Location", _url(request)))
        return Reply(201 if made else 200, headers)

    def _append(self, request: Request, name: str, wait: bool) -> Reply:
        stream = self.streams.get(name)
        reply = _append_to(stream, parse_appending(request.header), request.body, wait)
        audit_once(self._access.store.path, "append", name=name)
        return reply

    def repeat_append(self, request: Request) -> RepeatAppend:
        """Return a function for appends that differ from this one in body and number only."""
        name, first = request.path[len(STREAM_PREFIX) :], parse_appending(request.header)
        request = replace(request, body=b"")  # it is kept as long as the connection

        def take(number: str | None, body: bytes) -> Reply | None:
            params = numbered(first, number)
            if params is None:
                return None
            try:
                self._access.check(_STREAM_VERBS["POST"], request)
                reply = _append_to(self.streams.get(name), params, body, False)
                with acting(lambda: request.who, request.peer):
                    audit_once(self._access.store.path, "append", name=name)
            except Busy:
                return None
            except (RuncastError, OSError) as error:
                reply = refusal(error)
            return with_always(reply)

        return take


def _append_to(stream: Stream, params: Appending, data: bytes, wait: bool) -> Reply:
    if not data and not params.close:
        raise UsageError("expected bytes to append, or `Stream-Closed: true`, got neither")
    if data and not params.content_type:
        raise UsageError(f"expected a Content-Type, {stream.media_type} for this stream, got none")
    if data and stream.json and media_type(params.content_type) == JSON:
        data = messages(data)
        if not data:
            raise UsageError("expected messages in the array, got an empty one: nothing to append")
    return _appended(stream.append(params, data, wait=wait), closed_only=not data)


def _url(request: Request) -> str:
    host = request.header("host") or "localhost"
    return f"{request.scheme}://{host}{quote(request.root + request.path)}"


def _name_in(request: Request, path: str) -> str:
    """Return the name of the stream at a path."""
    path = unquote(path).removeprefix(request.root)
    if not is_stream(path):
        raise UsageError(
            f"expected Stream-Forked-From as the path of a stream ({STREAM_PREFIX}NAME), got {path[:80]!r}"
        )
    return path[len(STREAM_PREFIX) :]


def _appended(done: Appended, *, closed_only: bool) -> Reply:
    headers: Headers = [("Stream-Next-Offset", format_offset(done.tail))]
    if done.closed:
        headers.append(("Stream-Closed", "true"))
    if done.producer is None:
        return Reply(204, headers)
    headers += [("Producer-Epoch", str(done.producer.epoch)), ("Producer-Seq", str(done.producer.seq))]
    return Reply(204 if done.duplicate or closed_only else 200, headers)


def refusal(error: RuncastError | OSError) -> Reply:
    """Return an error as a reply, with the headers that the protocol requires for it."""
    reply = problem_reply(error)
    headers: Headers = []
    match error:
        case ProducerGap():
            headers.append(("Producer-Expected-Seq", str(error.expected)))
            headers.append(("Producer-Received-Seq", str(error.received)))
        case StreamConflict():
            if error.closed:
                headers.append(("Stream-Closed", "true"))
            if error.tail is not None:
                headers.append(("Stream-Next-Offset", format_offset(error.tail)))
        case ProducerFenced():
            headers.append(("Producer-Epoch", str(error.epoch)))
        case StreamFull():
            headers.append(("Stream-Next-Offset", format_offset(error.tail)))
        case OffsetGone():
            headers.append(("Stream-Next-Offset", format_offset(error.next)))
        case MethodNotAllowed():
            headers.append(("Allow", error.allowed))
    return replace(reply, headers=[*reply.headers, *headers])


def with_always(reply: Reply) -> Reply:
    """Return a reply with the headers that all of them have."""
    return reply.adding(_ALWAYS)


def _allowed(verbs: Mapping[str, str]) -> str:
    return ", ".join(sorted({*verbs, "OPTIONS"}))
