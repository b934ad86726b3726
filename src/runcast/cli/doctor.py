"""`runcast doctor`: whether this host is fit for runs, or the way to a server."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from runcast.cli import exit_codes
from runcast.cli.terminal import print_line, printable
from runcast.cli.where import Where

if TYPE_CHECKING:
    from runcast.doctor.facts import Finding

__all__ = ["command"]

_SILENT, _LONG_SILENT = 3, 75  # seconds: the usual timeouts of proxies are 30, 50 and 60


@click.command("doctor", short_help="Check this host: what would end runs, and what they will lack.")
@click.option("--unit", metavar="NAME", help="Check this unit of systemd. [default: the one we are in]")
@click.option("--user", "of_user", is_flag=True, help="The unit is one of this user's own manager.")
@click.option("--url", metavar="URL", help="Check the way to this server instead, through its proxy.")
@click.option(
    "--long", "is_long", is_flag=True, help="With --url: find what cuts a run that is silent for 75 s."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line, for programs.")
@click.pass_obj
def command(
    where: Where, unit: str | None, of_user: bool, url: str | None, is_long: bool, as_json: bool
) -> int:
    """Check this host, and print a line for each check: ok, a hint, or a problem and what to do.

    It looks at what ends runs from outside (a restart of the unit or the container), at limits, memory,
    the clock, inotify, terminals, and at the store and its disk. It changes nothing.

    With --url it checks what a proxy does to a server's output: it starts a run there that is silent and
    then writes lines, reads it in every form by that URL, and says what comes late, cut or not at all, and
    the proxy's line that cures it. The run is removed again. It needs the server's token, or one that may
    start and read runs; with another it says what it could not check.

    Exits with 0 where nothing is wrong, hints included, and with 1 where something is.

    \b
    Examples:
      runcast doctor
      runcast doctor --unit runs.service
      runcast doctor --url https://build.example/cast/     with the token in RUNCAST_TOKEN
      runcast doctor --json | jq -r 'select(.level != "ok") | .text'
    """
    if where.server is not None:
        raise click.UsageError("expected a store of this host with --store, got --server: log in there")
    if of_user and unit is None:
        raise click.UsageError("expected --user with --unit NAME, got it alone")
    if url is not None and (unit is not None or where.store is not None):
        raise click.UsageError("expected --url, or a host's --store and --unit, got both: choose one of them")
    if is_long and url is None:
        raise click.UsageError("expected --long with --url URL, got it alone")
    from runcast.doctor.report import has_problem

    found = _of_host(where, unit, of_user) if url is None else _of_passage(url, is_long)
    for one in found:
        print_line(json.dumps(one.to_json()) if as_json else printable(str(one)))
    return exit_codes.PROBLEM if has_problem(found) else exit_codes.OK


def _of_host(where: Where, unit: str | None, of_user: bool) -> list[Finding]:
    from runcast.doctor.gather import gather
    from runcast.doctor.report import findings

    return findings(gather(where.store, unit, of_user=of_user))


def _of_passage(url: str, is_long: bool) -> list[Finding]:
    from runcast.doctor.passage import measure
    from runcast.doctor.proxied import passage_findings

    return passage_findings(measure(url, _LONG_SILENT if is_long else _SILENT))
