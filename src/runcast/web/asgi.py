"""Runs over ASGI: HTTP and WebSocket, mountable anywhere, without a lifespan.

Owns the translation, and the race between what is sent and a client that leaves: no ASGI server
raises from `send` after that, so `receive` is always listened to. Feeding live replies is
the part of web/live/feeds.py.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import Any

from runcast.errors import RuncastError
from runcast.own_thread import in_pool
from runcast.runs import Store
from runcast.web.adapters.beside import own_path, own_prefix
from runcast.web.adapters.runcast_app import RuncastApp
from runcast.web.adapters.uploads import body_file_for, is_upload, with_form
from runcast.web.adapters.websocket import POLICY
from runcast.web.api.authorize import Authorize, allow_all
from runcast.web.api.commands import Commands
from runcast.web.api.durable.routes import APPEND_BYTES
from runcast.web.api.durable.waits import may_be_at_once
from runcast.web.api.log_reply import problem_reply
from runcast.web.http.asgi_types import ASGIApp, Receive, Scope, Send
from runcast.web.http.bodies import BodyIncomplete, BodyTooLarge, check_whole, parse_length
from runcast.web.http.body_file import BodyFile
from runcast.web.http.handover import SocketConnection, take
from runcast.web.http.messages import BODY_BYTES, Reply, Request
from runcast.web.http.origins import READS_ONLY
from runcast.web.http.paths import is_stream
from runcast.web.http.repeat_append import offer
from runcast.web.live.feeds import Feeds
from runcast.web.servers.advice import advise_asgi
from runcast.web.servers.heads import asgi_needs_part
from runcast.web.servers.left_running import log_now
from runcast.wire.negotiation import TRAILERS

__all__ = [
    *("RunsASGI", "read_body", "receive_body"),
    *("gone", "send_reply", "serve_socket"),
]

_LINGER_SECONDS = 2.0  # what a client sends meanwhile is passed over; a longer body loses its answer
_TRAILERS = "http.response.trailers"  # an extension of ASGI, and its message


class RunsASGI(RuncastApp):
    """The whole API as an ASGI application, without access control; see `RuncastApp` for the arguments."""

    sockets = True

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
        self.screens = bool(self.origins)  # else the application that mounts this does it
        self.feeds = Feeds()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection."""
        if scope["type"] == "websocket":
            await serve_socket(self, self.feeds, to_request(scope, b""), scope, receive, send)
        elif scope["type"] == "http":
            durable = is_stream(relative_path(scope))
            bare = to_request(scope, b"")
            request = await receive_request(
                self, bare, scope, receive, send, APPEND_BYTES if durable else BODY_BYTES
            )
            if request is None:
                return
            reply = await self.serve_async(request, self.feeds, lambda: gone(receive))
            if durable and self.responder.at_once and may_be_at_once(request) and reply.status in (200, 204):
                offer(scope, self.durable.repeat_append(request))
            await send_reply(reply, self.feeds, scope, receive, send)
        else:
            await _lifespan(self, receive, send)

    async def stream(
        self, scope: Scope, receive: Receive, send: Send, source: Any, *args: Any, **options: Any
    ) -> None:
        """Answer as a view that streams: start a run and show it; see `RuncastApp.view` for the options."""
        request = to_request(scope, b"")
        view = f"asgi:{request.root}{request.path}"
        reply = await self.view_async(request, view, source, args, **options)
        await send_reply(reply, self.feeds, scope, receive, send)

    def beside(self, app: ASGIApp, *, prefix: str = "") -> ASGIApp:
        """Return an application that has the API at its paths, and another application everywhere else.

        What would change something is refused there where a page of another site sent it.

        Args:
            app: has all other paths, and the lifespan.
            prefix: below which path `/runs` and `/v1/stream` are.

        Raises:
            UsageError: the prefix does not begin with a slash.
        """
        below = own_prefix(prefix)
        self.mounted, self.screens = below, True

        async def both(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "lifespan":
                await app(scope, partial(self._until_shutdown, receive), send)
            elif (path := own_path(relative_path(scope), below, self.rules)) is None:
                await app(scope, receive, send)
            else:
                root = scope.get("root_path", "").rstrip("/") + below
                await self({**scope, "root_path": root, "path": root + path}, receive, send)

        return both

    async def _until_shutdown(self, receive: Receive) -> Any:
        message = await receive()
        if message["type"] == "lifespan.shutdown":
            log_now(self.store)
        return message

    def shutdown(self) -> None:
        """Have every live reply end itself, now and from now on; call it in the event loop."""
        self.feeds.shutdown()


async def serve_socket(
    app: RuncastApp, feeds: Feeds, request: Request, scope: Scope, receive: Receive, send: Send
) -> None:
    """Serve a WebSocket of an ASGI server."""
    await receive()  # websocket.connect
    socket = _Socket(scope, receive, send)
    await app.serve_socket(request, feeds, socket, reads_only=scope.get(READS_ONLY, False))


class _Socket:
    """A WebSocket as ASGI has it (ASGI specification, "WebSocket")."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope, self._receive, self._send = scope, receive, send

    async def accept(self, subprotocol: str | None = None) -> None:
        await self._send({"type": "websocket.accept", "subprotocol": subprotocol})

    async def refuse(self, reply: Reply, reason: str) -> None:
        if "websocket.http.response" not in self._scope.get("extensions", {}):
            await self._send({"type": "websocket.close", "code": POLICY, "reason": reason[:120]})
            return
        headers = _encoded(reply.headers)
        await self._send(
            {"type": "websocket.http.response.start", "status": reply.status, "headers": headers}
        )
        await self._send({"type": "websocket.http.response.body", "body": reply.body})

    async def receive(self) -> str | bytes | None:
        message = await self._receive()
        if message["type"] != "websocket.receive":
            return None
        text: str | None = message.get("text")
        return message.get("bytes", b"") if text is None else text

    async def send(self, text: str) -> None:
        await self._send({"type": "websocket.send", "text": text})

    def hand_over(self) -> SocketConnection | None:
        connection = take(self._scope)
        return connection if isinstance(connection, SocketConnection) else None

    async def close(self, code: int) -> None:
        await self._send({"type": "websocket.close", "code": code})


async def _lifespan(cast: RuncastApp, receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.shutdown":
            log_now(cast.store)
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
    peer = str((scope.get("client") or ("",))[0] or "")
    return Request(scope.get("method", "GET"), path, root, query, headers, body, scheme, scope, peer)


def relative_path(scope: Scope) -> str:
    """Return the path below where the application is mounted."""
    root = scope.get("root_path", "").rstrip("/")
    path: str = scope["path"]
    if (
        root and path.startswith(root) and path[len(root) : len(root) + 1] in ("", "/")
    ):  # servers and frameworks differ in whether the path includes it
        return path[len(root) :]
    return path


async def read_body(scope: Scope, receive: Receive, limit: int = BODY_BYTES) -> bytes:
    """Return the request's body.

    Raises:
        BodyTooLarge: by its `Content-Length`, or found while reading.
        BodyIncomplete: the client left before all of it had come, or the server ended it too early.
        UsageError: its length is no number.
    """
    if scope.get("method") in ("GET", "HEAD"):
        return b""
    length = _length(scope, limit)
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


def _length(scope: Scope, limit: int) -> int | None:
    length = None
    for name, value in scope["headers"]:
        if name.lower() == b"content-length":
            length = parse_length(value.decode("latin-1"), limit)
    return length


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


async def receive_request(
    cast: RuncastApp, request: Request, scope: Scope, receive: Receive, send: Send, limit: int
) -> Request | None:
    """Return a request with its body, that of a form with files on the disk; None as `receive_body`."""
    try:
        file = await in_pool(body_file_for, cast, request) if is_upload(request) else None
        if file is not None:
            await _take_body(file, scope, receive)
            return await in_pool(with_form, request, file)
    except RuncastError as error:
        await _refuse_body(error, receive, send)
        return None
    body = await receive_body(scope, receive, send, limit)
    return None if body is None else replace(request, body=body)


async def _take_body(file: BodyFile, scope: Scope, receive: Receive) -> None:
    length, size = _length(scope, file.limit), 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BodyIncomplete(size, length)
        size += len(message.get("body", b""))
        file.write(message.get("body", b""))
        if not message.get("more_body"):
            file.end(length)
            return


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
    if not trailing and (connection := take(scope)) is not None:
        feeds.adopt(reply.stream, connection)
        return
    if asgi_needs_part():
        await send({"type": "http.response.body", "body": b"", "more_body": True})

    async def push(data: bytes) -> None:
        await send({"type": "http.response.body", "body": data, "more_body": True})

    if await feeds.serve(reply.stream, push, gone(receive)):
        await send({"type": "http.response.body", "body": b""})
        if trailing:
            fields = (reply.stream.trailers or {}).items()
            await send({"type": _TRAILERS, "headers": [(k.lower().encode(), v.encode()) for k, v in fields]})


async def _send_whole(reply: Reply, scope: Scope, send: Send) -> None:
    headers = _encoded(reply.headers)
    if (
        scope.get("http_version", "1.1") >= "2"
    ):  # which has no headers of a connection: RFC 9113, section 8.2.2
        headers = [header for header in headers if header[0] not in (b"connection", b"upgrade")]
    head = scope.get("method") == "HEAD"
    if reply.status not in (204, 304) and reply.stream is None and (reply.body or not head):
        headers.append((b"content-length", b"%d" % len(reply.body)))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head else reply.body})


async def _refuse_body(error: RuncastError, receive: Receive, send: Send) -> None:
    """Answer a request whose body is too long, and let go by for a while what still comes of it.

    A connection that is closed while bytes of it are unread is reset, and then its client, which
    may read only when it has sent, never sees the answer (RFC 9112, section 9.6).
    """
    reply = problem_reply(error)
    headers = [*reply.headers, ("Connection", "close"), ("Content-Length", str(len(reply.body)))]
    await send({"type": "http.response.start", "status": reply.status, "headers": _encoded(headers)})
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
