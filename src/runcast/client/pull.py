"""Read a stream from any server of the Durable Streams protocol, to its end, each byte once.

Owns the offset, which is opaque, and how many bytes of a reply were passed on before the connection
failed: bytes at an offset never change, so that the next reply is read from behind them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from runcast.client.remote_stream import BadReply, RemoteStream
from runcast.errors import UsageError
from runcast.wire.durable_json import messages

if TYPE_CHECKING:
    import httpx2

__all__ = ["pull_stream"]

_GONE = 410


def pull_stream(stream: RemoteStream, give: Callable[[bytes], None], offset: str = "-1") -> None:
    """Read a stream until it is closed.

    Args:
        stream: the stream.
        give: called with bytes, as they come; JSON messages come one per line.
        offset: where to begin.

    Raises:
        ServerUnreachable, RuncastError: it cannot be read, or not any more.
    """
    reader = _Reader(stream, give, offset)
    while not reader.closed:
        reader.read()


class _Reader:
    def __init__(self, stream: RemoteStream, give: Callable[[bytes], None], offset: str) -> None:
        self._stream, self._give = stream, give
        self._offset = offset
        self._cursor: str | None = None
        self._given = 0  # bytes of the reply at `_offset` that were passed on before the connection failed
        self._live = False
        self.closed = False

    def read(self) -> None:
        """Make one request: read what there is, or wait for more."""
        query = {"offset": self._offset}
        if self._live:
            query["live"] = "long-poll"
            if self._cursor is not None:
                query["cursor"] = self._cursor
        self._stream.request("GET", self._handle, query=query)

    def _handle(self, reply: httpx2.Response) -> None:
        if reply.status_code not in (200, 204):
            raise self._stream.refusal(reply)
        headers = reply.headers
        following = headers.get("stream-next-offset")
        if following is None:
            raise UsageError(
                f"expected a stream of the Durable Streams protocol at {self._stream.url}, got "
                f"{headers.get('content-type') or 'something else'}: check the address"
            )
        if reply.status_code == 200:
            self._take(reply)
        else:
            reply.read()  # to its end, or the connection could not be reused
        self._offset, self._given = following, 0
        self._cursor = headers.get("stream-cursor", self._cursor)
        self._live = "stream-up-to-date" in headers
        self.closed = headers.get("stream-closed", "").lower() == "true"

    def _take(self, reply: httpx2.Response) -> None:
        if reply.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json":
            try:
                lines = messages(reply.read())
            except UsageError as error:
                raise BadReply(str(error)) from None
            self._give(lines)
            return
        passed = 0
        for data in reply.iter_bytes():
            fresh = data[max(self._given - passed, 0) :]
            passed += len(data)
            if fresh:
                self._give(fresh)
                self._given += len(fresh)
