"""uvicorn's protocol for httptools, with a bound on the bytes of a request's head.

The parser buffers an incomplete header and uvicorn keeps all headers, so a head that is too long must be
found before it is parsed. Owns the count. Input is parsed in pieces: a head that is complete within one
piece is short enough, one that continues is counted. Most requests come in one piece, from clients that
have passed the guard on the same connection, and are not counted. Clocks and replies are
bounded_protocol.py's, replies without chunks until_closed.py's.
"""

from __future__ import annotations

from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from runcast.server.bounded_protocol import HEAD_BYTES, HEAD_LINES, Bounded, Stage, with_book
from runcast.server.until_closed import UntilClosed

__all__ = ["CountedProtocol"]

_PIECE = 64 * 1024  # of a client that has passed the guard
_STRANGE_PIECE = 4 * 1024  # as so many short lines or requests it takes half a MiB
_LINE_COST = 128  # bytes that a header takes beside its own
_CHUNK_BYTES = 16  # around a chunk that has no extension; a client may send small ones

Headers = list[tuple[bytes, bytes]]


class _TooLong(Exception):
    pass


class CountedProtocol(Bounded, HttpToolsProtocol):
    """uvicorn's protocol, bounded."""

    # Each request has another list of headers, so the list identifies the request.
    _begun: Headers | None = None  # of the last whose head was whole
    _ended: Headers | None = None  # and of the last that was whole
    _careful = True  # check each piece: the client is unknown, or its last request incomplete
    _head = 0  # bytes of the head so far, and of what else is not the body
    _chunks = 0
    _payload = 0  # bytes of bodies
    _extension = 0  # bytes of the first chunk's header while it is not whole
    _named = 0  # headers of the head; later ones are trailers
    _rest = b""  # received, and parsed once the requests before are answered

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._book = with_book(options)
        options.pop("book", None)
        super().__init__(*arguments, **options)

    def stage(self) -> tuple[Stage, int]:
        """Return what it waits for, and of which request."""
        headers = self.headers
        if headers is not self._begun:
            stage = Stage.HEAD
        elif headers is not self._ended:
            stage = Stage.BUSY if self.flow.read_paused else Stage.BODY
        elif headers is None:
            stage = Stage.FRESH
        else:
            stage = Stage.IDLE if self.cycle is None or self.cycle.response_complete else Stage.BUSY
        return stage, id(headers)

    def on_headers_complete(self) -> None:
        """Begin the request."""
        before = self.cycle
        super().on_headers_complete()
        if self.cycle is not before and self.scope["http_version"] == "1.0":
            self.cycle.__class__ = UntilClosed

    def on_response_complete(self) -> None:
        """Begin the next request that waits. The sweep knows how long a connection is idle."""
        self.server_state.total_requests += 1
        if not self.transport.is_closing():
            self.flow.resume_reading()
            if self.pipeline:
                self._start_asgi_task(*self.pipeline.pop())
            if self._rest and not self.pipeline:
                self.loop.call_soon(self._take_rest)

    def data_received(self, data: bytes) -> None:
        """Parse the bytes received."""
        size = len(data)
        self._received += size
        if self._rest:
            self._rest += data
            self.flow.pause_reading()
            return
        if self._careful or size > _PIECE:
            self._take_carefully(data)
            return
        try:
            self.parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._stop_parsing(error)
        self._careful = self.headers is not self._ended

    def _take_carefully(self, data: bytes) -> None:
        view, size = memoryview(data), _STRANGE_PIECE if self.strange else _PIECE
        self._careful = True
        for at in range(0, len(data), size):
            if self._refused or self.transport.is_closing():
                return
            if self.strange and self.pipeline:  # each that waits takes more memory than it has bytes
                self._rest = bytes(view[at:])
                return
            if not self._take_piece(view[at : at + size]):
                return
        self._careful = self.strange or self.headers is not self._ended
        if self.strange:
            self._weigh()

    def _take_rest(self) -> None:
        data, self._rest = self._rest, b""
        self._take_carefully(data)

    def _take_piece(self, piece: memoryview) -> bool:
        before, in_head = self.headers, self.headers is not self._begun
        payload, chunks = self._payload, self._chunks
        try:
            self.parser.feed_data(piece)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._stop_parsing(error)
            return False
        if self.headers is not self._begun:
            if before is None:
                self._head = len(piece)
            elif in_head and before is self.headers:
                self._head += len(piece)
            else:  # it began behind the end of another: how long it is will be seen when it is whole
                self._head = 0
            if self._head > HEAD_BYTES or len(self.headers) > HEAD_LINES:
                self.refuse_head()
                return False
        elif self._chunks and before is self.headers and not in_head:
            framing = len(piece) - (self._payload - payload) - _CHUNK_BYTES * (self._chunks - chunks)
            framing -= self._take_trailers()
            self._head += max(framing, 0)
            if self._head > HEAD_BYTES:
                self.refuse_head()
                return False
        elif (
            before is self.headers
            and not in_head
            and self.headers is not self._ended
            and payload == self._payload
        ):
            self._extension += len(piece)
            if self._extension > HEAD_BYTES:
                self.refuse_head()
                return False
        return True

    def _stop_parsing(self, error: Exception) -> None:
        if isinstance(error, httptools.HttpParserUpgrade):
            if self._should_upgrade():
                self.handle_websocket_upgrade()
        elif isinstance(error.__context__, _TooLong):
            self.refuse_head()
        else:
            self.refuse_syntax()

    def _weigh(self) -> None:
        """Note what the request takes that is not whole."""
        pending = 0
        if self.headers is not self._begun:
            pending = self._head + _LINE_COST * len(self.headers)
        elif self.headers is not self._ended and self.cycle is not None:
            pending = len(self.cycle.body)
        if pending != self.pending and self.strange:
            self._book.weigh(self, pending)

    def _check_head(self) -> None:
        self._head = len(self.url) + _length(self.headers)
        if self._head > HEAD_BYTES or len(self.headers) > HEAD_LINES:
            raise _TooLong

    # Bodies in chunks

    def on_chunk_header(self) -> None:
        """Count a chunk; only bodies in chunks have any."""
        if not self._chunks:
            self._head, self._extension = len(self.url) + _length(self.headers), 0
            self._named = len(self.headers)
        self._chunks += 1

    def _take_trailers(self) -> int:
        """Take the trailers from among the headers, which they must not become (RFC 9110, section 6.5.1)."""
        trailers = self.headers[self._named :]
        del self.headers[self._named :]
        length = _length(trailers)
        self._head += length
        return length

    def _end_chunks(self) -> None:
        self._take_trailers()
        self._chunks = 0
        if self._head > HEAD_BYTES:
            raise _TooLong


def _length(headers: Headers) -> int:
    return sum(len(name) + len(value) + 4 for name, value in headers)
