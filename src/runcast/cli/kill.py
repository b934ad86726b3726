"""`runcast kill`: end runs at once."""

from __future__ import annotations

from signal import SIGKILL

import click

from runcast.cli.runs import find_all
from runcast.cli.stop import stop_all
from runcast.cli.where import Where, at_server

__all__ = ["command"]


@click.command("kill", short_help="Kill runs and everything that they started, at once.")
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@at_server
@click.pass_obj
def command(where: Where, ids: tuple[str, ...]) -> int:
    """Kill runs and everything that they started, at once. Returns when they have ended.

    \b
    Example:
      runcast kill last
    """
    return stop_all(find_all(where.open(), ids), 0, SIGKILL, wait=True)
