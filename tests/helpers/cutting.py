"""Bodies and messages that are cut, sent by hand: where they may be cut, and how a connection may end."""

import contextlib
import socket
import struct
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.uri import parse_uri

from tests.helpers.wait import MS

LONG = 15000 * MS
_RESET = struct.pack("ii", 1, 0)  # linger for no time: closing sends RST instead of FIN
_CHUNKED = "Transfer-Encoding: chunked"


class Cut(NamedTuple):
    """One way to cut a body: where, the header that frames it, and what is sent of it."""

    where: str
    framing: str
    sent: bytes
    reset: bool = False


def in_chunks(body: bytes) -> list[bytes]:
    """Return a body as chunks: head and data of each, and what ends them.

    A size may begin with zeros (RFC 9112, section 7.1), and `0` alone would be the end.
    """
    half = len(body) // 2
    parts = []
    for data in (body[:half], body[half:]):
        if data:
            parts += [b"00%X\r\n" % len(data), data, b"\r\n"]
    return [*parts, b"0\r\n", b"\r\n"]


def cuts(body: bytes) -> Iterator[Cut]:
    """Yield the ways to cut a body, with and without a length, in and between all of its parts."""
    if body:
        length = f"Content-Length: {len(body)}"
        yield Cut("before the body", length, b"")
        yield Cut("in the middle", length, body[: len(body) // 2])
        yield Cut("before the last byte", length, body[:-1])
        yield Cut("in the middle, by a reset", length, body[: len(body) // 2], reset=True)
    sent = b""
    for part in in_chunks(body):
        yield Cut(f"before {part[:8]!r}", _CHUNKED, sent)
        if len(part) > 1:
            yield Cut(f"in {part[:8]!r}", _CHUNKED, sent + part[: len(part) // 2])
        sent += part


def send(port: int, method: str, path: str, headers: Mapping[str, str], cut: Cut) -> bytes:
    """Send a request and end the sending side; return all that came back, nothing after a reset."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *(f"{k}: {v}" for k, v in headers.items())]
    head = "\r\n".join([*lines, cut.framing, "", ""]).encode()
    with socket.create_connection(("127.0.0.1", port), LONG) as connection:
        connection.sendall(head + cut.sent)
        if cut.reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            return b""
        connection.shutdown(socket.SHUT_WR)
        reply = b""
        try:
            while data := connection.recv(65536):
                reply += data
        except ConnectionResetError:
            pass  # what it has not read of us
        return reply


def frames(message: bytes, *, parts: int = 1) -> bytes:
    """Return a text message of a client's over a WebSocket, in so many frames (RFC 6455, section 5.4)."""
    size = -(-len(message) // parts)
    pieces = [message[at : at + size] for at in range(0, len(message), size)]
    return b"".join(
        Frame(Opcode.CONT if number else Opcode.TEXT, piece, number == len(pieces) - 1).serialize(mask=True)
        for number, piece in enumerate(pieces)
    )


def frame_cuts(message: bytes) -> Iterator[bytes]:
    """Yield beginnings of a message that is sent as one frame or as three, cut in heads and in content.

    At last all that is there but its last frame, and behind that a whole one that closes.
    """
    for parts in (1, 3):
        sent = frames(message, parts=parts)
        for at in [*range(1, 10), *range(10, len(sent) - 10, 7), *range(len(sent) - 10, len(sent))]:
            yield sent[:at]
    begun = Frame(Opcode.TEXT, message, fin=False).serialize(mask=True)
    yield begun
    yield begun + Frame(Opcode.CLOSE, b"\x03\xe8").serialize(mask=True)


def send_frames(port: int, path: str, sent: bytes, *, reset: bool = False) -> None:
    """Open a WebSocket, send bytes, and end the connection; return when the server has ended it, too."""
    protocol = ClientProtocol(parse_uri(f"ws://127.0.0.1:{port}{path}"))
    with socket.create_connection(("127.0.0.1", port), LONG) as connection:
        protocol.send_request(protocol.connect())
        connection.sendall(b"".join(protocol.data_to_send()))
        reply = b""
        while b"\r\n\r\n" not in reply:
            data = connection.recv(65536)
            assert data, reply
            reply += data
        assert reply.startswith(b"HTTP/1.1 101 "), reply
        connection.sendall(sent)
        if reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            return
        connection.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            while connection.recv(65536):
                pass
