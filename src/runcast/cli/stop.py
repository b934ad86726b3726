"""`runcast stop`: stop runs by a signal, and kill those that do not end."""

from __future__ import annotations

from signal import SIGTERM
from typing import TYPE_CHECKING

import click

from runcast.cli import exit_codes
from runcast.cli.runs import find_all
from runcast.cli.terminal import report
from runcast.cli.values import DURATION, SIGNAL
from runcast.cli.where import Where, at_server
from runcast.errors import RuncastError

if TYPE_CHECKING:
    from runcast.cli.any_runs import AnyRun

__all__ = ["GRACE", "command", "stop_all"]

GRACE = 5.0  # seconds; the default of Run.stop


@click.command("stop", short_help="Stop runs; kill what has not ended after a grace.")
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@click.option(
    "--grace", type=DURATION, default=GRACE, metavar="DURATION", help="Kill them after this. [default: 5s]"
)
@click.option(
    "--signal",
    "number",
    type=SIGNAL,
    default=SIGTERM,
    metavar="NAME|N",
    help="The signal to send. [default: TERM]",
)
@click.option("--no-wait", is_flag=True, help="Do not wait until they have ended.")
@at_server
@click.pass_obj
def command(where: Where, ids: tuple[str, ...], grace: float, number: int, no_wait: bool) -> int:
    """Send a signal to runs; kill everything that is left of them after a grace.

    \b
    Examples:
      runcast stop last
      runcast stop --signal INT --grace 30s b7sqj x14jh
    """
    return stop_all(find_all(where.open(), ids), grace, number, wait=not no_wait)


def stop_all(runs: list[AnyRun], grace: float, number: int, *, wait: bool) -> int:
    """Stop runs at the same time; report those that could not be stopped, and return the exit code."""
    status = exit_codes.OK
    stopping = []
    for run in runs:
        try:
            run.stop(grace=grace, signal=number)
            stopping.append(run)
        except RuncastError as error:
            report(str(error))
            status = error.exit_code
    for run in stopping if wait else ():
        run.wait(check=False)
    return status
