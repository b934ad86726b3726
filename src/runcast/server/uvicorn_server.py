"""uvicorn's server as `runcast serve` has it: in one process, or in each of several workers.

Owns what differs from uvicorn: the protocols, the bounds of connections, TLS, the checks of each second, and
the end: a server does not stop while a stream is open, so the live replies are ended first, and whatever is
left after a second is cut.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import itertools
import logging
import math
import signal
import socket
import threading
from collections.abc import Callable, Generator
from typing import Any

import uvicorn

from runcast.installed import is_installed
from runcast.retention.sweep import sweep_soon
from runcast.runs import Store
from runcast.server.accepting import Listener
from runcast.server.app import ServerApp
from runcast.server.bounded_protocol import HEAD_BYTES, IDLE_SECONDS, Bounded
from runcast.server.connections import Connections, bound
from runcast.server.proxies import App
from runcast.server.scoreboard import Worker
from runcast.server.tls import Certificate
from runcast.supervisor import descriptors
from runcast.web.servers.peer import vanished

__all__ = ["MESSAGE_BYTES", "Server", "http_protocol", "socket_protocol"]

_REPLIES_SECONDS = 0.3  # for live replies to end by themselves, which takes them a few milliseconds …
_STEP_SECONDS = 0.01  # between two checks that they have …
_GRACE_SECONDS = 1  # … and for slow clients to read what is left; then their connections are cut
_SWEEP_SECONDS = 1.0  # between two checks of the deadlines of all connections
_VANISHED_SWEEPS = 2  # every so many of them also closes connections of vanished clients
MESSAGE_BYTES = 1024 * 1024  # of a WebSocket: stdin comes in small pieces

log = logging.getLogger("runcast.server")


def http_protocol() -> Callable[..., asyncio.Protocol]:
    """Return how uvicorn speaks HTTP: with shortcuts where its fast parser is installed."""
    if not is_installed("httptools"):
        from runcast.server.h11_protocol import BoundedH11Protocol

        return BoundedH11Protocol
    from runcast.server.uvicorn_fastpath import FastpathProtocol, missing

    if lacks := missing():
        log.warning("uvicorn %s has no %s: appends are slower than they could be", uvicorn.__version__, lacks)
    return FastpathProtocol


def socket_protocol() -> Any:
    """Return how uvicorn speaks WebSocket: with the handover, where it has what that needs."""
    if not is_installed("websockets"):
        return "none"
    try:
        from runcast.server.direct_socket import SocketProtocol
    except ImportError:  # an older uvicorn
        return "auto"
    return SocketProtocol


def preload() -> None:
    """Import what a server imports when it starts, so that the workers that are forked share it."""
    http_protocol()
    socket_protocol()
    with contextlib.suppress(ImportError):
        importlib.import_module("uvloop")


class Server(uvicorn.Server):
    """uvicorn, which reports when it listens and ends its streams at shutdown."""

    _book: Connections

    def __init__(
        self,
        outermost: App,
        app: ServerApp,
        store: Store,
        ready: Callable[[], None],
        certificate: Certificate | None,
        worker: Worker | None = None,
    ) -> None:
        protocol = http_protocol()
        config = uvicorn.Config(
            outermost,
            proxy_headers=False,  # they are heeded there
            # Called for each connection: by then, there is a book.
            http=lambda **options: protocol(book=self._book, **options),  # type: ignore[arg-type]
            lifespan="off",
            log_config=None,
            access_log=False,  # it would show the token
            server_header=False,
            timeout_keep_alive=int(IDLE_SECONDS),
            h11_max_incomplete_event_size=HEAD_BYTES,
            ws_max_size=MESSAGE_BYTES,
            ws_per_message_deflate=False,  # 300 KiB and much of a processor for each viewer
            timeout_graceful_shutdown=_GRACE_SECONDS,
            ws=socket_protocol(),
        )
        super().__init__(config)
        self._app, self._store, self._ready, self._certificate = app, store, ready, certificate
        self._worker = worker
        self._parent: int | None = None
        self._listeners: list[Listener] = []
        self._book = Connections(
            bound(descriptors.raise_limit()), self._count, shares=worker.board.workers if worker else 1
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        if self._certificate is None and self._worker is None:
            await super().startup(sockets)
        else:
            await super().startup([])
            if self._certificate is not None:  # a replacement begins with that of the server's start
                self._certificate.renew(quietly=True)
            turn = None if self._worker is None else self._has_turn
            self._listeners += [
                Listener(one, self._protocol, self._certificate, self._book, turn) for one in sockets or ()
            ]
            self.servers += self._listeners  # type: ignore[arg-type]
        self._sweeper = asyncio.create_task(self._sweep())
        if self._parent is not None:
            asyncio.get_running_loop().add_reader(self._parent, self._orphaned)
        gc.freeze()  # imported objects stay: to collect among them takes 30 ms, in which nothing is served
        self._ready()

    def end_with(self, parent: int) -> None:
        """End when a descriptor is at its end, as that of a parent which is gone."""
        self._parent = parent

    def _orphaned(self) -> None:
        assert self._parent is not None
        asyncio.get_running_loop().remove_reader(self._parent)
        log.error("the parent of this worker is gone: it ends, too")
        self.handle_exit(signal.SIGTERM, None)

    def _count(self) -> int:
        """Return how many connections there are, WebSockets and handshakes included."""
        return len(self.server_state.connections) + sum(one.beginning for one in self._listeners)

    def _has_turn(self) -> bool:
        """Return whether no other worker has fewer connections."""
        assert self._worker is not None
        own, board = self._count(), self._worker.board
        board.set_connections(self._worker.number, own)
        return own <= board.fewest_connections()

    def _protocol(self) -> asyncio.Protocol:
        return self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )

    async def _sweep(self) -> None:
        """End the connections that have waited too long, and those of clients that have vanished."""
        now = asyncio.get_running_loop().time
        for number in itertools.count(1):
            await asyncio.sleep(_SWEEP_SECONDS)
            is_first = self._worker is None or self._worker.number == 0
            if self._certificate is not None:
                self._certificate.renew(quietly=not is_first)
            if is_first:
                sweep_soon(self._store.path, self._store.keep)  # its own clock says whether it is time
            if self._worker is not None:
                self._worker.board.set_connections(self._worker.number, self._count())
            self._app.watch.look_soon()  # and so does this one's
            for connection in tuple(self.server_state.connections):
                if isinstance(connection, Bounded):
                    connection.check_deadline(now())
                    if connection.strange:
                        continue  # its own deadline is shorter
                transport = getattr(connection, "transport", None)
                if number % _VANISHED_SWEEPS or transport is None or transport.is_closing():
                    continue
                if vanished(transport.get_extra_info("socket").fileno()):
                    transport.abort()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._sweeper.cancel()
        if self._worker is not None:
            self._worker.board.set_connections(self._worker.number, math.inf)
        for server in self.servers:
            server.close()
        self._app.shutdown()
        # uvicorn would close WebSockets in the middle of their last message.
        for _ in range(round(_REPLIES_SECONDS / _STEP_SECONDS)):
            if not self._app.viewers:
                break
            await asyncio.sleep(_STEP_SECONDS)
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """End on a signal, as uvicorn does, but do not raise it anew: to be stopped is no failure."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        heeded = [
            number for number in signals if signal.getsignal(number) != signal.SIG_IGN
        ]  # nohup ignores one
        before = {number: signal.signal(number, self.handle_exit) for number in heeded}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
