"""The connection of a viewer over a WebSocket: as a `Direct`, with frames, and what its client sends.

Owns the handover from uvicorn's protocol, and the frames of the server. What a client sends is parsed by the
websockets library, by a parser that is made when the first message comes: those who only listen have none.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from runcast.server.direct import GONE, Direct
from runcast.web.http.handover import EXTENSION, SocketConnection

__all__ = ["DirectSocket", "SocketProtocol", "only_pongs"]

_PING_SECONDS = 20.0  # so that no proxy takes a silent connection for a dead one
_CLOSE_SECONDS = 10.0  # that a client has to answer a close
_PING = b"\x89\x00"
# Of uvicorn's protocol, for the handover, and private to it: a version without them serves, with more work.
_NEEDED = ("close_sent", "disconnected", "handshake_complete", "initial_response", "read_paused")
_PONG, _MASKED = 0x8A, 0x80  # of the first two bytes of a frame (RFC 6455, section 5.2)


class DirectSocket(Direct, SocketConnection):
    """A WebSocket that has been handed over; a line of bytes is a text message.

    Args:
        transport: of the connection.
        connections: of the server.
        most: bytes of a message of the client.
    """

    __slots__ = (
        "_answered",
        "_code",
        "_gone",
        "_hear",
        "_held",
        "_most",
        "_parser",
        "_parts",
        "_pings",
        "_text",
    )

    def __init__(self, transport: asyncio.Transport, connections: set[Any], most: int) -> None:
        super().__init__(transport, None, connections)
        self._hear: Callable[[str | bytes], None] | None = None
        self._gone: Callable[[], None] | None = None
        self._code: Callable[[bool], int | None] | None = None
        self._most = most
        self._parser: ServerProtocol | None = None
        self._parts: list[bytes] = []
        self._text = True
        self._answered = True
        self._held = False
        self._pings = _pings.setdefault(asyncio.get_running_loop(), _Pings())
        self._pings.add(self)

    @staticmethod
    def frame(data: bytes) -> bytes:
        """Return a frame for each line."""
        return b"".join([_head(len(line)) + line for line in data.split(b"\n")[:-1]])

    def listen(
        self,
        hear: Callable[[str | bytes], None],
        gone: Callable[[], None],
        code: Callable[[bool], int | None],
    ) -> None:
        """Hear what its client sends."""
        self._hear, self._gone, self._code = hear, gone, code

    def hold(self, *, back: bool) -> None:
        """Read no further messages, or go on."""
        if back is not self._held and not self.transport.is_closing():
            self._held, self._answered = back, True  # what it answered meanwhile was not read
            self.transport.pause_reading() if back else self.transport.resume_reading()

    def ping(self) -> None:
        """Send a ping; a client that has not answered the last one is gone, unless nothing of it is read."""
        if not self._answered and not self._held:
            self.transport.abort()
            return
        self._answered = False
        self.send(_PING)

    def end(self, *, whole: bool) -> None:
        """Close, with the code that there is for it."""
        self.left = None
        self._quit()
        code = None if self._code is None else self._code(whole)
        self._code = None
        if self.transport.is_closing():
            return
        if code is None:
            self._close()
            return
        self.hold(back=False)  # what it answers is to be read
        parser = self._parsing()
        if parser.state is State.OPEN:
            parser.send_close(code)
        self._write(parser)
        asyncio.get_running_loop().call_later(_CLOSE_SECONDS, self.transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._pings.discard(self)
        self._quit()
        super().connection_lost(exc)

    def _quit(self) -> None:
        gone, self._gone, self._hear = self._gone, None, None
        if gone is not None:
            gone()

    # What the client sends

    def data_received(self, data: bytes) -> None:
        """Hear messages, and answer what the protocol answers itself."""
        if self._parser is None and only_pongs(data):
            self._answered = True
            return
        parser = self._parsing()
        parser.receive_data(data)
        for frame in parser.events_received():
            if isinstance(frame, Frame):
                self._take(frame)
        if self._write(parser):
            self._close()

    def _parsing(self) -> ServerProtocol:
        if self._parser is None:
            self._parser = ServerProtocol(state=State.OPEN, max_size=self._most)
        return self._parser

    def _write(self, parser: ServerProtocol) -> bool:
        """Send what the parser has; return whether it is the last: both sides have closed, or one erred.

        Not sooner, when ours has: a client that was still sending would be reset, and lose what it has
        not read.
        """
        last = False
        for data in parser.data_to_send():
            if data:
                self.send(data)
            else:
                last = True
        return last

    def _take(self, frame: Frame) -> None:
        if frame.opcode is Opcode.PONG:
            self._answered = True
        elif frame.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            if frame.opcode is not Opcode.CONT:
                self._parts, self._text = [], frame.opcode is Opcode.TEXT
            self._parts.append(bytes(frame.data))
            if frame.fin and self._hear is not None:
                data, self._parts = b"".join(self._parts), []
                self._hear(data.decode("utf-8", "replace") if self._text else data)


class _Pings:
    """One timer for all connections of an event loop."""

    def __init__(self) -> None:
        self._all: set[DirectSocket] = set()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, one: DirectSocket) -> None:
        """Ping a connection from now on."""
        self._all.add(one)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_PING_SECONDS, self._ping)

    def discard(self, one: DirectSocket) -> None:
        """Ping it no longer."""
        self._all.discard(one)

    def _ping(self) -> None:
        self._timer = None
        for one in tuple(self._all):
            if not one.transport.is_closing():
                one.ping()
        if self._all:
            self._timer = asyncio.get_running_loop().call_later(_PING_SECONDS, self._ping)


_pings: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Pings] = weakref.WeakKeyDictionary()


class SocketProtocol(WebSocketsSansIOProtocol):
    """uvicorn's protocol for WebSockets, which offers the handover."""

    _pieces = 0  # of data that came; the first has the handshake

    def data_received(self, data: bytes) -> None:
        """Take what came."""
        self._pieces += 1
        super().data_received(data)

    def handle_connect(self, event: Any) -> None:
        """Begin, with the offer in the scope."""
        super().handle_connect(event)
        scope = getattr(self, "scope", None)
        if scope is not None and all(hasattr(self, name) for name in _NEEDED):
            me = weakref.ref(self)
            scope["extensions"][EXTENSION] = lambda: (one := me()) and one.hand_over()

    def hand_over(self) -> DirectSocket | None:
        """Give the connection away, whose handshake is over; None where its client has sent something."""
        if not self.handshake_complete or self.close_sent or self.disconnected or self.initial_response:
            return None
        if self._pieces != 1 or not self.queue.empty() or self.transport.is_closing():
            return None
        if self.conn.extensions:  # compressed frames differ from viewer to viewer
            return None
        transport = self.transport
        self.stop_keepalive()
        self.connections.discard(self)
        direct = DirectSocket(transport, self.connections, self.config.ws_max_size)
        if self.read_paused:
            transport.resume_reading()
        self.disconnected, self.transport = True, GONE
        return direct


def _head(length: int) -> bytes:
    """Return the head of a text frame of a server, which is not masked."""
    if length < 126:
        return bytes((0x81, length))
    if length < 65536:
        return b"\x81\x7e" + length.to_bytes(2, "big")
    return b"\x81\x7f" + length.to_bytes(8, "big")


def only_pongs(data: bytes) -> bool:
    """Whether data is whole pongs and nothing else, which needs no parser."""
    at = 0
    while at + 6 <= len(data) and data[at] == _PONG and data[at + 1] & _MASKED and data[at + 1] & 0x7F < 126:
        at += 6 + (data[at + 1] & 0x7F)
    return at == len(data)
