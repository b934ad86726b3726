"""`runcast follow`: the output as it comes, until there is no more."""

from __future__ import annotations

import click

from runcast.cli import exit_codes
from runcast.cli.runs import find, place_options, tell_outcome, the_place
from runcast.cli.terminal import Output
from runcast.cli.where import Where, at_server

__all__ = ["command"]


@click.command("follow", short_help="Print the output as it comes, until the end.")
@click.argument("run_id", metavar="ID")
@place_options
@click.option("--exit-status", is_flag=True, help="Exit with the run's exit status; otherwise with 0.")
@at_server
@click.pass_obj
def command(
    where: Where,
    /,
    run_id: str,
    channels: tuple[str, ...],
    safe: bool,
    exit_status: bool,
    **asked: object,
) -> int:
    """Print the output of a run, from its start, and go on as it comes, until there is no more.

    Any number may follow a run; none of them slows it. Ctrl-C ends the following, not the run.

    \b
    Examples:
      runcast follow last
      runcast follow --tail 10 --exit-status b7sqj
      runcast follow --offset now last
    """
    run = find(where.open(), run_id)
    place = the_place(run, asked)
    output = Output(safe=safe)
    for chunk in run.follow(channel=channels or None, **place):
        if chunk is not None:
            output.show(chunk)
    outcome = run.wait()
    tell_outcome(run, outcome)
    return exit_codes.of_outcome(outcome) if exit_status else exit_codes.OK
