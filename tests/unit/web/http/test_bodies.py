"""The rule of whole bodies, without a socket: under ASGI, WSGI, and what both share."""

import asyncio
import io
from collections.abc import Callable, MutableMapping
from typing import Any

import pytest

from runcast import Store
from runcast.durable import FileStreams
from runcast.errors import RuncastError, UsageError
from runcast.web.asgi import RunsASGI, read_body
from runcast.web.http.bodies import (
    BodyIncomplete,
    BodyTooLarge,
    LengthRequired,
    parse_length,
    read_whole,
)
from runcast.web.wsgi import RunsWSGI
from runcast.web.wsgi import read_body as read_wsgi
from runcast.wire.durable import Creation

LIMIT = 100
Message = MutableMapping[str, Any]


class Input:
    """What a WSGI server gives to read from: parts, then its end, which may be an exception."""

    def __init__(self, *parts: bytes | Exception) -> None:
        self._parts = list(parts)

    def read(self, size: int) -> bytes:
        """Return the next part, or a part of it."""
        part = self._parts.pop(0) if self._parts else b""
        if isinstance(part, Exception):
            raise part
        if part[size:]:
            self._parts.insert(0, part[size:])
        return part[:size]


def asgi(length: int | None, *messages: Message) -> bytes:
    """Return the body of an ASGI request."""
    headers = [] if length is None else [(b"content-length", b"%d" % length)]
    waiting = list(messages)

    async def receive() -> Message:
        return waiting.pop(0)

    return asyncio.run(read_body({"method": "POST", "headers": headers}, receive, LIMIT))


def part(body: bytes, *, more: bool) -> Message:
    """Return a message with a part of a body."""
    return {"type": "http.request", "body": body, "more_body": more}


GONE: Message = {"type": "http.disconnect"}


@pytest.mark.parametrize("length", [None, 4])
def test_asgi_whole(length: int | None) -> None:
    """A body is whole when its server ends it, and it has its length."""
    assert asgi(length, part(b"ab", more=True), part(b"cd", more=False)) == b"abcd"
    assert asgi(length, part(b"abcd", more=True), part(b"", more=False)) == b"abcd"


@pytest.mark.parametrize(
    ("length", "messages"),
    [
        (None, [GONE]),
        (4, [GONE]),
        (None, [part(b"ab", more=True), GONE]),
        (4, [part(b"ab", more=True), GONE]),
        (None, [part(b"abcd", more=True), GONE]),
        (4, [part(b"", more=False)]),
        (4, [part(b"abc", more=False)]),
    ],
)
def test_asgi_cut(length: int | None, messages: list[Message]) -> None:
    """A client that leaves does not end a body, nor does a server that ends it too early."""
    with pytest.raises(BodyIncomplete, match="nothing was done or kept"):
        asgi(length, *messages)


def environ(
    given: Any, length: object = None, *, chunked: str | None = None, **more: object
) -> dict[str, Any]:
    """Return a WSGI environment with a body."""
    fields: dict[str, Any] = {"REQUEST_METHOD": "POST", "wsgi.input": given, **more}
    if length is not None:
        fields["CONTENT_LENGTH"] = str(length)
    if chunked is not None:
        fields["HTTP_TRANSFER_ENCODING"] = chunked
    return fields


def test_wsgi_whole() -> None:
    """A body is whole when it has its length, in however many parts; without a length there is none."""
    assert read_wsgi(environ(io.BytesIO(b"abcdnext"), 4), LIMIT) == b"abcd"
    assert read_wsgi(environ(Input(b"a", b"bc", b"d"), 4), LIMIT) == b"abcd"
    assert read_wsgi(environ(Input(OSError("not to be read"))), LIMIT) == b""
    assert read_wsgi(environ(Input(OSError("not to be read")), ""), LIMIT) == b""


@pytest.mark.parametrize("error", [ConnectionResetError(104, "reset"), ValueError("Bad chunk"), EOFError()])
def test_wsgi_cut(error: Exception) -> None:
    """Fewer bytes than announced are a cut, and so is whatever a server raises while it reads."""
    for given in (Input(), Input(b"abc"), Input(error), Input(b"ab", error)):
        with pytest.raises(BodyIncomplete, match="expected a body of 4 bytes"):
            read_wsgi(environ(given, 4), LIMIT)


@pytest.mark.parametrize("server", ["gunicorn.socket", "waitress.client_disconnected"])
def test_wsgi_chunks(server: str) -> None:
    """Chunks are taken where the server notices a cut, and raises an exception for it."""
    known = {"wsgi.input_terminated": True, server: None}
    assert read_wsgi(environ(Input(b"ab", b"cd"), chunked="Chunked", **known), LIMIT) == b"abcd"
    assert read_wsgi(environ(Input(bytes(LIMIT)), chunked="chunked", **known), LIMIT) == bytes(LIMIT)
    with pytest.raises(BodyIncomplete, match="expected a body to its end, got less \\(no more data\\)"):
        read_wsgi(environ(Input(b"ab", OSError("no more data")), chunked="chunked", **known), LIMIT)
    with pytest.raises(BodyTooLarge):
        read_wsgi(environ(Input(bytes(LIMIT), b"1"), chunked="chunked", **known), LIMIT)


@pytest.mark.parametrize(
    ("encoding", "fields"),
    [
        ("chunked", {}),
        ("chunked", {"wsgi.input_terminated": True}),
        ("chunked", {"gunicorn.socket": None}),
        ("gzip, chunked", {"wsgi.input_terminated": True, "gunicorn.socket": None}),
        ("identity", {}),
    ],
)
def test_wsgi_length_required(encoding: str, fields: dict[str, object]) -> None:
    """Where nobody knows whether a cut would be noticed, a length must be sent."""
    for length in (None, 4):
        with pytest.raises(LengthRequired, match="Content-Length"):
            read_wsgi(environ(Input(b"abcd"), length, chunked=encoding, **fields), LIMIT)


@pytest.mark.parametrize(
    ("text", "kind"), [("101", BodyTooLarge), ("9" * 5000, BodyTooLarge), ("²", UsageError)]
)
def test_wrong_length(text: str, kind: type[RuncastError]) -> None:
    """A length is a number that is not over the limit."""
    with pytest.raises(kind):
        parse_length(text, LIMIT)
    assert [parse_length(right, LIMIT) for right in (None, "", "0", "007", "100")] == [None, None, 0, 7, 100]


def test_read_no_more_than_the_length() -> None:
    """What follows a body stays with the server."""
    given = io.BytesIO(b"abcdGET / HTTP/1.1")
    assert read_whole(given.read, 4, LIMIT) == b"abcd"
    assert given.read() == b"GET / HTTP/1.1"


def by_asgi(path: str) -> int:
    """Have `RunsASGI` answer a closing append whose client leaves; return the status."""
    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "headers": [(b"content-length", b"4"), (b"stream-closed", b"true"), (b"content-type", b"text/plain")],
    }
    waiting, sent = [part(b"ab", more=True), GONE], []

    async def receive() -> Message:
        return waiting.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(RunsASGI()(scope, receive, send))
    status: int = sent[0]["status"]
    return status


def by_wsgi(path: str) -> int:
    """Do the same by `RunsWSGI`."""
    given = environ(
        Input(b"ab"), 4, HTTP_STREAM_CLOSED="true", CONTENT_TYPE="text/plain", PATH_INFO=path, SCRIPT_NAME=""
    )
    statuses: list[str] = []
    list(RunsWSGI()(given, lambda status, headers: statuses.append(status)))
    return int(statuses[0].split()[0])


@pytest.mark.parametrize("answer", [by_asgi, by_wsgi])
def test_cut_close(answer: Callable[[str], int], store: Store) -> None:
    """A closing append that was cut closes nothing, keeps nothing, and is to be sent again."""
    stream, _ = FileStreams(store.path).create("s", Creation("text/plain"))
    assert answer("/v1/stream/s") == 408
    log = stream.open_log()
    assert (log.tail_offset, log.closed) == (0, False)
    log.close()
