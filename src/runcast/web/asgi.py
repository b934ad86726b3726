"""Runs over ASGI: HTTP and WebSocket, mountable anywhere, without a lifespan.

Owns the translation, and the race between what is sent and a client that leaves: no ASGI server
raises from `send` after that, so `receive` is always listened to. Feeding live replies is
`feeds.py`'s.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from runcast.store import Store
from runcast.web.commands import NamedCommand
from runcast.web.feeds import Feeds
from runcast.web.http import BODY_BYTES, BodyTooLarge, Reply, Request
from runcast.web.logs import problem_reply
from runcast.web.responder import Authorize, Responder, allow_all
from runcast.web.websocket import serve_websocket

__all__ = ["Receive", "RunsASGI", "Scope", "Send", "read_body", "send_reply"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class RunsASGI:
    """The whole API as an ASGI application; see `Responder` for the arguments."""

    def __init__(
        self,
        store: Store,
        *,
        commands: Mapping[str, NamedCommand] | None = None,
        allow_any_command: bool = False,
        authorize: Authorize = allow_all,
    ) -> None:
        self.responder = Responder(
            store, commands=commands, allow_any_command=allow_any_command, authorize=authorize
        )
        self.feeds = Feeds()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection."""
        if scope["type"] == "websocket":
            request = to_request(scope, b"")
            await serve_websocket(self.responder, self.feeds, request, scope, receive, send)
        elif scope["type"] == "http":
            try:
                request = to_request(scope, await read_body(scope, receive))
            except BodyTooLarge as error:
                reply = problem_reply(error)
                reply = Reply(reply.status, [*reply.headers, ("Connection", "close")], reply.body)
            else:
                # Reading takes microseconds, the rest may wait for a supervisor or a disk.
                if request.method in ("GET", "HEAD"):
                    reply = self.responder.respond(request)
                else:
                    reply = await asyncio.to_thread(self.responder.respond, request)
            await send_reply(reply, self.feeds, scope, receive, send)
        else:
            await _lifespan(receive, send)

    def shutdown(self) -> None:
        """Have every live reply end itself, now and from now on; call it in the event loop."""
        self.feeds.shutdown()


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


def to_request(scope: Scope, body: bytes) -> Request:
    """Return an ASGI scope as a request, relative to where the application is mounted."""
    root = scope.get("root_path", "").rstrip("/")
    path = scope["path"]
    if root and path.startswith(root):  # servers and frameworks differ in whether the path includes it
        path = path[len(root) :]
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    query = scope.get("query_string", b"").decode("latin-1")
    return Request(scope.get("method", "GET"), path, root, query, headers, body)


async def read_body(scope: Scope, receive: Receive) -> bytes:
    """Return the request's body.

    Raises:
        BodyTooLarge: told by its length, or found while reading.
    """
    if scope.get("method") in ("GET", "HEAD"):
        return b""
    for name, value in scope["headers"]:
        if name.lower() == b"content-length" and value.isdigit() and int(value) > BODY_BYTES:
            raise BodyTooLarge(BODY_BYTES)
    parts, size = [], 0
    while True:
        message = await receive()
        part = message.get("body", b"")
        parts.append(part)
        size += len(part)
        if size > BODY_BYTES:
            raise BodyTooLarge(BODY_BYTES)
        if message["type"] == "http.disconnect" or not message.get("more_body"):
            return b"".join(parts)


async def send_reply(reply: Reply, feeds: Feeds, scope: Scope, receive: Receive, send: Send) -> None:
    """Send a reply, whole or live; a HEAD gets the headers alone."""
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers]
    head = scope.get("method") == "HEAD"
    if reply.stream is None or head:
        if reply.status not in (204, 304) and reply.stream is None:
            headers.append((b"content-length", b"%d" % len(reply.body)))
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if head else reply.body})
        return
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})

    async def push(data: bytes) -> None:
        await send({"type": "http.response.body", "body": data, "more_body": True})

    if await feeds.serve(reply.stream, push, _gone(receive)):
        await send({"type": "http.response.body", "body": b""})


async def _gone(receive: Receive) -> None:
    """Return when the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass
