"""The server's application for the user of this process, whom no token has to let in.

Owns what `runcast bridge` and `runcast mcp` have in common: one client, who has started this process, and so
is its user at the command line.
"""

from __future__ import annotations

import os

from runcast.acting import system_user
from runcast.runs import Store
from runcast.server.app import ServerApp
from runcast.server.config import Config, load_config
from runcast.server.guard import Guard
from runcast.who import Kind, Who

__all__ = ["HOST", "app_for_user"]

HOST = "localhost"  # by which the client calls it


def app_for_user(store: str | None, config: str | None, *, allow_any_command: bool) -> ServerApp:
    """Return the application.

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
    return ServerApp(
        opened,
        Guard([HOST], None),
        commands=found.commands,
        allow_any_command=allow_any_command,
        user=Who(Kind.COMMAND_LINE, system_user()),
    )
