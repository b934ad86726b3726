"""One HTTP connection on two descriptors: the server's application for the user of this process.

Owns the connection, from its first line to its end. It is for ssh (`ssh HOST runcast bridge`): who may start
it is this user, and so needs no token. There is no port and no other client, so
nothing is bounded here; sshd bounds who logs in. Runs do not belong to the bridge: they outlive it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from functools import partial
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from runcast._version import __version__
from runcast.client.ssh import HELLO
from runcast.model import CHUNK_BYTES
from runcast.own_thread import Background, begin
from runcast.server.app import ServerApp
from runcast.server.connections import Connections
from runcast.server.uvicorn_server import MESSAGE_BYTES, http_protocol, socket_protocol

__all__ = ["bridge"]


def bridge(app: ServerApp, source: int, target: int) -> None:
    """Serve one connection until its client is gone.

    Args:
        app: the application, for the user of this process.
        source: the descriptor that the client's bytes come from.
        target: the one that the server's go to, behind a first line.
    """
    asyncio.run(_serve(app, source, target))


async def _serve(app: ServerApp, source: int, target: int) -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    inner, outer = socket.socketpair()
    inner.setblocking(False)
    with outer:
        transport, _ = await loop.connect_accepted_socket(partial(_protocol, app), inner)

        def carry_out() -> None:
            try:
                _carry_out(outer, target)
            finally:
                loop.call_soon_threadsafe(ended.set)

        begin(Background(carry_out, "bridge writes"))
        begin(Background(_carry_in, "bridge reads", (source, outer)))
        await ended.wait()
        transport.abort()
        app.shutdown()


def _protocol(app: ServerApp) -> Any:
    """Return what speaks HTTP on a new connection, and WebSocket."""
    spoken = http_protocol()
    config = uvicorn.Config(
        app,
        http=lambda **options: spoken(book=Connections(), **options),  # type: ignore[arg-type]
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        ws_max_size=MESSAGE_BYTES,
        ws_per_message_deflate=False,
        ws=socket_protocol(),
    )
    config.load()
    return config.http_protocol_class(config=config, server_state=ServerState(), app_state={})  # type: ignore[call-arg]


def _carry_in(source: int, outer: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := os.read(source, CHUNK_BYTES):
            outer.sendall(data)
    with contextlib.suppress(OSError):  # the client is gone
        outer.shutdown(socket.SHUT_WR)


def _carry_out(outer: socket.socket, target: int) -> None:
    data = f"{HELLO.decode()}{__version__}\n".encode()
    with contextlib.suppress(OSError):
        while data:
            view = memoryview(data)
            while view:
                view = view[os.write(target, view) :]
            data = outer.recv(CHUNK_BYTES)
