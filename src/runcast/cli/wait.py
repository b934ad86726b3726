"""`runcast wait`: until runs are over."""

from __future__ import annotations

import time

import click

from runcast.cli import exit_codes
from runcast.cli.runs import find_all
from runcast.cli.terminal import tell
from runcast.cli.values import DURATION
from runcast.cli.where import Where, at_server
from runcast.errors import WaitTimeout

__all__ = ["command"]


@click.command("wait", short_help="Wait until runs are over.")
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@click.option(
    "--timeout", type=DURATION, metavar="DURATION", help="Wait so long at most; then exit with 124."
)
@at_server
@click.pass_obj
def command(where: Where, ids: tuple[str, ...], timeout: float | None) -> int:
    """Wait until runs are over. Print nothing, and exit with the exit status of the last that failed.

    \b
    Examples:
      runcast wait last && echo done
      runcast wait --timeout 10m b7sqj x14jh
    """
    runs = find_all(where.open(), ids)
    deadline = None if timeout is None else time.monotonic() + timeout
    status = exit_codes.OK
    for run in runs:
        try:
            outcome = run.wait(
                timeout=None if deadline is None else max(deadline - time.monotonic(), 0), check=False
            )
        except WaitTimeout:
            tell(f"run {run.id} is still {run.state} after {timeout:g} s; it goes on")
            return exit_codes.TIMED_OUT
        status = exit_codes.of_outcome(outcome) or status
    return status
