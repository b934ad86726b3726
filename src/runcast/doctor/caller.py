"""Requests to a server by the standard library's client, each by a connection of its own.

Owns sockets, heads and the frames of a WebSocket (RFC 6455, section 5), as far as a measurement needs them.
Nothing is retried, followed or decoded. Must not know runs.
"""

from __future__ import annotations

import base64
import contextlib
import json as jsons
import os
import socket
import ssl
import struct
from collections.abc import Iterable, Iterator, Mapping
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import urlsplit

__all__ = ["Caller", "Reply"]

_GARBLED_BYTES = 4096  # of the answer to what is no request: those that are known have 200
_MOST_BYTES = 4 << 20  # of a reply, or a message
_TEXT, _BINARY, _CLOSE, _PING, _PONG = 1, 2, 8, 9, 10


class Reply(NamedTuple):
    """A whole reply."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def header(self, name: str) -> str | None:
        """Return a header by its lower-case name."""
        return self.headers.get(name)

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return jsons.loads(self.body)

    @property
    def problem(self) -> dict[str, Any]:
        """The problem that it is (RFC 9457); empty for none."""
        if self.headers.get("content-type") != "application/problem+json":
            return {}
        with contextlib.suppress(ValueError):
            value = self.json
            return value if isinstance(value, dict) else {}
        return {}


class Caller:
    """Sends requests to one server.

    Args:
        base: its address without a slash at the end.
        token: for each request; None for none.
        timeout: seconds without a byte after which a connection is given up.
    """

    def __init__(self, base: str, token: str | None, timeout: float) -> None:
        self.base, self.token, self._timeout = base, token, timeout
        self._parts = urlsplit(base)

    def _connection(self) -> HTTPConnection:
        host, port = self._parts.hostname or "", self._parts.port
        if self._parts.scheme == "https":
            context = ssl.create_default_context()
            return HTTPSConnection(host, port, timeout=self._timeout, context=context)
        return HTTPConnection(host, port, timeout=self._timeout)

    def _headers(self, more: Mapping[str, str]) -> dict[str, str]:
        return ({} if self.token is None else {"Authorization": f"Bearer {self.token}"}) | dict(more)

    def ask(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] = MappingProxyType({}),
        *,
        json: Any = None,
        pieces: Iterable[bytes] = (),
    ) -> Reply:
        """Return the reply to a request.

        Args:
            method: in upper case.
            path: below the server's address.
            headers: further ones.
            json: a body.
            pieces: a body in chunks, in place of that.

        Raises:
            OSError, HTTPException: there is none.
        """
        sent, body = dict(headers), None if json is None else jsons.dumps(json).encode()
        if body is not None:
            sent["Content-Type"] = "application/json"
        if method == "DELETE":
            sent["X-Runcast"] = "1"
        chunks = list(pieces)
        if chunks:
            sent["Transfer-Encoding"] = "chunked"
        with self.opened(method, path, sent, chunks or body) as response:
            named = {name.lower(): value for name, value in response.getheaders()}
            return Reply(response.status, named, response.read(_MOST_BYTES))

    @contextlib.contextmanager
    def opened(
        self, method: str, path: str, headers: Mapping[str, str], body: Any = None
    ) -> Iterator[HTTPResponse]:
        """Give a response whose body is not read yet; its connection is closed at the end of the block."""
        connection = self._connection()
        try:
            chunked = isinstance(body, list)
            where = f"{self._parts.path}{path}"
            connection.request(method, where, body, self._headers(headers), encode_chunked=chunked)
            yield connection.getresponse()
        finally:
            connection.close()

    @contextlib.contextmanager
    def begun(self, method: str, path: str, headers: Mapping[str, str]) -> Iterator[socket.socket]:
        """Give the socket of a request of which the head was sent; it is closed at the end of the block."""
        connection = self._connection()
        try:
            connection.putrequest(method, f"{self._parts.path}{path}", skip_accept_encoding=True)
            for name, value in self._headers(headers).items():
                connection.putheader(name, value)
            connection.endheaders()
            yield connection.sock
        finally:
            connection.close()

    def garbled(self) -> bytes:
        """Return the answer to what is no request, by the first that reads it, with its head.

        Raises:
            OSError: there is none.
        """
        connection = self._connection()
        try:
            connection.connect()
            connection.sock.sendall(
                f"GET / HTTP/1.1\r\nHost: {self._parts.netloc}\r\nno header\r\n\r\n".encode()
            )
            with connection.sock.makefile("rb") as answer:
                return answer.read(_GARBLED_BYTES)
        finally:
            connection.close()

    @contextlib.contextmanager
    def websocket(self, path: str) -> Iterator[tuple[int, Iterator[bytes]]]:
        """Give the status of a WebSocket's handshake, and its messages where that is 101."""
        key = base64.b64encode(os.urandom(16)).decode()
        upgrade = {"Connection": "Upgrade", "Upgrade": "websocket"}
        upgrade |= {"Sec-WebSocket-Key": key, "Sec-WebSocket-Version": "13"}
        connection = self._connection()
        try:
            connection.request("GET", f"{self._parts.path}{path}", headers=self._headers(upgrade))
            sock = connection.sock  # which a response that has no body drops
            response = connection.response_class(sock, method="GET")
            response.begin()
            yield response.status, _messages(sock, response)
        finally:
            connection.close()


def _messages(sock: socket.socket, response: HTTPResponse) -> Iterator[bytes]:
    """Yield the messages of a server, until it closes or the connection ends; its pings are answered."""
    source = response.fp
    while len(head := source.read(2)) == 2:
        opcode, size = head[0] & 15, head[1] & 127
        if size >= 126:
            size = int.from_bytes(source.read(2 if size == 126 else 8))
        if size > _MOST_BYTES or len(data := source.read(size)) < size or opcode == _CLOSE:
            return
        if opcode == _PING and size < 126:
            sock.sendall(
                struct.pack("!BB4x", 128 | _PONG, 128 | size) + data
            )  # a mask of zeros leaves it as it is
        elif opcode in (0, _TEXT, _BINARY):
            yield data
