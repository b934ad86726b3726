"""`runcast unpin`: keep runs no longer."""

from __future__ import annotations

import click

from runcast.cli.pin import pin_all
from runcast.cli.runs import find_all
from runcast.cli.where import Where, at_server

__all__ = ["command"]


@click.command("unpin", short_help="Keep runs no longer.")
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@at_server
@click.pass_obj
def command(where: Where, ids: tuple[str, ...]) -> int:
    """Keep runs no longer, so that they can be removed. One that is not pinned stays as it is.

    \b
    Example:
      runcast unpin last
    """
    return pin_all(find_all(where.open(), ids), pinned=False)
