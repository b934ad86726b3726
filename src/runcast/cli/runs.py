"""Which runs a verb is about, and what is said of them.

Owns the word `last`, the options that name a place in a log, and the sentences on outcomes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import click

from runcast.cli.terminal import tell
from runcast.cli.values import SINCE
from runcast.cli.where import AnyRun, Runs
from runcast.errors import RunNotFound
from runcast.model import Channel, Outcome, Reason, parse_offset
from runcast.run_base import Place

__all__ = ["STREAM", "find", "find_all", "place_options", "source_of", "tell_outcome", "the_place"]

LAST = "last"
STREAM = "stream"  # the source of what others append to
_OPTIONS = ("offset", "tail", "tail_bytes", "line", "since")  # of Place
_SPELLED = {"tail_bytes": "--bytes"}

Function = TypeVar("Function", bound=Callable[..., object])


def find(runs: Runs, run_id: str) -> AnyRun:
    """Return the run that an argument names.

    Raises:
        RunNotFound: there is none.
    """
    if run_id != LAST:
        return runs.get(run_id)
    newest = next(runs.list(1), None)
    if newest is None:
        raise RunNotFound(LAST, f"{runs.said}, which is empty")
    return newest


def find_all(runs: Runs, ids: tuple[str, ...]) -> list[AnyRun]:
    """Return the runs that arguments name, each once; all of them, or an error before anything is done."""
    found = {run.id: run for run in (find(runs, run_id) for run_id in ids)}
    return list(found.values())


def source_of(run: AnyRun) -> str:
    """Return what kind of thing gives a run's output: a command, a function, a generator or a stream."""
    return "command" if run.command else str(run.to_json()["source"])


def place_options(function: Function) -> Function:
    """Add the options that say where to begin to read, and what of it."""
    for option in (
        click.option(
            "-n", "--tail", type=click.IntRange(min=0), metavar="N", help="Begin N lines before the end."
        ),
        click.option(
            "--bytes",
            "tail_bytes",
            type=click.IntRange(min=0),
            metavar="N",
            help="Begin N bytes before the end.",
        ),
        click.option(
            "--line", type=click.IntRange(min=1), metavar="N", help="Begin at line N, counted from 1."
        ),
        click.option(
            "--since",
            type=SINCE,
            metavar="TIME",
            help="Begin with what came since 2026-01-31T12:00:00Z, or 5m ago.",
        ),
        click.option(
            "--offset",
            metavar="OFFSET",
            help="Begin at this byte; -1 is the start, `now` the end there is now.",
        ),
        click.option(
            "--channel",
            "channels",
            type=click.Choice([Channel.STDOUT.value, Channel.STDERR.value, Channel.DATA.value]),
            multiple=True,
            help="Only this channel. May be given several times.",
        ),
        click.option("--safe", is_flag=True, help="Leave out escape sequences and control codes."),
    )[::-1]:
        function = option(function)
    return function


def the_place(run: AnyRun, asked: dict[str, object]) -> Place:
    """Return the place that the options name; none is the start.

    Raises:
        BadOffset, OffsetBeyondTail: `--offset` names no place in the run's log.
    """
    given = [name for name in _OPTIONS if asked[name] is not None]
    if len(given) > 1:
        spelled = " and ".join(_SPELLED.get(name, f"--{name}") for name in given)
        raise click.UsageError(f"expected one place to begin, got {spelled}: choose one of them")
    place = {name: asked[name] for name in given}
    if "offset" in place:
        place["offset"] = parse_offset(str(place["offset"]), run.tail_offset)
    return cast(Place, place)


def tell_outcome(run: AnyRun, outcome: Outcome) -> None:
    """Tell on stderr what the exit code alone does not."""
    if outcome.reason is Reason.FAILED_TO_START:
        tell(outcome.message)
    elif outcome.reason is not Reason.EXITED or (outcome.ok and outcome.message):
        tell(f"run {run.id}: {outcome}")
    if outcome.dropped:
        tell(f"run {run.id}: {outcome.dropped} bytes of output could not be kept")
    if outcome.truncated:
        tell(f"run {run.id}: the cap dropped some of its output")
