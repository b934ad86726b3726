"""What bounds one HTTP connection in bytes and in time, under either of uvicorn's parsers.

Owns the clocks, and how a connection is refused: a short reply, then its end, in such a way that
the client can read the reply. One sweep checks all connections, so that a request pays for none
of this: it sees what a connection waits for, and since when it has seen nothing else. How the bytes
are counted is a matter of the parser (uvicorn_fastpath.py, h11_protocol.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from collections.abc import Mapping
from enum import Enum
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from runcast.server.connections import KNOWN, Connections, network
from runcast.server.guard_middleware import SECURITY_HEADERS
from runcast.server.replies import problem
from runcast.web.http.messages import Reply
from runcast.web.servers.peer import keep_alive

if TYPE_CHECKING:
    from uvicorn.protocols.http.flow_control import FlowControl

__all__ = ["HEAD_BYTES", "HEAD_SECONDS", "SECONDS", "Bounded", "Stage", "raw"]

HEAD_BYTES = 64 * 1024  # of request line, header lines, trailers and chunk extensions together
HEAD_LINES = 1000  # each takes 100 bytes beside its own
HEAD_SECONDS = 10.0  # from its first byte, or from the connection if none comes, to the end of the head
BODY_SECONDS = 30.0  # in which each time …
BODY_BYTES = 1024  # … so much of a body must come
# Between two requests. Longer than clients and proxies keep a connection for later (nginx, AWS: 60):
# a client whose request meets the closing of its connection cannot know whether it was taken.
IDLE_SECONDS = 75.0
_LINGER_SECONDS = 2.0  # that a refused client has to read the reply
_STOP_SECONDS = 0.5  # that a body has to come to its end when the server stops
RETRY_SECONDS = 1  # in the Retry-After of a client that was turned away


class Stage(Enum):
    """What a connection waits for."""

    FRESH = "its first byte"
    HEAD = "the rest of a head"
    BODY = "the rest of a body"
    BUSY = "the reply"
    IDLE = "the next request"


SECONDS = {  # for each wait; a test may shorten them
    Stage.FRESH: HEAD_SECONDS,
    Stage.HEAD: HEAD_SECONDS,
    Stage.BODY: BODY_SECONDS,
    Stage.IDLE: IDLE_SECONDS,
}

_TOO_LONG = (
    f"expected a request line, headers and trailers of at most {HEAD_BYTES // 1024} KiB "
    f"and {HEAD_LINES} lines together, got more: send less, or send it in the body"
)
_NO_ROOM = "expected fewer connections, there is no room for another: try again in a moment"
_STOPPING = "expected the whole body before the server stops, a part came: send the request again"


def raw(reply: Reply, fixed: list[tuple[bytes, bytes]]) -> bytes:
    """Return a reply that ends its connection, as it is sent."""
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in fixed]
    headers += reply.adding(SECURITY_HEADERS).headers
    headers += [("content-length", str(len(reply.body))), ("connection", "close")]
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    first = f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}\r\n"
    return f"{first}{lines}\r\n".encode("latin-1") + reply.body


def _unavailable(detail: str, error: str) -> Reply:
    return problem(503, error, detail, [("Retry-After", str(RETRY_SECONDS))])


_NO_ROOM_REPLY = raw(_unavailable(_NO_ROOM, "NoRoom"), [])  # in a flood there is no time to write it anew


class Bounded(asyncio.Protocol):
    """A mixin for uvicorn's HTTP protocols; the first base class."""

    # uvicorn's own
    transport: asyncio.Transport
    loop: asyncio.AbstractEventLoop
    server_state: Any
    cycle: Any
    client: tuple[str, int] | None
    flow: FlowControl
    app_state: dict[str, Any]

    address = ""
    pending = 0
    _book: Connections
    strange = True  # no request of it has passed the guard
    _refused = False  # further input is discarded
    _last_stage: tuple[Stage, int] = (Stage.FRESH, id(None))
    _since = 0.0
    _marked = 0  # bytes received when the body last made progress
    _received = 0

    def stage(self) -> tuple[Stage, int]:
        """Return the stage of the current request, and which request it is."""
        raise NotImplementedError

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        super().connection_made(transport)
        # Not of the listening socket: what came before it had this option, as the first connection by
        # which systemd starts a server, would never be probed.
        if (one := transport.get_extra_info("socket")) is not None:
            keep_alive(one.fileno())
        self._since = self.loop.time()
        self.address = network(self.client[0]) if self.client else ""
        # Weakly: it goes into the scope of each request, which this refers to. As a circle, thousands of
        # connections that are gone would wait for the garbage collector, and then all requests for its run.
        me = weakref.ref(self)

        def become_known() -> None:
            if (one := me()) is not None:
                one._become_known()

        self.app_state = {**self.app_state, KNOWN: become_known}
        self._book.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._book.discard(self)
        super().connection_lost(exc)

    def _become_known(self) -> None:
        if self.strange:
            self.strange = False
            self._book.discard(self)
            self.app_state = {name: value for name, value in self.app_state.items() if name != KNOWN}

    def handle_websocket_upgrade(self, *arguments: Any) -> None:
        """Give the connection to a protocol for WebSockets, whose handshake is refused or served at once."""
        self._become_known()
        super().handle_websocket_upgrade(*arguments)  # type: ignore[misc]  # uvicorn's

    def _unsupported_upgrade_warning(self) -> None:
        """Log no offer that is passed over (RFC 9110, section 7.8): `curl --http2` makes it each time."""

    # Time

    def check_deadline(self, now: float) -> None:
        """End the connection if it has waited too long; called every second or so."""
        if self._refused or self.transport.is_closing():
            return
        current = self.stage()
        if current != self._last_stage or (
            current[0] is Stage.BODY and self._received - self._marked >= BODY_BYTES
        ):
            self._last_stage, self._since, self._marked = current, now, self._received
            return
        limit = SECONDS.get(current[0], IDLE_SECONDS if self.strange else None)
        if limit is not None and now - self._since >= limit:
            self._end(current[0])

    def _end(self, stage: Stage) -> None:
        if stage is Stage.HEAD:
            detail = f"expected a whole head within {HEAD_SECONDS:.0f} s, a part came: send the request anew"
            self.refuse(problem(408, "TooSlow", detail), linger=False)
        elif stage is Stage.BODY:
            detail = f"expected {BODY_BYTES} bytes of the body in {BODY_SECONDS:.0f} s, fewer came"
            self.refuse(problem(408, "TooSlow", detail), linger=False)
        elif stage is Stage.BUSY:
            self.transport.abort()
        else:
            self.transport.close()

    def shutdown(self) -> None:
        """Close, because the server stops; a body that has begun gets a moment to arrive."""
        if self.stage()[0] is Stage.BODY:
            self.loop.call_later(_STOP_SECONDS, self._stop_body)
        super().shutdown()  # type: ignore[misc]  # uvicorn's

    def _stop_body(self) -> None:
        if not self.transport.is_closing() and self.stage()[0] is Stage.BODY:
            self.refuse(_unavailable(_STOPPING, "Stopping"), linger=False)

    # Refusals

    def refuse(self, reply: Reply, *, linger: bool = True) -> None:
        """Answer instead of the application what cannot be a request, and end the connection.

        Args:
            reply: whole.
            linger: the client may be sending still: let that go by for a while, or it is reset by
                the kernel before it has read the reply (RFC 9112, section 9.6).
        """
        if self._refused or self.transport.is_closing():
            return
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete and not cycle.more_body:
            self._refused = True
            cycle.keep_alive = False  # the request before is owed its reply
        else:
            self._answer(raw(reply, self.server_state.default_headers), linger)

    def _answer(self, reply: bytes, linger: bool) -> None:
        self._refused = True
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True  # the application is never given a part as the whole
            cycle.message_event.set()
            if cycle.response_started or getattr(self, "pipeline", None):
                self.transport.close()
                return
        self.transport.write(reply)
        self._leave(linger)

    def _leave(self, linger: bool) -> None:
        if not linger:
            self.transport.close()
            return
        self.flow.resume_reading()
        with contextlib.suppress(OSError, RuntimeError):
            self.transport.write_eof()
        self.loop.call_later(_LINGER_SECONDS, self.transport.abort)

    def refuse_head(self) -> None:
        """Answer that the head is too long."""
        self.refuse(problem(431, "HeadTooLong", _TOO_LONG))

    def refuse_syntax(self) -> None:
        """Answer that this is no HTTP."""
        self.refuse(problem(400, "BadRequest", "expected an HTTP/1.1 request, got something else"))

    def turn_away(self) -> None:
        """Answer that there is no room, and close, whatever is going on."""
        if self._refused or self.transport.is_closing():
            self.transport.abort()
        else:
            self._answer(_NO_ROOM_REPLY, linger=True)

    def abort(self) -> None:
        """Close at once."""
        self.server_state.connections.discard(self)
        self.transport.abort()


def with_book(options: Mapping[str, Any]) -> Connections:
    """Return the book among a protocol's options, or one of its own that bounds nothing."""
    book: Connections | None = options.get("book")
    return book or Connections()
