"""A run over a WebSocket: JSON messages out; stdin, signals and stops in.

Owns one connection. The protocol itself is the server's (ASGI); who may connect was decided
before (Origin first of all: a WebSocket of a foreign page is readable for it).
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from runcast.errors import RuncastError, UsageError
from runcast.own_thread import in_own_thread
from runcast.run import Run
from runcast.web.feeds import Feeds
from runcast.web.logs import log_stream, problem_reply
from runcast.web.responder import NotAllowed, Responder
from runcast.web.streams import LogViewing
from runcast.wire import Ask, Format, Query, Resize, Signal, Stdin, Stop, messages, parse_ask

if TYPE_CHECKING:
    from runcast.web.asgi import Receive, Scope, Send
    from runcast.web.http import Request

__all__ = ["PATH", "POLICY", "VERBS", "serve_websocket"]

PATH: Final = "/runs/{id}/log"
# What `authorize` must allow before a message is obeyed; to connect is to `read`.
VERBS: Final[Mapping[type[Ask], str]] = {Stdin: "send", Resize: "send", Signal: "stop", Stop: "stop"}
_PATH = re.compile(r"/runs/(?P<id>[0-9A-Za-z]+)/log/?\Z")
_ASKS = 16  # of one connection that are being done; with more, it is not listened to
_PATIENCE = 0.5  # seconds that a signal waits for the stdin before it: the program may never take that
_NORMAL, _GOING_AWAY, POLICY = 1000, 1001, 1008  # RFC 6455, section 7.4.1


async def serve_websocket(
    responder: Responder,
    feeds: Feeds,
    request: Request,
    scope: Scope,
    receive: Receive,
    send: Send,
    *,
    reads_only: bool = False,
) -> None:
    """Serve one connection to its end; with `reads_only` nothing that it asks for is done."""
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

    async def obey(ask: Ask | RuncastError, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait([before], timeout=None if isinstance(ask, Stdin) else _PATIENCE)
        if isinstance(ask, RuncastError):
            answer: dict[str, Any] | None = _told(ask)
        else:
            answer = await in_own_thread(_obey, responder, request, run, ask)
        if answer is not None:
            await send({"type": "websocket.send", "text": json.dumps(answer)})

    async def listen() -> None:
        """Take what comes, and see when the client leaves, while a program does not take its stdin."""
        tasks: set[asyncio.Task[None]] = set()

        def ended(task: asyncio.Task[None]) -> None:
            tasks.discard(task)
            if not task.cancelled():
                task.exception()  # the client may be gone: then there is nobody to tell

        stdin: asyncio.Task[None] | None = None  # the last: what is written keeps its order
        try:
            while (message := await receive())["type"] == "websocket.receive":
                ask = _parse(message.get("text"), reads_only)
                task = asyncio.create_task(obey(ask, stdin))
                tasks.add(task)
                task.add_done_callback(ended)
                if isinstance(ask, Stdin):
                    stdin = task
                if len(tasks) >= _ASKS:
                    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()

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


def _parse(text: str | None, reads_only: bool) -> Ask | RuncastError:
    if reads_only:
        return NotAllowed("expected a page of this server: one of another origin may only read")
    try:
        return parse_ask(text if text is not None else b"")
    except RuncastError as error:
        return error


def _told(error: RuncastError) -> dict[str, Any]:
    return {"event": "error", "detail": str(error), "error": type(error).__name__}


def _obey(responder: Responder, request: Request, run: Run, ask: Ask) -> dict[str, Any] | None:
    """Do what a message asks; return what to say if it cannot be done."""
    try:
        responder.check(VERBS[type(ask)], request, run)
        if isinstance(ask, Stdin):
            responder.senders.send(run, ask.data, eof=ask.eof)
        elif isinstance(ask, Signal):
            run.signal(ask.number)
        elif isinstance(ask, Stop):
            options: dict[str, Any] = {"grace": ask.grace, "signal": ask.signal}
            run.stop(**{name: value for name, value in options.items() if value is not None})
        else:
            raise UsageError("expected a run with a terminal to resize, this one writes into pipes")
    except RuncastError as error:
        return _told(error)
    return None


async def _refuse(error: RuncastError, scope: Scope, send: Send) -> None:
    """Refuse a handshake: with a whole HTTP reply where the server can send one."""
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": POLICY, "reason": str(error)[:120]})
        return
    reply = problem_reply(error)
    headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in reply.headers]
    await send({"type": "websocket.http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": reply.body})
