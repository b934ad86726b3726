"""`runcast doctor`: whether this host is fit for runs."""

from __future__ import annotations

import json

import click

from runcast.cli import exit_codes
from runcast.cli.terminal import print_line, printable
from runcast.cli.where import Where

__all__ = ["command"]


@click.command("doctor", short_help="Check this host: what would end runs, and what they will lack.")
@click.option("--unit", metavar="NAME", help="Check this unit of systemd. [default: the one we are in]")
@click.option("--user", "of_user", is_flag=True, help="The unit is one of this user's own manager.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line, for programs.")
@click.pass_obj
def command(where: Where, unit: str | None, of_user: bool, as_json: bool) -> int:
    """Check this host, and print a line for each check: ok, a hint, or a problem and what to do.

    It looks at what ends runs from outside (a restart of the unit or the container), at limits, memory,
    the clock, inotify, terminals, and at the store and its disk. It changes nothing.

    Exits with 0 where nothing is wrong, hints included, and with 1 where something is.

    \b
    Examples:
      runcast doctor
      runcast doctor --unit runs.service
      runcast doctor --json | jq -r 'select(.level != "ok") | .text'
    """
    if where.server is not None:
        raise click.UsageError("expected a store of this host with --store, got --server: log in there")
    if of_user and unit is None:
        raise click.UsageError("expected --user with --unit NAME, got it alone")
    from runcast.doctor.gather import gather
    from runcast.doctor.report import findings, has_problem

    found = findings(gather(where.store, unit, of_user=of_user))
    for one in found:
        print_line(json.dumps(one.to_json()) if as_json else printable(str(one)))
    return exit_codes.PROBLEM if has_problem(found) else exit_codes.OK
