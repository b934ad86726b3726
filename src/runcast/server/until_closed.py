"""Replies to clients of HTTP/1.0: their end is the end of the connection.

Chunks are not for such a client, which takes the sizes for a part of the body (RFC 9112, section 6.1);
uvicorn's protocol for httptools sends them to it all the same. Owns what is sent in their place, and that
a cut stays seen as one. Without chunks an end is an end, whether the reply was whole, was given up, or its
server killed. So until the kernel has all of it, it is to reset the connection when that is closed, which it
does for a killed process, too (socket(7), SO_LINGER); a Unix socket knows no reset.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

__all__ = ["UntilClosed"]

_RESET: Final = struct.pack("ii", 1, 0)  # struct linger: with nothing to be waited for
_SEND: Final = struct.pack("ii", 0, 0)
_BODILESS: Final = (204, 304)


class UntilClosed(RequestResponseCycle):
    """A request of HTTP/1.0, and its reply; uvicorn's becomes one by its class."""

    _unbounded = False

    async def send(self, message: Any) -> None:
        """Send a message of the application: of a reply without a length, its bytes as they are."""
        if message["type"] == "http.response.start":
            self._begin(message)
        elif self._unbounded:
            self.expected_content_length = len(message.get("body", b""))
            if not message.get("more_body", False):
                await super().send({**message, "more_body": True})  # type: ignore[arg-type]
                await self._drain()
                self._at_close(_SEND)
                message = {"type": message["type"]}
        await super().send(message)

    async def _drain(self) -> None:
        """Return when the kernel has taken everything, or the connection is lost."""
        tls = self.scope["scheme"] == "https"  # where 0 would be reached by nothing
        self.transport.set_write_buffer_limits(1 if tls else 0, 0)
        while self.transport.get_write_buffer_size():
            if self.disconnected or self.transport.is_closing():
                return
            await (self.flow.drain() if self.flow.write_paused else asyncio.sleep(0))

    def _begin(self, message: Any) -> None:
        headers = [*self.default_headers, *message.get("headers", ())]
        if self.response_started or self.scope["method"] == "HEAD" or message["status"] in _BODILESS:
            return
        if all(name.lower() != b"content-length" for name, _ in headers):
            self._unbounded = True
            self.chunked_encoding = False
            self._at_close(_RESET)

    def _at_close(self, how: bytes) -> None:
        one = self.transport.get_extra_info("socket")
        if one is not None and not self.transport.is_closing():
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, how)
