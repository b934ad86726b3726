"""The runs that a verb's arguments name, and reports on their outcomes.

Owns the word `last`, the options for the place to begin in a log, and the sentences on outcomes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar, cast

import click

from runcast.cli.terminal import report
from runcast.cli.values import SINCE, Whole
from runcast.errors import RunNotFound
from runcast.model import Channel, Outcome, Reason
from runcast.offsets import OFFSET_DIGITS, parse_offset
from runcast.run.arguments import Place

if TYPE_CHECKING:
    from runcast.cli.any_runs import AnyRun, Runs

__all__ = [
    *("STREAM", "find", "find_all", "key_option", "place_options", "report_outcome", "source_of"),
    "the_place",
]

LAST = "last"
STREAM = "stream"  # the source of a stream, to which clients append
_NEWEST = 200  # runs to look for a name among
_OPTIONS = ("offset", "tail", "tail_bytes", "line", "since")  # of Place
_SPELLED = {"tail_bytes": "--bytes"}

Function = TypeVar("Function", bound=Callable[..., object])


def key_option(function: Function) -> Function:
    """Add the option that names a run by its key, in place of its id."""
    return click.option("--key", metavar="KEY", help="The newest run that has this key, in place of ID.")(
        function
    )


def find(runs: Runs, run_id: str | None, key: str | None = None) -> AnyRun:
    """Return the run that an argument names, or the newest of a key.

    Raises:
        RunNotFound: there is none.
    """
    if (run_id is None) == (key is None):
        raise click.UsageError(f"expected ID or --key, got {'neither' if key is None else 'both'}")
    if key is not None:
        if (newest := next(runs.list(1, key=key), None)) is None:
            raise RunNotFound(key, f"the keys of {runs.description}")
        return newest
    assert run_id is not None, "no key was given"
    if run_id != LAST:
        try:
            return runs.get(run_id)
        except RunNotFound as error:
            if error.near or (named := _newest_named(runs, run_id)) is None:
                raise
            raise RunNotFound(run_id, runs.description, (named,)) from None
    newest = next(runs.list(1), None)
    if newest is None:
        raise RunNotFound(LAST, f"{runs.description}, which is empty")
    return newest


def _newest_named(runs: Runs, name: str) -> str | None:
    """Return the id of the newest run of a name: people try the name that the list shows."""
    return next((run.id for run in runs.list(_NEWEST) if run.name == name), None)


def find_all(runs: Runs, ids: tuple[str, ...]) -> list[AnyRun]:
    """Return the runs that arguments name, each once. Raises before anything is done if one is missing."""
    found = {run.id: run for run in (find(runs, run_id) for run_id in ids)}
    return list(found.values())


def source_of(run: AnyRun) -> str:
    """Return the kind of a run's source: a command, a function, a generator or a stream."""
    return "command" if run.command else str(run.to_json()["source"])


def place_options(function: Function) -> Function:
    """Add the options for the place to begin, the channels and `--safe`."""
    for option in (
        click.option("-n", "--tail", type=Whole(min=0), metavar="N", help="Begin N lines before the end."),
        click.option(
            "--bytes",
            "tail_bytes",
            type=Whole(min=0),
            metavar="N",
            help="Begin N bytes before the end.",
        ),
        click.option("--line", type=Whole(min=1), metavar="N", help="Begin at line N, counted from 1."),
        click.option(
            "--since",
            type=SINCE,
            metavar="TIME",
            help="Begin with the output since 2026-01-31T12:00:00Z, or 5m ago.",
        ),
        click.option(
            "--offset",
            metavar="OFFSET",
            help="Begin at this byte; -1 is the start, `now` the present end.",
        ),
        click.option(
            "--channel",
            "channels",
            type=click.Choice([Channel.STDOUT.value, Channel.STDERR.value, Channel.DATA.value]),
            multiple=True,
            help="Only this channel. Can be repeated.",
        ),
        click.option("--safe", is_flag=True, help="Remove escape sequences and control codes."),
    )[::-1]:
        function = option(function)
    return function


def the_place(run: AnyRun, options: dict[str, object]) -> Place:
    """Return the place to begin; by default the start.

    Raises:
        BadOffset: `--offset` is no offset. Whether the run's log has it is seen where it is read, since
            a log of another host may be known here in a moment.
    """
    given = [name for name in _OPTIONS if options[name] is not None]
    if len(given) > 1:
        spelled = " and ".join(_SPELLED.get(name, f"--{name}") for name in given)
        raise click.UsageError(f"expected one place to begin, got {spelled}: choose one of them")
    place = {name: options[name] for name in given}
    if "offset" in place:
        text = str(place["offset"])
        place["offset"] = parse_offset(text, run.tail_offset if text == "now" else 10**OFFSET_DIGITS)
    return cast(Place, place)


def report_outcome(run: AnyRun, outcome: Outcome) -> None:
    """Report on stderr what the exit code does not show."""
    if outcome.reason is Reason.FAILED_TO_START:
        report(outcome.message)
    elif outcome.reason is not Reason.EXITED or (outcome.ok and outcome.message):
        report(f"run {run.id}: {outcome}")
    if outcome.dropped:
        report(f"run {run.id}: {outcome.dropped} bytes of output could not be written")
    if outcome.truncated:
        report(f"run {run.id}: the cap dropped some of its output")
