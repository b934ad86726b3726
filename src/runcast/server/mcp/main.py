"""`runcast mcp`, from its options to its end: the runs of a store, or of a server."""

from __future__ import annotations

import asyncio

from runcast.client.server import Server
from runcast.client.transport_aio import AsyncTransport
from runcast.server.for_user import app_for_user
from runcast.server.mcp.protocol import serve_stdio, within

__all__ = ["serve_server", "serve_store"]


def serve_server(url: str) -> None:
    """Serve the runs of a server.

    Raises:
        UsageError: it is no address.
    """
    server = Server(url, None)

    async def main() -> None:
        await serve_stdio(AsyncTransport(server))

    asyncio.run(main())


def serve_store(store: str | None, config: str | None, *, allow_any_command: bool) -> None:
    """Serve the runs of a store of this machine, for its user.

    Args:
        store: its folder; None for the user's own.
        config: the file with the commands that may be started.
        allow_any_command: others may be started, too.

    Raises:
        ConfigError: the file is wrong.
        StoreUnusable: the store cannot be used.
    """
    app = app_for_user(store, config, allow_any_command=allow_any_command)

    async def main() -> None:
        await serve_stdio(within(app, {}))
        app.shutdown()

    asyncio.run(main())
