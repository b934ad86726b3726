"""A run over a WebSocket: JSON messages out; stdin, signals and stops in.

Owns one connection. The protocol itself is the server's (ASGI); who may connect was decided
before (Origin first of all: a WebSocket of a foreign page is readable for it).
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from runcast.errors import RuncastError, UsageError
from runcast.own_thread import in_own_thread
from runcast.run import Run
from runcast.web.feeds import Feeds
from runcast.web.logs import log_stream, problem_reply
from runcast.web.streams import LogViewing
from runcast.wire import Format, Query, Signal, Stdin, Stop, messages, parse_ask

if TYPE_CHECKING:
    from runcast.web.asgi import Receive, Scope, Send
    from runcast.web.http import Request
    from runcast.web.responder import Responder

__all__ = ["serve_websocket"]

_PATH = re.compile(r"/runs/(?P<id>[0-9A-Za-z]+)/log/?\Z")
_NORMAL, _GOING_AWAY, _POLICY = 1000, 1001, 1008  # RFC 6455, section 7.4.1


async def serve_websocket(
    responder: Responder, feeds: Feeds, request: Request, scope: Scope, receive: Receive, send: Send
) -> None:
    """Serve one connection to its end."""
    await receive()  # websocket.connect
    try:
        run, viewing = _open(responder, request)
    except RuncastError as error:
        await _refuse(error, scope, send)
        return
    await send({"type": "websocket.accept"})

    async def push(data: bytes) -> None:
        for message in messages(data):
            await send({"type": "websocket.send", "text": message})

    async def listen() -> None:
        while (message := await receive())["type"] == "websocket.receive":
            answer = await in_own_thread(_obey, responder, request, run, message.get("text"))
            if answer is not None:
                await send({"type": "websocket.send", "text": json.dumps(answer)})

    if await feeds.serve(viewing, push, listen()):
        code = _GOING_AWAY if feeds.stopping else _NORMAL
        await send({"type": "websocket.close", "code": code})


def _open(responder: Responder, request: Request) -> tuple[Run, LogViewing]:
    match = _PATH.match(request.path)
    if match is None:
        raise UsageError(f"expected a WebSocket at /runs/ID/log, got {request.path[:200]!r}")
    run = responder.find(match["id"], "read", request)
    query = Query.parse(request.parameters)
    return run, LogViewing(log_stream(run, query, Format.WS, None, request))


def _obey(responder: Responder, request: Request, run: Run, text: str | None) -> dict[str, Any] | None:
    """Do what a message asks; return what to say if it cannot be done."""
    try:
        ask = parse_ask(text if text is not None else b"")
        if isinstance(ask, Stdin):
            responder.check("send", request, run)
            responder.senders.send(run, ask.data, eof=ask.eof)
        elif isinstance(ask, Signal):
            responder.check("stop", request, run)
            run.signal(ask.number)
        elif isinstance(ask, Stop):
            responder.check("stop", request, run)
            options: dict[str, Any] = {"grace": ask.grace, "signal": ask.signal}
            run.stop(**{name: value for name, value in options.items() if value is not None})
        else:
            raise UsageError("expected a run with a terminal to resize, this one writes into pipes")
    except RuncastError as error:
        return {"event": "error", "detail": str(error), "error": type(error).__name__}
    return None


async def _refuse(error: RuncastError, scope: Scope, send: Send) -> None:
    """Refuse a handshake: with a whole HTTP reply where the server can send one."""
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": _POLICY, "reason": str(error)[:120]})
        return
    reply = problem_reply(error)
    headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in reply.headers]
    await send({"type": "websocket.http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": reply.body})
