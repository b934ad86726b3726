"""Append to a stream on a server, exactly once, through failures of the network and the server.

Owns the producer: a unique id, and a sequence number for each request. A request that got no reply
is sent again, with the same number and the same bytes, and the server drops duplicates. Meanwhile
further output is buffered up to a bound; then its writer waits, as at any pipe.
"""

from __future__ import annotations

import secrets
import threading
from typing import TYPE_CHECKING

from runcast.client.remote_stream import RemoteStream
from runcast.errors import UsageError

if TYPE_CHECKING:
    import httpx2

__all__ = ["Backlog", "Pusher"]

REQUEST_BYTES = 256 * 1024  # of output in one request
BACKLOG_BYTES = 1024 * 1024  # buffered while a request is pending, or the server unreachable


class Backlog:
    """A bounded buffer between the thread that reads output and the one that sends it."""

    def __init__(self, most: int = BACKLOG_BYTES) -> None:
        self._most = most
        self._data = bytearray()
        self._changed = threading.Condition()
        self._ended = False

    def put(self, data: bytes) -> None:
        """Add bytes; blocks while the buffer is full."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._data) < self._most or self._ended)
            self._data += data
            self._changed.notify_all()

    def end(self) -> None:
        """Mark the end of the output."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def take(self, most: int = REQUEST_BYTES) -> tuple[bytes, bool]:
        """Wait for bytes; return some, and whether they are the last."""
        with self._changed:
            self._changed.wait_for(lambda: self._data or self._ended)
            data = bytes(self._data[:most])
            del self._data[:most]
            self._changed.notify_all()
            return data, self._ended and not self._data


class Pusher:
    """Appends to one stream as an idempotent producer.

    Attributes:
        sent: how many bytes the server has acknowledged.
        page: the address of its page, for people.
    """

    def __init__(self, stream: RemoteStream, content_type: str = "text/plain") -> None:
        self._stream = stream
        self._content_type = content_type
        self._id = f"runcast-{secrets.token_hex(8)}"
        self._number = 0
        self.sent = 0
        self.page = stream.url

    def create(self) -> None:
        """Create the stream, unless it exists and is open.

        Raises:
            RuncastError: it is closed, or cannot be created.
        """
        self._stream.request("PUT", self._on_create, headers={"Content-Type": self._content_type})

    def _on_create(self, reply: httpx2.Response) -> None:
        reply.read()  # to its end, here and below, or the connection could not be reused
        if reply.status_code in (200, 201):
            self._note_page(reply)
        elif reply.status_code == 409:  # another client created it, with other settings
            self._stream.request("HEAD", self._on_head)
        else:
            raise self._stream.refusal(reply)

    def _on_head(self, reply: httpx2.Response) -> None:
        reply.read()
        if reply.status_code != 200:
            raise self._stream.refusal(reply)
        if reply.headers.get("stream-closed", "").lower() == "true":
            raise UsageError(f"expected an open stream at {self._stream.url}, it is closed: name another")
        self._content_type = reply.headers.get("content-type", self._content_type)
        if self._content_type.partition(";")[0].strip().lower() == "application/json":
            raise UsageError(
                f"expected a stream of bytes at {self._stream.url}, it has JSON messages: name another"
            )
        self._note_page(reply)

    def _note_page(self, reply: httpx2.Response) -> None:
        link = reply.links.get("alternate", {}).get("url")
        if link:
            self.page = self._stream.origin + link if link.startswith("/") else link

    def send(self, data: bytes, *, close: bool = False) -> None:
        """Append bytes, or close the stream, or both; return when the server has acknowledged them.

        Raises:
            ServerUnreachable: the server did not answer for longer than the patience.
            RuncastError: it refuses further bytes.
        """
        headers = {
            "Producer-Id": self._id,
            "Producer-Epoch": "0",
            "Producer-Seq": str(self._number),
        }
        if data:
            headers["Content-Type"] = self._content_type
        if close:
            headers["Stream-Closed"] = "true"
        self._stream.request("POST", self._on_append, headers=headers, body=data)
        self._number += 1
        self.sent += len(data)

    def _on_append(self, reply: httpx2.Response) -> None:
        reply.read()
        if reply.status_code not in (200, 204):
            raise self._stream.refusal(reply)

    def run(self, backlog: Backlog, *, close: bool = True) -> None:
        """Send the bytes of a backlog until its end, and close the stream then.

        Raises:
            RuncastError: as `send` does.
        """
        while True:
            data, last = backlog.take()
            if data or (last and close):
                self.send(data, close=last and close)
            if last:
                return
