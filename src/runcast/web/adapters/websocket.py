"""A run over a WebSocket: JSON messages out; stdin, signals and stops in. Or a recording, out alone.

Owns one connection, for any server: the protocol itself is the server's, which a `Socket` wraps. Who may
connect was decided before (the Origin first: no browser keeps foreign pages from reading a WebSocket).
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

from runcast.acting import acting
from runcast.errors import RuncastError, SegmentAway, UsageError
from runcast.own_thread import in_own_thread, in_pool
from runcast.run import Run
from runcast.web.api.log_reply import log_view, problem_reply
from runcast.web.api.refusals import NotAllowed
from runcast.web.http.response_stream import is_over
from runcast.web.live.feeds import Feeds
from runcast.web.live.log_stream import LogStream
from runcast.web.live.once_here import here
from runcast.web.responder import Responder
from runcast.wire import (
    WS,
    ClientMessage,
    Form,
    Query,
    Resize,
    Signal,
    Stdin,
    Stop,
    messages,
    negotiate_subprotocol,
    parse_client_message,
)

if TYPE_CHECKING:
    from runcast.web.http.handover import SocketConnection
    from runcast.web.http.messages import Reply, Request

__all__ = ["PATH", "POLICY", "VERBS", "Socket", "serve_websocket"]

PATH: Final = "/runs/{id}/log"
# What `authorize` must allow before a message is obeyed; to connect is to `read`.
VERBS: Final[Mapping[type[ClientMessage], str]] = {
    Stdin: "send",
    Resize: "send",
    Signal: "stop",
    Stop: "stop",
}
_PATH = re.compile(r"/runs/(?P<id>[0-9A-Za-z]+)/log/?\Z")
_PENDING = 16  # messages of one connection that are being obeyed; with more, no further one is read
_STDIN_SECONDS = 0.5  # that a signal waits for the stdin before it: the program may never take that
_NORMAL, _GOING_AWAY, POLICY = 1000, 1001, 1008  # RFC 6455, section 7.4.1
_RESTART = 1012  # registered with IANA; asciinema-player connects again
# asciinema-player shows events with a delay, which grows with the jitter of the network, and drops those
# that it has not shown when the connection is closed.
_LINGER_SECONDS = 1.0


class Socket(Protocol):
    """The WebSocket of a server, before its handshake was answered."""

    async def accept(self, subprotocol: str | None = None) -> None:
        """Accept the handshake, with one of the subprotocols that the client offers."""

    async def refuse(self, reply: Reply, reason: str) -> None:
        """Refuse the handshake, with an HTTP reply where the server can send one."""

    async def receive(self) -> str | bytes | None:
        """Return the next message of the client; None when the client has left."""

    async def send(self, text: str) -> None:
        """Send a message; may suspend while the connection is full."""

    async def close(self, code: int) -> None:
        """Close the connection, or refuse the handshake without more words."""


async def serve_websocket(
    responder: Responder, feeds: Feeds, request: Request, socket: Socket, *, reads_only: bool = False
) -> None:
    """Serve one connection to its end; with `reads_only` none of its messages is obeyed.

    A recording has no answers, so what its client sends is passed over.
    """
    form = negotiate_subprotocol(request.header("sec-websocket-protocol"))
    try:
        run, stream = await _opened(responder, request, form, feeds)
    except RuncastError as error:
        await socket.refuse(problem_reply(error), str(error))
        return
    await socket.accept(form.subprotocol or None)

    hearing = _Hearing(responder, request, run.id, reads_only)
    code_of = partial(_code, feeds, stream.expires, stream.lapsed)
    # Most servers' sockets have no such method: it gives the connection of an accepted one, or None.
    hand_over: Callable[[], SocketConnection | None] | None = getattr(socket, "hand_over", None)
    if form is WS and hand_over is not None and (connection := hand_over()) is not None:
        hearing.over(connection, code_of)
        feeds.adopt(stream, connection)
        return

    async def push(data: bytes) -> None:
        for message in messages(data):
            await socket.send(message)

    async def listen() -> None:
        """Read messages until the client leaves, also while a program does not take its stdin."""
        try:
            while (text := await socket.receive()) is not None:
                if form is WS:
                    await hearing.hear(text, socket.send)
        finally:
            hearing.stop()

    whole = await feeds.serve(stream, push, listen())
    if form is not WS and whole and not feeds.stopping and await _left(socket):
        return
    code = code_of(whole)
    if code is not None:
        await socket.close(_RESTART if code == _GOING_AWAY and form is not WS else code)


def _code(feeds: Feeds, expires: float | None, lapsed: Callable[[], bool] | None, whole: bool) -> int | None:
    """Return the code with which a connection is closed; None where that says nothing."""
    if whole:
        return _GOING_AWAY if feeds.stopping else _NORMAL
    return POLICY if is_over(expires, lapsed) else None


class _Hearing:
    """What one client says, obeyed in order, a few messages at a time.

    Of the run it keeps the id alone: most clients say nothing, and a run's record takes some KiB.
    """

    def __init__(self, responder: Responder, request: Request, run_id: str, reads_only: bool) -> None:
        self._responder, self._request, self._run_id, self._reads_only = (
            responder,
            request,
            run_id,
            reads_only,
        )
        self._tasks: set[asyncio.Task[None]] = set()
        # The last ones: what is written keeps its order, and a program sees the size that was sent before.
        self._stdin: asyncio.Task[None] | None = None
        self._resize: asyncio.Task[None] | None = None
        self._waiting: deque[str | bytes] = deque()  # read at once with others, and not begun
        self._taking: asyncio.Task[None] | None = None

    def over(self, connection: SocketConnection, code: Callable[[bool], int | None]) -> None:
        """Hear what comes on a connection that was handed over, and close it with a code."""

        async def answer(text: str) -> None:
            connection.send(connection.frame(text.encode() + b"\n"))

        async def take_waiting() -> None:
            while self._waiting:
                await self.hear(self._waiting.popleft(), answer)
            self._taking = None
            connection.hold(back=False)

        def hear(text: str | bytes) -> None:
            if self._taking is None and len(self._tasks) < _PENDING - 1:
                self._begin(text, answer)
                return
            # One read has thousands of short messages.
            self._waiting.append(text)
            connection.hold(back=True)
            if self._taking is None:
                self._taking = asyncio.create_task(take_waiting())

        connection.listen(hear, self.stop, code)

    def _begin(self, text: str | bytes, answer: Callable[[str], Coroutine[Any, Any, None]]) -> None:
        message = _parse(text, self._reads_only)
        task = asyncio.create_task(self._obey(message, self._stdin, self._resize, answer))
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        if isinstance(message, Stdin):
            self._stdin = task
        elif isinstance(message, Resize):
            self._resize = task

    async def hear(self, text: str | bytes, answer: Callable[[str], Coroutine[Any, Any, None]]) -> None:
        """Begin to obey a message; return when the next one may come."""
        self._begin(text, answer)
        if len(self._tasks) >= _PENDING:
            await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)

    def stop(self) -> None:
        """Obey no more but what was begun: of a client that speaks and leaves at once the words have come."""
        asyncio.get_running_loop().call_soon(self._cancel)

    def _cancel(self) -> None:
        self._waiting.clear()
        for task in self._tasks:
            task.cancel()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # the client may be gone: then nobody is left to answer

    async def _obey(
        self,
        message: ClientMessage | RuncastError,
        stdin: asyncio.Task[None] | None,
        resize: asyncio.Task[None] | None,
        answer: Callable[[str], Coroutine[Any, Any, None]],
    ) -> None:
        if isinstance(message, Stdin | Resize):
            await _done(resize)
        await _done(stdin, None if isinstance(message, Stdin) else _STDIN_SECONDS)
        if isinstance(message, RuncastError):
            event: dict[str, Any] | None = _error_event(message)
        else:
            event = await in_own_thread(_obey, self._responder, self._request, self._run_id, message)
        if event is not None:
            await answer(json.dumps(event))


async def _done(task: asyncio.Task[None] | None, timeout: float | None = None) -> None:
    if task is not None and not task.done():
        await asyncio.wait([task], timeout=timeout)


async def _left(socket: Socket) -> bool:
    """Give a player the time to show what it has, and return whether it left meanwhile."""
    try:
        async with asyncio.timeout(_LINGER_SECONDS):
            while await socket.receive() is not None:
                pass
    except TimeoutError:
        return False
    return True


async def _opened(responder: Responder, request: Request, form: Form, feeds: Feeds) -> tuple[Run, LogStream]:
    """Return the run and its stream, which begins at a place that may have to be brought to this disk."""
    while True:
        try:
            if responder.is_quick(request):
                return _open(responder, request, form)
            return await in_pool(_open, responder, request, form)
        except SegmentAway as away:
            if not await here(away, lambda: feeds.stopping):
                raise


def _open(responder: Responder, request: Request, form: Form) -> tuple[Run, LogStream]:
    match = _PATH.match(request.path)
    if match is None:
        raise UsageError(f"expected a WebSocket at /runs/ID/log, got {request.path[:200]!r}")
    run = responder.find(match["id"], "read", request)
    query = Query.parse(request.parameters)
    stream = LogStream(log_view(run, query, form, None, request))
    responder.bound(stream, run, request)
    return run, stream


def _parse(text: str | bytes, reads_only: bool) -> ClientMessage | RuncastError:
    if reads_only:
        return NotAllowed("expected a page of this server: one of another origin may only read")
    try:
        return parse_client_message(text if isinstance(text, str) else b"")
    except RuncastError as error:
        return error


def _error_event(error: RuncastError) -> dict[str, Any]:
    return {"event": "error", "detail": str(error), "error": type(error).__name__}


def _obey(
    responder: Responder, request: Request, run_id: str, message: ClientMessage
) -> dict[str, Any] | None:
    """Do what a message demands; return the event for its client if it cannot be done."""
    try:
        run = responder.store.get(run_id)
        responder.check(VERBS[type(message)], request, run)
        with acting(lambda: request.who, request.peer):
            if isinstance(message, Stdin):
                responder.senders.send(run, message.data, eof=message.eof)
            elif isinstance(message, Signal):
                run.signal(message.number)
            elif isinstance(message, Stop):
                options: dict[str, Any] = {"grace": message.grace, "signal": message.signal}
                run.stop(**{name: value for name, value in options.items() if value is not None})
            else:
                run.resize(message.columns, message.rows)
    except RuncastError as error:
        return _error_event(error)
    return None
