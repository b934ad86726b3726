"""An ASGI application as a server of the client, within the process: replies come as they are sent.

Owns one request and its reply. The application sees a client that reads no faster than it does, and that it
has gone once the reply is closed.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx2

from runcast.web.http.asgi_types import Message, Scope

__all__ = ["InnerTransport"]

_AHEAD = 16  # pieces of a reply that nobody has read yet


class _Exchange:
    def __init__(self, app: Any, scope: Scope, body: bytes) -> None:
        self._body: bytes | None = body
        self._gone = asyncio.Event()
        self._sent: asyncio.Queue[Message | None] = asyncio.Queue(_AHEAD)
        self._failed: BaseException | None = None
        self._task = asyncio.create_task(self._run(app, scope))

    async def _run(self, app: Any, scope: Scope) -> None:
        try:
            await app(scope, self._receive, self._sent.put)
        except Exception as error:  # the reader gets it
            self._failed = error
        await self._sent.put(None)

    async def _receive(self) -> Message:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def next(self) -> Message:
        """Return what the application sends next."""
        message = await self._sent.get()
        if message is None:
            raise self._failed or httpx2.RemoteProtocolError("the reply ended in the middle")
        return message

    async def close(self) -> None:
        """End the request."""
        self._gone.set()
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task


class _Body(httpx2.AsyncByteStream):
    def __init__(self, exchange: _Exchange) -> None:
        self._exchange = exchange

    async def __aiter__(self) -> AsyncIterator[bytes]:
        more = True
        while more:
            message = await self._exchange.next()
            if message["type"] == "http.response.body":
                more = message.get("more_body", False)
                if data := message.get("body"):
                    yield data

    async def aclose(self) -> None:
        await self._exchange.close()


class InnerTransport(httpx2.AsyncBaseTransport):
    """A transport of httpx2 to an application.

    Args:
        app: the application.
        marks: what its scopes have beside what is in a request, such as who sends it.
    """

    def __init__(self, app: Any, marks: Mapping[str, Any]) -> None:
        self._app, self._marks = app, marks

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request; return the head of the reply."""
        target, _, query = request.url.raw_path.partition(b"?")
        scope: Scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": request.method,
            "scheme": request.url.scheme,
            "path": request.url.path,
            "raw_path": target,
            "query_string": query,
            "root_path": "",
            "headers": [(name.lower(), value) for name, value in request.headers.raw],
            "client": None,
            "server": (request.url.host, None),
            **self._marks,
        }
        exchange = _Exchange(self._app, scope, await request.aread())
        try:
            head = await exchange.next()
        except BaseException:
            await exchange.close()
            raise
        return httpx2.Response(head["status"], headers=head.get("headers", []), stream=_Body(exchange))
