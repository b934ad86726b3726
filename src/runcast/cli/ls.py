"""`runcast ls`: the runs, newest first, and the streams among them."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import time
from collections.abc import Iterator

import click

from runcast.cli.runs import STREAM, source_of
from runcast.cli.terminal import STDOUT, printable, say, tell
from runcast.cli.where import AnyRun, Runs, Where, at_server
from runcast.errors import RuncastError
from runcast.ids import time_of
from runcast.model import Outcome, Reason, signal_name

__all__ = ["command"]

LIMIT = 20
_STEPS = ((86400, "d"), (3600, "h"), (60, "min"))
_HEAD = ("ID", "STATE", "STARTED", "TOOK", "SIZE", "COMMAND")


@click.command("ls", short_help="List the runs, newest first.")
@click.option(
    "-n",
    "--limit",
    type=click.IntRange(min=0),
    metavar="N",
    default=LIMIT,
    show_default=True,
    help="So many at most.",
)
@click.option("--all", "everything", is_flag=True, help="All of them.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for programs.")
@at_server
@click.pass_obj
def command(where: Where, limit: int, everything: bool, as_json: bool) -> None:
    """List the runs, newest first: how they stand, or how they ended.

    Streams, to which others append, are among them: with their names as the command, running until
    they are closed.

    A run whose output was cut by its cap, or could not all be written, says so, and so does one
    whose files are damaged: what is wrong is told on stderr.

    \b
    Examples:
      runcast ls
      runcast ls --all --json | jq -r 'select(.outcome.ok == false) | .id'
      runcast ls --all --json | jq -r 'select(.source == "stream") | .name'
    """
    runs = where.open()
    chosen = runs.list(None if everything else limit)
    if as_json:
        for run in chosen:
            with runs.reading(run):
                say(json.dumps(run.to_json()))
        return
    listed = list(chosen)
    rows = [row for run in listed for row in _row(runs, run)]
    if not rows:
        if not listed:  # otherwise there are some, of which it was told that they cannot be read
            tell(f"no runs in {runs.said}")
        return
    for line in _table(rows):
        say(line)


def _row(runs: Runs, run: AnyRun) -> list[tuple[str, ...]]:
    with runs.reading(run):
        outcome, started = run.outcome, run.started_at
        source = source_of(run)
        if outcome is None:
            state = str(run.state) if run.elsewhere is None else f"{run.state} on {run.elsewhere}"
        else:
            state = "closed" if source == STREAM else _ending(outcome)
        outcome = outcome or run.outcome  # asking for the state settles a run that is lost
        end = time.time() if outcome is None else outcome.ended_at
        took = "-" if started is None else _span(end - started)
        ago = _span(time.time() - (started or time_of(run.id))) + " ago"
        size = "-"
        if (damaged := run.damaged) is not None:
            tell(f"run {run.id} is damaged: {damaged}")
            state += ", damaged"
        with contextlib.suppress(*([] if damaged is None else [OSError, RuncastError])):
            size = _size(run.tail_offset)  # unless the log is what is damaged
        return [(run.id, state, ago, took, size, _title(run, source))]
    return []


def _ending(outcome: Outcome) -> str:
    """Return how a run ended, in a word or two."""
    if outcome.reason is Reason.EXITED:
        said = f"exit {outcome.code}"
    elif outcome.reason is Reason.SIGNALED:
        said = signal_name(outcome.signal or 0)
    else:
        said = outcome.reason.value
    if outcome.truncated:
        said += ", truncated"
    if outcome.dropped:
        said += f", {_size(outcome.dropped)} dropped"
    return said


def _title(run: AnyRun, source: str) -> str:
    """Return the command, behind the name if it was given one; else the name, behind what has it."""
    argv = run.command
    if not argv:
        return f"{source} {run.name}" if run.name != run.id else source
    text = shlex.join(argv)
    return text if run.name == os.path.basename(argv[0]) else f"{run.name}: {text}"


def _span(seconds: float) -> str:
    for step, unit in _STEPS:
        if seconds >= step:
            return f"{seconds / step:.0f} {unit}" if seconds >= 10 * step else f"{seconds / step:.1f} {unit}"
    if seconds < 1:
        return f"{max(seconds, 0) * 1000:.0f} ms"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"


def _size(count: int) -> str:
    value, unit = float(count), "B"
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if value < 1024 or unit == "TiB":
            break
        value /= 1024
    return f"{value:.0f} {unit}" if unit == "B" or value >= 10 else f"{value:.1f} {unit}"


def _table(rows: list[tuple[str, ...]]) -> Iterator[str]:
    """Yield lines of aligned columns, cut to the width of the terminal if there is one."""
    texts = [_HEAD, *(tuple(printable(text) for text in row) for row in rows)]
    widths = [max(len(text) for text in column) for column in zip(*texts, strict=True)]
    most = os.get_terminal_size(STDOUT).columns if os.isatty(STDOUT) else None
    for row in texts:
        cells = [text.ljust(width) for text, width in zip(row[:-1], widths, strict=False)]
        line = "  ".join([*cells, row[-1]])
        yield line if not most or len(line) <= most else line[: most - 1] + "…"
