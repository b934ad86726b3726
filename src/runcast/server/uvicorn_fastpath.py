"""Shortcuts in uvicorn's HTTP protocol: small appends without a task, viewers without a request.

Owns three. A live reply whose head was sent may have its connection handed over (web/http/handover.py): of
the request and of this protocol nothing is kept then. An append whose body is here takes fewer
microseconds than a task takes to be made and come to its turn, so its application is stepped by hand as
soon as the body is complete; one that suspends goes on as a task. And an application that has taken an
append may offer to take more of the kind (the extension of web/http/repeat_append.py): a request on
the same connection that differs in nothing but its body and its number is then handed to it as such. And a
client that has sent its request and closed its sending side still gets the reply. All else is as
uvicorn does it, and where another uvicorn does it otherwise, so is this.
"""

from __future__ import annotations

import asyncio
import weakref
from functools import partial
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from runcast.server.connections import Connections
from runcast.server.direct import GONE, Direct
from runcast.server.httptools_protocol import CountedProtocol
from runcast.web.http.handover import EXTENSION as HANDOVER
from runcast.web.http.messages import Reply
from runcast.web.http.paths import is_stream
from runcast.web.http.repeat_append import EXTENSION, RepeatAppend
from runcast.web.live.stepped_awaitable import SteppedAwaitable

__all__ = ["FastpathProtocol", "missing"]

_MOST_BYTES = 64 * 1024  # unread bytes at which uvicorn pauses reading
_LENGTH, _NUMBER = b"content-length", b"producer-seq"  # in which a repeat may differ

Headers = list[tuple[bytes, bytes]]


def missing() -> str | None:
    """Return the name that this uvicorn lacks, without which the shortcuts do nothing; None if it has it."""
    name = "_start_asgi_task"  # private: not every version that is allowed has it
    return None if hasattr(CountedProtocol, name) else f"HttpToolsProtocol.{name}"


class FastpathProtocol(CountedProtocol):
    """uvicorn's protocol, with the shortcuts."""

    _held: tuple[Any, Any] | None = None  # a request whose body is still coming, and its application
    _kind: tuple[bytes, Headers] | None = None  # URL and fixed headers of the append that was taken last
    _repeat: RepeatAppend | None = None  # takes another one of that kind
    _body: bytearray | None = None  # of a repeat, so far
    _number: str | None = None
    _stepping = False
    _served: Any = None  # the request that is answered now; uvicorn's `cycle` is the last that came
    _given_state: dict[str, Any]  # as the server has it for all connections

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._given_state = self.app_state
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """End; with others waiting behind it uvicorn does not tell the request that is answered."""
        super().connection_lost(exc)
        served = self._served
        if served is not None and not served.response_complete:
            served.disconnected = True
            served.message_event.set()

    def on_headers_complete(self) -> None:
        """Begin the request, or collect the body of a repeat."""
        if self._careful:
            self._check_head()
        self._begun = self.headers
        if self._repeat is not None and self._is_repeat():
            self._body = bytearray()
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Add a part of the body."""
        self._payload += len(body)
        if self._body is not None:
            self._body += body
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Answer the request, now that its body is complete."""
        if self._chunks:
            self._end_chunks()
        self._ended = self.headers
        if self._body is not None:
            body, self._body = bytes(self._body), None
            self._take_repeat(body)
            return
        super().on_message_complete()
        if self._held is not None:
            (cycle, app), self._held = self._held, None
            self._step(cycle, app)

    def eof_received(self) -> bool:  # type: ignore[override]
        """Return whether the connection stays open for a reply; uvicorn closes it, and drops that.

        A reply to a GET may be endless, and then the end of the client's side is the only sign that it
        has left. The client of a body that was cut does not wait for a reply.
        """
        cycle = self.cycle
        if cycle is None or cycle.response_complete or cycle.more_body or self.scheme == "https":
            return False
        if cycle.scope["method"] in ("GET", "HEAD"):
            return False
        cycle.keep_alive = False
        return True

    def _is_repeat(self) -> bool:
        if not (self.cycle.response_complete and not self.flow.write_paused and self.cycle.keep_alive):
            return False
        kind, length, self._number = self._split()
        return kind == self._kind and length < _MOST_BYTES and self.parser.get_http_version() == "1.1"

    def _split(self) -> tuple[tuple[bytes, Headers], int, str | None]:
        """Return the kind of the current request, the length of its body, and its number."""
        same: Headers = []
        length, number = _MOST_BYTES, None
        for header in self.headers:
            if header[0] == _LENGTH:
                length = int(header[1])
            elif header[0] == _NUMBER:
                number = header[1].decode("latin-1")
            else:
                same.append(header)
        return (self.parser.get_method() + b" " + self.url, same), length, number

    def _take_repeat(self, body: bytes) -> None:
        assert self._repeat is not None
        reply = self._repeat(self._number, body)
        if reply is not None:
            self.transport.write(_to_bytes(self.server_state.default_headers, reply))
            self.on_response_complete()
            return
        super().on_headers_complete()  # it must wait for other requests: serve it as a new one
        super().on_body(body)
        self.on_message_complete()

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        self._served = cycle
        # A pipelined request begins within the step of the one before: stepped by hand as well, a hundred
        # of them would be a hundred calls deep.
        if cycle.scope["method"] == "GET" and cycle.scope["http_version"] == "1.1":
            me = weakref.ref(self)  # a circle would wait for the garbage collector
            extensions = cycle.scope.setdefault("extensions", {})
            extensions[HANDOVER] = lambda: (one := me()) and one.hand_over()
        if self._stepping or not self._is_small_append(cycle.scope):
            super()._start_asgi_task(cycle, app)
            return
        cycle.scope.setdefault("extensions", {})[EXTENSION] = self._note(self._split()[0])
        if cycle.more_body:
            self._held = cycle, app
        else:
            self._step(cycle, app)

    def hand_over(self) -> Direct | None:
        """Give the connection away, whose reply has begun; None where something else is going on in it."""
        cycle, transport = self.cycle, self.transport
        if not (cycle.response_started and cycle.chunked_encoding) or cycle.response_complete:
            return None
        if cycle.disconnected or cycle.more_body or self.pipeline or self._rest or transport.is_closing():
            return None
        if self.headers is not self._ended:  # the parser has a part of the next request
            return None
        again = partial(_again, self.config, self.server_state, self._given_state, self._book)
        direct = Direct(transport, again if cycle.keep_alive else None, self.connections)
        self.server_state.total_requests += 1
        self.connections.discard(self)
        self._book.discard(self)
        self.flow.resume_reading()
        # For uvicorn, and a middleware that would send more or fail, its client is gone.
        cycle.disconnected, cycle.transport = True, GONE
        cycle.message_event.set()
        return direct

    def _note(self, kind: tuple[bytes, Headers]) -> Any:
        def take_more(repeat: RepeatAppend) -> None:
            self._kind, self._repeat = kind, repeat

        return take_more

    def _is_small_append(self, scope: Any) -> bool:
        if scope["method"] != "POST" or not is_stream(scope["path"]) or self.expect_100_continue:
            return False
        length = next((value for name, value in scope["headers"] if name == _LENGTH), b"")
        return length.isdigit() and int(length) < _MOST_BYTES

    def _step(self, cycle: Any, app: Any) -> None:
        coroutine = cycle.run_asgi(app)
        self._stepping = True
        try:
            future = coroutine.send(None)
        except StopIteration:
            return
        finally:
            self._stepping = False
        task: asyncio.Task[None] = self.loop.create_task(_go_on(SteppedAwaitable(coroutine, future)))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)


def _again(
    config: Any,
    server_state: Any,
    app_state: dict[str, Any],
    book: Connections,
    transport: asyncio.Transport,
    data: bytes,
    paused: bool,
) -> None:
    """Have uvicorn's protocol take a connection that was handed over, and is known."""
    protocol = FastpathProtocol(config=config, server_state=server_state, app_state=app_state, book=book)
    transport.set_write_buffer_limits()
    transport.set_protocol(protocol)
    protocol.connection_made(transport)
    protocol._become_known()
    if paused:  # which the transport has said, and says once
        protocol.pause_writing()
    if data:
        protocol.data_received(data)


async def _go_on(rest: SteppedAwaitable) -> None:
    await rest


def _to_bytes(fixed: Headers, reply: Reply) -> bytes:
    """Return the bytes of a whole reply."""
    lines = [f"{name}: {value}\r\n" for name, value in reply.headers]
    if reply.status != HTTPStatus.NO_CONTENT:
        lines.append(f"content-length: {len(reply.body)}\r\n")
    common = b"".join([b"%b: %b\r\n" % header for header in fixed])
    return STATUS_LINE[reply.status] + common + "".join(lines).encode("latin-1") + b"\r\n" + reply.body
