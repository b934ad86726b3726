"""`runcast share`: a link by which anybody may read a run."""

from __future__ import annotations

import time
from urllib.parse import urlsplit

import click

from runcast.cli.runs import find
from runcast.cli.terminal import print_line, report
from runcast.cli.values import DURATION
from runcast.cli.where import Where, at_server

__all__ = ["command"]

_OF_THIS_MACHINE = ("127.0.0.1", "localhost", "::1")


@click.command("share", short_help="Print a link that reads one run, for some time.")
@click.argument("id", metavar="ID")
@click.option(
    "--expires",
    type=DURATION,
    metavar="DURATION",
    default="7d",
    show_default=True,
    help="The time after which it ends: from 1m to 365d.",
)
@at_server
@click.pass_obj
def command(where: Where, id: str, expires: float) -> None:
    """Print a link by which anybody may read a run, and do nothing else: its page, its output, live.

    It ends with its time, with the run (`runcast rm`), and with the token of the server. A run of this
    machine has an address only where a server shows its store: `runcast serve`; with `--host 0.0.0.0` it
    is one that a phone in the same network opens.

    \b
    Examples:
      runcast share last
      runcast share --expires 1h b7sqj
      runcast share --server URL last
    """
    runs = where.open()
    run = find(runs, id)
    link = runs.share(run, expires)
    print_line(link.url)
    until = time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(link.expires_at))
    report(f"it reads run {run.id}, and does nothing else, until {until}")
    if urlsplit(link.url).hostname in _OF_THIS_MACHINE:
        report(
            "only this machine reaches that address: for others `runcast serve --host 0.0.0.0`, "
            "or name the address of your proxy with --server"
        )
