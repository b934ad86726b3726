"""`runcast stop`: ask runs to end, and kill them if they do not."""

from __future__ import annotations

from signal import SIGTERM

import click

from runcast.cli import exit_codes
from runcast.cli.runs import find_all
from runcast.cli.terminal import tell
from runcast.cli.values import DURATION, SIGNAL
from runcast.cli.where import AnyRun, Where, at_server
from runcast.errors import RuncastError

__all__ = ["GRACE", "command", "stop_all"]

GRACE = 5.0  # seconds; as Run.stop has it


@click.command("stop", short_help="Ask runs to end; kill what has not ended after a grace.")
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@click.option(
    "--grace", type=DURATION, default=GRACE, metavar="DURATION", help="Kill it after so long. [default: 5s]"
)
@click.option(
    "--signal",
    "number",
    type=SIGNAL,
    default=SIGTERM,
    metavar="NAME|N",
    help="Ask with this. [default: TERM]",
)
@click.option("--no-wait", is_flag=True, help="Do not wait until it is over.")
@at_server
@click.pass_obj
def command(where: Where, ids: tuple[str, ...], grace: float, number: int, no_wait: bool) -> int:
    """Ask runs to end, with a signal; kill all that is left of them after a grace.

    \b
    Examples:
      runcast stop last
      runcast stop --signal INT --grace 30s b7sqj x14jh
    """
    return stop_all(find_all(where.open(), ids), grace, number, wait=not no_wait)


def stop_all(runs: list[AnyRun], grace: float, number: int, *, wait: bool) -> int:
    """Stop runs at the same time; tell which could not be, and return the exit code."""
    status = exit_codes.OK
    asked = []
    for run in runs:
        try:
            run.stop(grace=grace, signal=number)
            asked.append(run)
        except RuncastError as error:
            tell(str(error))
            status = error.exit_code
    for run in asked if wait else ():
        run.wait(check=False)
    return status
