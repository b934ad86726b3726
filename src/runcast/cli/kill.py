"""`runcast kill`: end runs at once."""

from __future__ import annotations

from signal import SIGKILL

import click

from runcast.cli.runs import find_all
from runcast.cli.stop import stop_all
from runcast.store import Store

__all__ = ["command"]


@click.command("kill", short_help="Kill runs and everything that they started, at once.")
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@click.pass_obj
def command(where: str | None, ids: tuple[str, ...]) -> int:
    """Kill runs and everything that they started, at once. Returns when they are over.

    \b
    Example:
      runcast kill last
    """
    return stop_all(find_all(Store.open(where), ids), 0, SIGKILL, wait=True)
