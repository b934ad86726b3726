"""`runcast log`: the output there is now."""

from __future__ import annotations

import click

from runcast.cli.runs import find, place_options, the_place
from runcast.cli.terminal import Output
from runcast.cli.where import Where, at_server

__all__ = ["command"]


@click.command("log", short_help="Print the output there is now.")
@click.argument("run_id", metavar="ID")
@place_options
@at_server
@click.pass_obj
def command(where: Where, /, run_id: str, channels: tuple[str, ...], safe: bool, **asked: object) -> None:
    """Print the output of a run that there is now, and do not wait for more.

    What the command wrote to stdout goes to stdout, what it wrote to stderr to stderr, byte for
    byte. Where some of it was dropped, that is told on stderr.

    \b
    Examples:
      runcast log last
      runcast log --tail 20 --channel stderr last
      runcast log --since 5m --safe b7sqj
    """
    runs = where.open()
    run = find(runs, run_id)
    output = Output(safe=safe)
    for chunk in runs.so_far(run, channels, the_place(run, asked)):
        output.show(chunk)
    output.end()
