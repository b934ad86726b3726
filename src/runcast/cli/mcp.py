"""`runcast mcp`: tools for agents, on stdin and stdout."""

from __future__ import annotations

import os

import click

from runcast.cli import exit_codes
from runcast.cli.packages import missing
from runcast.cli.terminal import report
from runcast.cli.where import Where, at_server

__all__ = ["command"]


@click.command("mcp", short_help="Give agents tools for runs, by the Model Context Protocol.")
@click.option("--config", metavar="FILE", help="TOML file with the commands that may be started.")
@click.option("--allow-any-command", is_flag=True, help="Let agents run anything, as this user.")
@at_server
@click.pass_obj
def command(where: Where, config: str | None, allow_any_command: bool) -> int:
    """Speak the Model Context Protocol on stdin and stdout: what an agent's configuration names as a command.

    The tools start runs, follow them, wait for a line, search, list, stop and write to them. They start the
    commands of a configuration file, each by a tool with its parameters, and others only if you allow it. A
    run goes on when the agent ends, and is read on from any offset.

    With --server the runs are those of a server, or of ssh://HOST/, and may be what that allows. `runcast
    serve --mcp` offers the same over HTTP.

    \b
    Examples:
      runcast mcp --config server.toml
      runcast mcp --allow-any-command
      runcast mcp --server ssh://laptop/
    """
    if (lacks := missing("mcp")) is not None:
        report(lacks)
        return exit_codes.ERROR
    server = where.server or (os.environ.get("RUNCAST_SERVER") if where.store is None else None)
    if server and (config is not None or allow_any_command):
        raise click.UsageError(
            "expected no --config and --allow-any-command with a server, which has its own"
        )
    from runcast.server.mcp.main import serve_server, serve_store

    if server:
        serve_server(server)
    else:
        serve_store(where.store, config, allow_any_command=allow_any_command)
    return exit_codes.OK
