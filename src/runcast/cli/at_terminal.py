"""The terminal of the caller at a run, as `runcast run -it` and `runcast attach` have it.

Owns what both share: the option for the keys that detach, the exit code, and the message how to come back.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeVar

import click

from runcast.cli import exit_codes
from runcast.cli.detach_keys import DEFAULT, DetachKeys
from runcast.cli.runs import report_outcome
from runcast.cli.terminal import OutputClosed, OutputFailed, print_line, report
from runcast.errors import ServerUnreachable, UsageError

if TYPE_CHECKING:
    from runcast.cli.any_runs import AnyRun, Runs

__all__ = ["at_terminal", "detach_keys_option"]

_STDIN: Final = 0
Function = TypeVar("Function", bound=Callable[..., object])


def detach_keys_option(function: Function) -> Function:
    """Add the option for the keys that detach to a verb."""
    return click.option(
        "--detach-keys",
        metavar="KEYS",
        default=DEFAULT,
        envvar="RUNCAST_DETACH_KEYS",
        show_default=True,
        show_envvar=True,
        help="The keys that detach this terminal, such as ctrl-p,ctrl-q; '' for none.",
    )(function)


def at_terminal(
    runs: Runs,
    begin: Callable[[tuple[int, int]], AnyRun],
    keys: tuple[str, ...],
    *,
    attached: bool = False,
) -> int:
    """Connect this terminal to a run until one of them ends; return the exit code.

    Args:
        runs: where the run is.
        begin: returns the run, and is called with the columns and rows of the terminal.
        keys: those that detach.
        attached: the run went on before.

    Raises:
        UsageError: stdin is no terminal.
    """
    if not os.isatty(_STDIN):
        raise UsageError(
            "expected a terminal to type in, got something else as stdin: leave out -t to give the command "
            "this stdin, or -i for a command with a terminal that nobody types in"
        )
    from runcast.cli.raw_terminal import RawTerminal  # late: only terminals need it
    from runcast.cli.session import Session

    run: AnyRun | None = None
    try:
        with RawTerminal() as terminal, Session(terminal, DetachKeys(keys)) as session:
            run = begin(terminal.size)
            number = session.stay(run, attached=attached)
    except (OutputClosed, OutputFailed):
        number = int(signal.SIGHUP)
    except ServerUnreachable as error:
        if run is None:
            raise
        report(f"{error}; {_hint(runs, run)}")
        return exit_codes.ERROR
    assert run is not None
    if number is None:
        outcome = run.wait(check=False)
        report_outcome(run, outcome)
        return exit_codes.of_outcome(outcome)
    if number == 0:
        print_line("")  # the cursor may be anywhere in a line
    report(f"{'left' if number else 'detached from'} run {run.id}, which goes on; {_hint(runs, run)}")
    return exit_codes.SIGNALED + number if number else exit_codes.OK


def _hint(runs: Runs, run: AnyRun) -> str:
    return f"`runcast {runs.option}attach {run.id}` comes back"
