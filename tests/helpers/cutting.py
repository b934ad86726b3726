"""Requests whose body is cut, sent by hand: where a body may be cut, and how a connection may end."""

import socket
import struct
from collections.abc import Iterator, Mapping
from typing import NamedTuple

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
