"""`/v1/stream/…`: the Durable Streams protocol, request in, reply out.

Owns which method does what, and the headers of the protocol. Below `runs/` are the runs of the
store, to read; everything else are streams, which others make and append to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final
from urllib.parse import quote, unquote

from runcast.durable import Appended, Busy, FileStreams, Stream, Streams
from runcast.errors import (
    OffsetGone,
    ProducerFenced,
    ProducerGap,
    RuncastError,
    StreamConflict,
    StreamFull,
    UsageError,
)
from runcast.model import format_offset
from runcast.web.again import Again
from runcast.web.durable.pages import stream_runs
from runcast.web.durable.reads import POLL_SECONDS, Later, head_reply, read_reply
from runcast.web.durable.source import RunSource, Source, StreamSource
from runcast.web.http import Reply, Request
from runcast.web.logs import problem_reply
from runcast.web.responder import MethodNotAllowed, Responder
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
    "PREFIX",
    "ROUTES",
    "Busy",
    "Durable",
    "is_stream",
    "refusal",
    "with_always",
]

PREFIX: Final = "/v1/stream/"
# What `authorize` must allow before a method does anything.
_RUN_VERBS: Final = {"GET": "read", "HEAD": "read"}
_STREAM_VERBS: Final = {**_RUN_VERBS, "PUT": "create", "POST": "append", "DELETE": "delete"}
ROUTES: Final[Mapping[str, Mapping[str, str]]] = {
    PREFIX + "runs/{id}": _RUN_VERBS,
    PREFIX + "{name}": _STREAM_VERBS,
}
APPEND_BYTES = 16 * 1024 * 1024  # of one request: it is in memory until it is appended as a whole
_RUNS = "runs/"
_ALWAYS = (
    ("X-Content-Type-Options", "nosniff"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    # Whoever may append chooses type and content: as a page it is nobody's, and runs nothing.
    ("Content-Security-Policy", "default-src 'none'; sandbox"),
)
_ASKED = (
    "Authorization, Content-Type, If-None-Match, Producer-Epoch, Producer-Id, Producer-Seq, "
    "Stream-Closed, Stream-Expires-At, Stream-Fork-Offset, Stream-Fork-Sub-Offset, Stream-Forked-From, "
    "Stream-Seq, Stream-TTL"
)

Headers = list[tuple[str, str]]


def is_stream(path: str) -> bool:
    """Return whether a path is one of the protocol's."""
    return path.startswith(PREFIX)


class Durable:
    """Answers the requests of the protocol.

    Args:
        responder: has the runs, and says who may do what.
        streams: what others append to; by default those in the store's folder.
        public: whoever asks gets the same replies, so caches may share them.
        poll_seconds: how long a long-poll may wait for news.
    """

    def __init__(
        self,
        responder: Responder,
        streams: Streams | None = None,
        *,
        public: bool = False,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        self._responder = responder
        self.streams = streams or FileStreams(responder.store.path)
        self.public = public
        responder.streams = stream_runs(self.streams)
        self._poll_seconds = poll_seconds

    def respond(self, request: Request, *, wait: bool = True) -> Reply | Later:
        """Answer one request, or say what must be waited for; an error is an answer, too.

        Args:
            request: what came.
            wait: block while others append; otherwise raise `Busy`.
        """
        try:
            reply = self._dispatch(request, wait)
        except (RuncastError, OSError) as error:
            reply = refusal(error)
        return reply if isinstance(reply, Later) else with_always(reply)

    def _dispatch(self, request: Request, wait: bool) -> Reply | Later:
        name, method = request.path[len(PREFIX) :], request.method
        of_run = name.startswith(_RUNS)
        verbs = _RUN_VERBS if of_run else _STREAM_VERBS
        if method == "OPTIONS":
            told = [("Allow", _allowed(verbs)), ("Access-Control-Allow-Methods", _allowed(verbs))]
            return Reply(204, [*told, ("Access-Control-Allow-Headers", _ASKED)])
        if method not in verbs:
            raise MethodNotAllowed(_allowed(verbs), method)
        if of_run:
            run = self._responder.find(name[len(_RUNS) :], verbs[method], request)
            return self._read(request, RunSource(run))
        self._responder.check(verbs[method], request)
        if method == "POST":
            return self._append(request, name, wait)
        if method == "PUT":
            return self._create(request, name)
        if method == "DELETE":
            self.streams.delete(name)
            return Reply(204)
        return self._read(request, StreamSource(self.streams.get(name)))

    def _read(self, request: Request, source: Source) -> Reply | Later:
        if request.method == "HEAD":
            return head_reply(source)
        asked = parse_reading(request.parameters)
        match = request.header("if-none-match")
        return read_reply(source, asked, match, public=self.public, poll_seconds=self._poll_seconds)

    def _create(self, request: Request, name: str) -> Reply:
        ask = parse_creation(request.header)
        if ask.forked_from is not None:
            source = _name_in(request, ask.forked_from)
            self._responder.check("read", replace(request, path=PREFIX + source))  # its bytes are copied
            ask = ask._replace(forked_from=source)
        data = request.body
        if data and self.streams.type_of(ask) == JSON:
            data = messages(data)
        stream, made = self.streams.create(name, ask, data)
        log = stream.open_log()
        tail, closed = log.tail_offset, log.closed
        log.close()
        told: Headers = [
            ("Content-Type", stream.settings.content_type),
            ("Stream-Next-Offset", format_offset(tail)),
        ]
        if closed:
            told.append(("Stream-Closed", "true"))
        if self._responder.streams is not None:  # where people can watch it
            page = f"{quote(request.root)}/runs/{stream.id}"
            told.append(("Link", f'<{page}>; rel="alternate"; type="text/html"'))
        if made:
            told.append(("Location", _url(request)))
        return Reply(201 if made else 200, told)

    def _append(self, request: Request, name: str, wait: bool) -> Reply:
        stream = self.streams.get(name)
        return _take(stream, parse_appending(request.header), request.body, wait)

    def again(self, request: Request) -> Again:
        """Return what takes appends that differ from one that was taken in body and number only."""
        name, asked = request.path[len(PREFIX) :], parse_appending(request.header)
        request = replace(request, body=b"")  # it is kept as long as the connection

        def take(number: str | None, body: bytes) -> Reply | None:
            ask = numbered(asked, number)
            if ask is None:
                return None
            try:
                self._responder.check(_STREAM_VERBS["POST"], request)
                reply = _take(self.streams.get(name), ask, body, False)
            except Busy:
                return None
            except (RuncastError, OSError) as error:
                reply = refusal(error)
            return with_always(reply)

        return take


def _take(stream: Stream, ask: Appending, data: bytes, wait: bool) -> Reply:
    if not data and not ask.close:
        raise UsageError("expected bytes to append, or `Stream-Closed: true`, got neither")
    if data and not ask.content_type:
        raise UsageError(f"expected a Content-Type, {stream.media_type} for this stream, got none")
    if data and stream.json and media_type(ask.content_type) == JSON:
        data = messages(data)
        if not data:
            raise UsageError("expected messages in the array, got an empty one: nothing to append")
    return _appended(stream.append(ask, data, wait=wait), closed_only=not data)


def _url(request: Request) -> str:
    host = request.header("host") or "localhost"
    return f"{request.scheme}://{host}{quote(request.root + request.path)}"


def _name_in(request: Request, path: str) -> str:
    """Return the name of the stream at a path."""
    path = unquote(path).removeprefix(request.root)
    if not is_stream(path):
        raise UsageError(
            f"expected Stream-Forked-From as the path of a stream ({PREFIX}NAME), got {path[:80]!r}"
        )
    return path[len(PREFIX) :]


def _appended(done: Appended, *, closed_only: bool) -> Reply:
    told: Headers = [("Stream-Next-Offset", format_offset(done.tail))]
    if done.closed:
        told.append(("Stream-Closed", "true"))
    if done.producer is None:
        return Reply(204, told)
    told += [("Producer-Epoch", str(done.producer.epoch)), ("Producer-Seq", str(done.producer.seq))]
    return Reply(204 if done.duplicate or closed_only else 200, told)


def refusal(error: RuncastError | OSError) -> Reply:
    """Return an error as a reply, with what the protocol says of it in headers."""
    reply = problem_reply(error)
    told: Headers = []
    match error:
        case ProducerGap():
            told.append(("Producer-Expected-Seq", str(error.expected)))
            told.append(("Producer-Received-Seq", str(error.received)))
        case StreamConflict():
            if error.closed:
                told.append(("Stream-Closed", "true"))
            if error.tail is not None:
                told.append(("Stream-Next-Offset", format_offset(error.tail)))
        case ProducerFenced():
            told.append(("Producer-Epoch", str(error.epoch)))
        case StreamFull():
            told.append(("Stream-Next-Offset", format_offset(error.tail)))
        case OffsetGone():
            told.append(("Stream-Next-Offset", format_offset(error.next)))
        case MethodNotAllowed():
            told.append(("Allow", error.allowed))
    return Reply(reply.status, [*reply.headers, *told], reply.body)


def with_always(reply: Reply) -> Reply:
    """Return a reply with the headers that all of them have."""
    return reply.adding(_ALWAYS)


def _allowed(verbs: Mapping[str, str]) -> str:
    return ", ".join(sorted({*verbs, "OPTIONS"}))
