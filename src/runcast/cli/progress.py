"""`runcast progress`: the help; what it does is in words.py, for which click is not loaded."""

from __future__ import annotations

import click

from runcast.cli.words import say

__all__ = ["command"]


@click.command("progress", short_help="Say, inside a run, how far it is.")
@click.argument("done")
@click.argument("total", required=False)
@click.argument("text", required=False)
def command(done: str, total: str | None, text: str | None) -> int:
    """Say how far the run is that this program belongs to: DONE of TOTAL, and a TEXT for people.

    Viewers see it at once; it is no output. `-` stands for a number that is not known. Outside a run, or
    when it is over, nothing happens, and the exit code is 0: a script needs no test for that. What cannot be
    sent is reported, with exit code 0 as well.

    \b
    Examples:
      runcast progress 3 10 "linking"
      runcast progress 42 100
      runcast progress - - "waiting for the mirror"
    """
    return say("progress", [one for one in (done, total, text) if one is not None])
