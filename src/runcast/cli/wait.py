"""`runcast wait`: until runs have ended, or until a line has come."""

from __future__ import annotations

import time

import click

from runcast.cli import exit_codes
from runcast.cli.runs import find, find_all, key_option
from runcast.cli.terminal import report
from runcast.cli.values import DURATION
from runcast.cli.where import Where, at_server
from runcast.errors import WaitTimeout

__all__ = ["command"]


@click.command("wait", short_help="Wait until runs have ended, or until a line has come.")
@click.argument("ids", metavar="ID...", nargs=-1)
@key_option
@click.option(
    "--timeout", type=DURATION, metavar="DURATION", help="Wait at most this long; then exit with 124."
)
@click.option("--for", "text", metavar="TEXT", help="Wait for a line with this text, and print the line.")
@click.option("--regex", is_flag=True, help="TEXT is a regular expression, as of Python.")
@at_server
@click.pass_obj
def command(
    where: Where,
    ids: tuple[str, ...],
    key: str | None,
    timeout: float | None,
    text: str | None,
    regex: bool,
) -> int:
    """Wait until runs have ended. Print nothing, and exit with the exit status of the last that failed.

    With --for, wait for the first line of each run that has the text, also if it came before. Print the line,
    and exit with 1 if a run ends without it.

    \b
    Examples:
      runcast wait last && echo done
      runcast wait --timeout 10m b7sqj x14jh
      runcast wait last --for 'listening on'
    """
    if regex and text is None:
        raise click.UsageError("expected --for with --regex, which says what its text is")
    place = where.open()
    runs = find_all(place, ids) if ids and key is None else [find(place, ids[0] if ids else None, key)]
    deadline = None if timeout is None else time.monotonic() + timeout
    status = exit_codes.OK
    for run in runs:
        left = None if deadline is None else max(deadline - time.monotonic(), 0)
        try:
            if text is not None:
                click.echo(run.wait_for(text, regex=regex, timeout=left).text)
                continue
            outcome = run.wait(timeout=left, check=False)
        except WaitTimeout:
            report(f"run {run.id} is still {run.state} after {timeout:g} s; it continues")
            return exit_codes.TIMED_OUT
        status = exit_codes.of_outcome(outcome) or status
    return status
