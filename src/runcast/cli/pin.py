"""`runcast pin`: keep runs until they are unpinned."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from runcast.cli import exit_codes
from runcast.cli.runs import find_all
from runcast.cli.terminal import report
from runcast.cli.where import Where, at_server
from runcast.errors import RuncastError

if TYPE_CHECKING:
    from runcast.cli.any_runs import AnyRun

__all__ = ["command", "pin_all"]


@click.command("pin", short_help="Keep runs until they are unpinned.")
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@at_server
@click.pass_obj
def command(where: Where, ids: tuple[str, ...]) -> int:
    """Keep runs until they are unpinned: `rm` refuses to remove them, and no sweep does.

    A run may be pinned while it goes on. `ls` shows which runs are pinned.

    \b
    Examples:
      runcast pin last
      runcast unpin b7sqj x14jh
    """
    return pin_all(find_all(where.open(), ids), pinned=True)


def pin_all(runs: list[AnyRun], *, pinned: bool) -> int:
    """Pin or unpin runs; report those for which that failed, and return the exit code."""
    status = exit_codes.OK
    for run in runs:
        try:
            run.pin() if pinned else run.unpin()
        except RuncastError as error:
            report(str(error))
            status = error.exit_code
    return status
