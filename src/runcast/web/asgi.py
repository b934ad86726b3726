"""Runs over ASGI: HTTP and WebSocket, mountable anywhere, without a lifespan.

Owns the translation, and the race between what is sent and a client that leaves: no ASGI server
raises from `send` after that, so `receive` is always listened to. Feeding live replies is
`feeds.py`'s.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from runcast.errors import RuncastError
from runcast.own_thread import in_pool
from runcast.store import Store
from runcast.web.adapter import Cast, is_foreign
from runcast.web.again import offer
from runcast.web.bodies import BodyIncomplete, BodyTooLarge, check_whole, parse_length
from runcast.web.commands import Commands
from runcast.web.durable.routes import APPEND_BYTES, is_stream
from runcast.web.durable.waits import answer_async, may_be_at_once
from runcast.web.feeds import Feeds
from runcast.web.http import BODY_BYTES, Reply, Request
from runcast.web.logs import problem_reply
from runcast.web.origins import READS_ONLY
from runcast.web.responder import Authorize, allow_all
from runcast.web.sending import respond_async
from runcast.web.servers import advise_asgi
from runcast.web.websocket import POLICY, serve_websocket
from runcast.wire.formats import TRAILERS

__all__ = [
    *("Receive", "RunsASGI", "Scope", "Send", "read_body", "receive_body"),
    *("send_reply", "serve_async", "serve_socket"),
]

_LINGER_SECONDS = 2.0  # what a client sends meanwhile is passed over; a longer body loses its answer
_TRAILERS = "http.response.trailers"  # an extension of ASGI, and its message

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class RunsASGI(Cast):
    """The whole API as an ASGI application, open to whoever gets here; see `Cast` for the arguments."""

    def __init__(
        self,
        store: Store | str | None = None,
        *,
        commands: Commands | None = None,
        allow_any_command: bool = False,
        authorize: Authorize = allow_all,
        **options: Any,
    ) -> None:
        super().__init__(
            store=store,
            commands=commands,
            allow_any_command=allow_any_command,
            authorize=authorize,
            **options,
        )
        self.screens = bool(self.origins)  # else it is left to whoever mounts this
        self.feeds = Feeds()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection."""
        if scope["type"] == "websocket":
            await serve_socket(self, self.feeds, to_request(scope, b""), scope, receive, send)
        elif scope["type"] == "http":
            durable = is_stream(relative_path(scope))
            body = await receive_body(scope, receive, send, APPEND_BYTES if durable else BODY_BYTES)
            if body is None:
                return
            request = to_request(scope, body)
            reply = await serve_async(self, self.feeds, request, receive)
            if durable and may_be_at_once(request) and reply.status in (200, 204):
                offer(scope, self.durable.again(request))
            await send_reply(reply, self.feeds, scope, receive, send)
        else:
            await _lifespan(receive, send)

    async def stream(
        self, scope: Scope, receive: Receive, send: Send, source: Any, *args: Any, **options: Any
    ) -> None:
        """Answer as a view that streams: start a run and show it; see `Cast.view` for the options."""
        request = to_request(scope, b"")
        view = f"asgi:{request.root}{request.path}"
        reply = await in_pool(self.view, request, view, source, args, **options)
        await send_reply(reply, self.feeds, scope, receive, send)

    def shutdown(self) -> None:
        """Have every live reply end itself, now and from now on; call it in the event loop."""
        self.feeds.shutdown()


async def serve_async(cast: Cast, feeds: Feeds, request: Request, receive: Receive) -> Reply:
    """Answer a request to the API without blocking the event loop."""
    reply = cast.screened(request)
    if reply is None and is_stream(request.path):
        reply = await answer_async(cast.durable, request, feeds, lambda: gone(receive))
    elif reply is None:
        reply = await respond_async(cast.responder, request, feeds)
    return cast.origins.told(request, reply)


async def serve_socket(
    cast: Cast, feeds: Feeds, request: Request, scope: Scope, receive: Receive, send: Send
) -> None:
    """Serve a WebSocket, which the page of another site could read: only a listed one, and it only reads."""
    foreign = scope.get(READS_ONLY, False) or (cast.screens and is_foreign(request))
    if foreign and not cast.origins.may_read("GET", request.path, request.header):
        await receive()
        await send({"type": "websocket.close", "code": POLICY})
        return
    await serve_websocket(cast.responder, feeds, request, scope, receive, send, reads_only=foreign)


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


def to_request(scope: Scope, body: bytes) -> Request:
    """Return an ASGI scope as a request, relative to where the application is mounted."""
    root = scope.get("root_path", "").rstrip("/")
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    query = scope.get("query_string", b"").decode("latin-1")
    scheme = scope.get("scheme", "http")
    path = relative_path(scope)
    return Request(scope.get("method", "GET"), path, root, query, headers, body, scheme, scope)


def relative_path(scope: Scope) -> str:
    """Return the path below where the application is mounted."""
    root = scope.get("root_path", "").rstrip("/")
    path: str = scope["path"]
    if root and path.startswith(root):  # servers and frameworks differ in whether the path includes it
        return path[len(root) :]
    return path


async def read_body(scope: Scope, receive: Receive, limit: int = BODY_BYTES) -> bytes:
    """Return the request's body.

    Raises:
        BodyTooLarge: told by its length, or found while reading.
        BodyIncomplete: the client left before all of it had come, or the server ended it too early.
        UsageError: its length is no number.
    """
    if scope.get("method") in ("GET", "HEAD"):
        return b""
    length = None
    for name, value in scope["headers"]:
        if name.lower() == b"content-length":
            length = parse_length(value.decode("latin-1"), limit)
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BodyIncomplete(size, length)
        part = message.get("body", b"")
        parts.append(part)
        size += len(part)
        if size > limit:
            raise BodyTooLarge(limit)
        if not message.get("more_body"):
            check_whole(size, length)
            return b"".join(parts)


async def receive_body(scope: Scope, receive: Receive, send: Send, limit: int) -> bytes | None:
    """Return the request's body; None where it was refused, and nothing is left to do.

    A body that was cut is answered, too: servers drop what is for somebody who has left, and a
    middleware around us may need a reply.
    """
    try:
        return await read_body(scope, receive, limit)
    except BodyTooLarge as error:
        await _refuse_body(error, receive, send)
    except RuncastError as error:
        await _send_whole(problem_reply(error), scope, send)
    return None


async def send_reply(reply: Reply, feeds: Feeds, scope: Scope, receive: Receive, send: Send) -> None:
    """Send a reply, whole or live; a HEAD gets the headers alone."""
    if reply.stream is None or scope.get("method") == "HEAD":
        await _send_whole(reply, scope, send)
        return
    headers = _encoded(reply.headers)
    advise_asgi()
    start: dict[str, Any] = {"type": "http.response.start", "status": reply.status, "headers": headers}
    trailing = reply.stream.trailers is not None and _TRAILERS in (scope.get("extensions") or {})
    if trailing:
        headers.append((b"trailer", ", ".join(TRAILERS).encode()))
        start["trailers"] = True
    await send(start)

    async def push(data: bytes) -> None:
        await send({"type": "http.response.body", "body": data, "more_body": True})

    if await feeds.serve(reply.stream, push, gone(receive)):
        await send({"type": "http.response.body", "body": b""})
        if trailing:
            fields = (reply.stream.trailers or {}).items()
            await send({"type": _TRAILERS, "headers": [(k.lower().encode(), v.encode()) for k, v in fields]})


async def _send_whole(reply: Reply, scope: Scope, send: Send) -> None:
    headers = _encoded(reply.headers)
    head = scope.get("method") == "HEAD"
    if reply.status not in (204, 304) and reply.stream is None and (reply.body or not head):
        headers.append((b"content-length", b"%d" % len(reply.body)))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head else reply.body})


async def _refuse_body(error: BodyTooLarge, receive: Receive, send: Send) -> None:
    """Answer a request whose body is too long, and let go by for a while what still comes of it.

    A connection that is closed while bytes of it are unread is reset, and then its client, which
    may read only when it has sent, never sees the answer (RFC 9112, section 9.6).
    """
    reply = problem_reply(error)
    told = [*reply.headers, ("Connection", "close"), ("Content-Length", str(len(reply.body)))]
    await send({"type": "http.response.start", "status": reply.status, "headers": _encoded(told)})
    await send({"type": "http.response.body", "body": reply.body, "more_body": True})
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LINGER_SECONDS):
            while (await receive()).get("more_body"):
                pass
    await send({"type": "http.response.body", "body": b""})


def _encoded(headers: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]


async def gone(receive: Receive) -> None:
    """Return when the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass
