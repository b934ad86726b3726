"""`runcast note`: the help; what it does is in words.py, for which click is not loaded."""

from __future__ import annotations

import click

from runcast.cli.words import say

__all__ = ["command"]


@click.command("note", short_help="Note something, inside a run, about it.")
@click.argument("text")
def command(text: str) -> int:
    """Note something about the run that this program belongs to: one line of at most 500 characters.

    A note is no output: it is kept beside the log, with its time and its place, and stands on the run's page.
    Of more than 100 notes the oldest go. Outside a run, or when it is over, nothing happens, and the exit
    code is 0; what cannot be sent is reported, with exit code 0 as well.

    \b
    Examples:
      runcast note "tests done, packing"
      runcast note "$(git rev-parse --short HEAD) goes to staging"
    """
    return say("note", [text])
