"""The guard as ASGI middleware, around everything else.

Owns the security headers, the counting and the access log. One wrapper around `send` does all three:
every byte of every viewer passes through it.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import time
from collections.abc import Awaitable, Callable, Collection

from runcast.server.connections import KNOWN
from runcast.server.guard import PASSED, Guard, Verdict
from runcast.server.metrics import Metrics
from runcast.server.proxies import PEER
from runcast.server.raw_request import hide_token
from runcast.server.replies import problem
from runcast.web.http.asgi_types import Message, Receive, Scope, Send
from runcast.web.http.handover import EXTENSION as HANDOVER
from runcast.web.http.messages import Reply
from runcast.web.http.origins import READS_ONLY
from runcast.web.http.person import PERSON
from runcast.web.http.repeat_append import RepeatAppend, wrap
from runcast.web.http.share import SHARED

__all__ = ["SECURITY_HEADERS", "Guarded"]

App = Callable[[Scope, Receive, Send], Awaitable[None]]

SECURITY_HEADERS = (
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-resource-policy", "same-origin"),
)
_HEADERS = [(name.encode(), value.encode()) for name, value in SECURITY_HEADERS]
_REFUSED_CODE = 1008  # of a WebSocket's close: policy violation

log = logging.getLogger("runcast.server")
access = logging.getLogger("runcast.access")


class Guarded:
    """An ASGI application behind the guard.

    Args:
        app: the application behind it.
        guard: decides which requests may pass.
        metrics: counts the replies.
        open_paths: passed without a token.
        log_requests: write a line to the log `runcast.access` for each request.
    """

    def __init__(
        self,
        app: App,
        guard: Guard,
        metrics: Metrics,
        *,
        open_paths: Collection[str] = (),
        log_requests: bool = False,
    ) -> None:
        self._app, self._guard, self._metrics = app, guard, metrics
        self._open_paths = frozenset(open_paths)
        self._log_requests = log_requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection, or pass it on."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        began = time.monotonic()
        is_open = scope["path"] in self._open_paths and scope.get("method") in ("GET", "HEAD")
        verdict = PASSED if is_open else self._check(scope)
        reply, status = verdict.reply, 0
        if reply is None:
            wrap(scope, None if self._log_requests else self._around)
            if self._log_requests:  # when it has ended
                (scope.get("extensions") or {}).pop(HANDOVER, None)

        async def send_more(message: Message) -> None:
            nonlocal status
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                status = message["status"]
                _add_headers(message, verdict.cookie)
                self._metrics.count(scope.get("method", "GET"), status, refused=reply is not None)
            elif message["type"] == "websocket.accept":
                status = 101
                self._metrics.count("GET", status, refused=False)
            await send(message)

        try:
            if reply is not None:
                await _send_reply(reply, scope, receive, send_more)
            else:
                await self._app(scope, receive, send_more)
        except asyncio.CancelledError:  # the server stops, and its grace period is over
            if status or scope["type"] != "http":
                raise
            await _send_reply(_busy("the server stops"), scope, receive, send_more)
        except Exception as error:
            if not status and scope["type"] == "http":
                if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
                    await _send_reply(_busy("too many files are open"), scope, receive, send_more)
                    return
                await _send_reply(_failed(), scope, receive, send_more)
            raise  # the server logs it
        finally:
            if self._log_requests:
                self._log_request(scope, status, time.monotonic() - began)

    def _around(self, repeat: RepeatAppend) -> RepeatAppend:
        def counted(number: str | None, body: bytes) -> Reply | None:
            try:
                reply = repeat(number, body)
            except Exception:
                log.exception("an append failed")
                reply = _failed()
            if reply is None:
                return None
            self._metrics.count("POST", reply.status, refused=False)
            return reply.adding(SECURITY_HEADERS)

        return counted

    def _log_request(self, scope: Scope, status: int, seconds: float) -> None:
        """Log one request. Values of the client go through `repr`: no line breaks, no escape sequences."""
        query = hide_token(scope.get("query_string", b"").decode("latin-1"))
        method = scope.get("method", "WEBSOCKET")
        target = scope.get("root_path", "") + _raw_path(scope) + (f"?{query}" if query else "")
        access.info(
            "%r %s %r %d %.3f s",
            _client(scope),
            method if method.isalpha() else repr(method),
            self._guard.hide(target),
            status,
            seconds,
        )

    def _check(self, scope: Scope) -> Verdict:
        headers = [
            (name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope["headers"]
        ]
        verdict = self._guard.check(
            scope.get("method", "GET"),
            _raw_path(scope),
            scope.get("query_string", b"").decode("latin-1"),
            headers,
            time.monotonic(),
            scope.get("scheme", "http"),
            scope.get(PEER, ""),
            scope.get("root_path", ""),
        )
        if verdict.note:
            log.warning("%s from %r", verdict.note, _client(scope))
        if verdict.reads_only:
            scope[READS_ONLY] = True
        if verdict.shared:
            scope[SHARED] = True
        if verdict.person is not None:
            scope[PERSON] = verdict.person
        if (
            verdict.reply is None and verdict.known and scope.get("method") != "OPTIONS"
        ):  # which may be a preflight, from any client
            known = (scope.get("state") or {}).get(KNOWN)
            if known is not None:
                known()
        return verdict


def _failed() -> Reply:
    return problem(500, "Failed", "the server could not do this: its own log has the reason")


def _busy(why: str) -> Reply:
    return problem(503, "Busy", f"the server cannot do this now, {why}: try again", [("Retry-After", "1")])


def _add_headers(message: Message, cookie: str) -> None:
    headers = list(message.get("headers", ()))
    if cookie:
        headers.append((b"set-cookie", cookie.encode()))
    there = {name.lower() for name, _ in headers}
    message["headers"] = headers + [header for header in _HEADERS if header[0] not in there]


async def _send_reply(reply: Reply, scope: Scope, receive: Receive, send: Send) -> None:
    """Send a whole reply; answer a WebSocket's handshake with it where the server can, else close it."""
    prefix = ""
    if scope["type"] == "websocket":
        await receive()  # websocket.connect
        if "websocket.http.response" not in scope.get("extensions", {}):
            await send({"type": "websocket.close", "code": _REFUSED_CODE})
            return
        prefix = "websocket."
    headers = [(name.lower().encode(), value.encode("latin-1", "replace")) for name, value in reply.headers]
    headers.append((b"content-length", b"%d" % len(reply.body)))
    await send({"type": f"{prefix}http.response.start", "status": reply.status, "headers": headers})
    body = b"" if scope.get("method") == "HEAD" else reply.body
    await send({"type": f"{prefix}http.response.body", "body": body})


def _raw_path(scope: Scope) -> str:
    raw: bytes | None = scope.get("raw_path")
    if raw is None:
        from urllib.parse import quote

        return quote(scope["path"])
    return raw.partition(b"?")[0].decode("latin-1")


def _client(scope: Scope) -> str:
    client = scope.get("client")
    return str(client[0]) if client else ""
