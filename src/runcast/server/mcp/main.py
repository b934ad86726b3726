"""`runcast mcp`, from its options to its end: the runs of a store, or of a server."""

from __future__ import annotations

import asyncio
import os

from runcast.acting import system_user
from runcast.client.server import Server
from runcast.client.transport_aio import AsyncTransport
from runcast.runs import Store
from runcast.server.app import ServerApp
from runcast.server.config import Config, load_config
from runcast.server.guard import Guard
from runcast.server.mcp.protocol import serve_stdio, within
from runcast.who import Kind, Who

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
    found = load_config(config) if config is not None else Config({})
    for name in found.secret_variables:  # runs inherit this environment
        os.environ.pop(name, None)
    opened = Store.open(store)
    opened.keep, opened.bounds = found.keep, found.bounds
    app = ServerApp(
        opened,
        Guard(["localhost"], None),
        commands=found.commands,
        allow_any_command=allow_any_command,
        user=Who(Kind.COMMAND_LINE, system_user()),
    )

    async def main() -> None:
        await serve_stdio(within(app, {}))
        app.shutdown()

    asyncio.run(main())
