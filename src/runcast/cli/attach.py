"""`runcast attach`: this terminal at a run that has a terminal, from anywhere."""

from __future__ import annotations

import click

from runcast.cli.at_terminal import at_terminal, detach_keys_option
from runcast.cli.detach_keys import parse_keys
from runcast.cli.runs import find
from runcast.cli.where import Where, at_server
from runcast.errors import RunFinished, UsageError

__all__ = ["command"]


@click.command("attach", short_help="Type into a run that has a terminal, and watch it.")
@click.argument("run_id", metavar="ID")
@detach_keys_option
@at_server
@click.pass_obj
def command(where: Where, /, run_id: str, detach_keys: str) -> int:
    """Connect this terminal to a run with a terminal of its own, from anywhere: type into it, watch it.

    What is typed goes to the run, Ctrl-C and Ctrl-Z included. Ctrl-\\ and then d detach: the run goes on.
    The exit code is the run's, or 0 after detaching.

    Any number of terminals can be attached. The run has the size of the one that was typed in last.
    `runcast follow` shows a run without typing into it. In Python, `runcast.attach()` is something
    else: it records the program that calls it.

    \b
    Examples:
      runcast attach last
      runcast attach --detach-keys ctrl-p,ctrl-q b7sqj
      runcast attach --server http://laptop:8765/ last
    """
    keys = parse_keys(detach_keys)
    runs = where.open()
    run = find(runs, run_id)
    if run.tty is not True:
        raise UsageError(
            f"expected a run with a terminal (`runcast run --tty`), {run.id} has none to type in: "
            f"`runcast {runs.option}follow {run.id}` shows its output"
        )
    if run.outcome is not None:
        raise RunFinished(
            f"expected a run that goes on, {run.id} has ended ({run.outcome}): "
            f"`runcast {runs.option}log {run.id}` prints its output"
        )
    return at_terminal(runs, lambda _size: run, keys, attached=True)
