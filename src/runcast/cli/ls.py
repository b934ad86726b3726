"""`runcast ls`: the runs, newest first, and the streams among them."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import time
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from runcast.acting import system_user
from runcast.cli.runs import STREAM, source_of
from runcast.cli.terminal import STDERR, STDOUT, print_line, printable, report, size_text
from runcast.cli.values import Whole
from runcast.cli.where import Where, at_server
from runcast.errors import RuncastError
from runcast.ids import time_of
from runcast.model import Outcome, Reason, signal_name
from runcast.store.end_hooks import UNDONE
from runcast.who import Kind, Who

if TYPE_CHECKING:
    from runcast.cli.any_runs import AnyRun, Runs

__all__ = ["command"]

LIMIT = 20
_STEPS = ((86400, "d"), (3600, "h"), (60, "min"))
_HEAD = ("ID", "STATE", "STARTED", "TOOK", "SIZE", "HOST", "BY", "COMMAND")
_SOME = (5, 6)  # the columns that are there only where a run is on another host, or somebody else's
_DISK_HEAD = ("DISK", "RUNS", "NAME")


@click.command("ls", short_help="List the runs, newest first.")
@click.option(
    "-n",
    "--limit",
    type=Whole(min=0),
    metavar="N",
    default=LIMIT,
    show_default=True,
    help="List at most N.",
)
@click.option("--key", metavar="KEY", help="Only the runs that have this key: all attempts of a task.")
@click.option("--all", "everything", is_flag=True, help="List all of them.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line, for programs.")
@click.option("--disk", is_flag=True, help="Print how much disk the runs of each name take, the most first.")
@at_server
@click.pass_obj
def command(where: Where, limit: int, key: str | None, everything: bool, as_json: bool, disk: bool) -> None:
    """List the runs, newest first, with their states or outcomes.

    Streams, to which clients append, are listed too: with their names as the command, and as running
    until they are closed.

    The state shows when a run may be waiting for input or a password, when it is pinned, when output was
    dropped by the cap or could not be written, and when files of the run are damaged: stderr has the details.
    Silent is a run of which it is known why it may be; on a terminal stderr says why, and what to do.
    SIZE is that of the output; how much disk a run takes is in its JSON. BY is who started a run, where that
    was somebody else than you. HOST is where a run is, where other machines share theirs with this store; a
    state that is old, since that host is silent or cannot be reached, says since when.

    \b
    Examples:
      runcast ls
      runcast ls --all --json | jq -r 'select(.outcome.ok == false) | .id'
      runcast ls --all --json | jq -r 'select(.source == "stream") | .name'
      runcast ls --disk
    """
    runs = where.open()
    if disk:
        _print_disk_use(runs, as_json=as_json)
        return
    if everything or _is_given("limit"):
        chosen = runs.list(None if everything else limit, key=key)
    else:
        chosen = _newest(runs.list(limit + 1, key=key), limit)
    if (notice := runs.notice) is not None:
        report(notice)
    if as_json:
        for run in chosen:
            with runs.reading(run):
                value, outcome = run.to_json() | {"disk_bytes": run.disk_bytes}, run.outcome
                if outcome is not None and outcome.traceback:  # a user of the store may see everything
                    value["outcome"] = {**value["outcome"], "traceback": outcome.traceback}
                if (hint := run.hint) is not None:
                    value["hint"] = hint
                print_line(json.dumps(value))
        return
    listed = list(chosen)
    rows = [row for run in listed for row in _row(runs, run)]
    if not rows:
        if not listed:  # otherwise there are unreadable ones, which were reported
            report(f"no runs in {runs.description}" + ("" if key is None else f" with the key {key!r:.100}"))
        return
    columns = [at for at in range(len(_HEAD)) if at not in _SOME or any(row[at] for row in rows)]
    shown = [tuple(row[at] for at in columns) for row in [_HEAD, *rows]]
    for line in _table(shown[0], shown[1:]):
        print_line(line)


def _is_given(option: str) -> bool:
    return click.get_current_context().get_parameter_source(option) is not ParameterSource.DEFAULT


def _newest(runs: Iterator[AnyRun], most: int) -> Iterator[AnyRun]:
    """Yield so many, and say so if there are more, which nobody has chosen to leave out."""
    yield from islice(runs, most)
    if next(runs, None) is not None:
        report(f"these are the newest {most}: --all lists all, -n N so many")


def _print_disk_use(runs: Runs, *, as_json: bool) -> None:
    names = sorted(runs.disk_use().items(), key=lambda one: (-one[1][1], one[0]))
    if as_json:
        for name, (count, taken) in names:
            print_line(json.dumps({"name": name, "runs": count, "disk_bytes": taken}))
        return
    rows = [(size_text(taken), str(count), name) for name, (count, taken) in names]
    counts, sizes = [count for _, (count, _) in names], [taken for _, (_, taken) in names]
    for line in _table(_DISK_HEAD, [*rows, (size_text(sum(sizes)), str(sum(counts)), "all")]):
        print_line(line)


def _row(runs: Runs, run: AnyRun) -> list[tuple[str, ...]]:
    with runs.reading(run):
        outcome, started = run.outcome, run.started_at
        source = source_of(run)
        if outcome is None:
            state = str(run.state) if run.elsewhere is None else f"{run.state} on {run.elsewhere}"
            state += _link(run)
        else:
            state = "closed" if source == STREAM else _ending(outcome)
        outcome = outcome or run.outcome  # reading the state may have marked the run as lost
        end = time.time() if outcome is None else outcome.ended_at
        took = "-" if started is None else _span(end - started)
        ago = _span(time.time() - (started or time_of(run.id))) + " ago"
        if outcome is None and (waiting := run.waiting) is not None:
            state += f", waiting for {waiting.kind}"
        if outcome is None and (place := run.place) is not None:
            state += f", {place} in {run.queue}" if run.queue else f", {place} in line"
        if any(hook["state"] in UNDONE for hook in run.hooks):
            state += ", hook failed"
        if run.pinned:
            state += ", pinned"
        if (hint := run.hint) is not None:
            state += ", silent"
            if os.isatty(STDERR):  # for a person; programs take --json
                report(f"run {run.id}: {hint}")
        size = "-"
        if (damaged := run.damaged) is not None:
            report(f"run {run.id} is damaged: {damaged}")
            state += ", damaged"
        with contextlib.suppress(*([] if damaged is None else [OSError, RuncastError])):
            size = size_text(run.tail_offset)  # unless the log itself is damaged
        return [(run.id, state, ago, took, size, _host(run), _other(run.started_by), _title(run, source))]
    return []


def _host(run: AnyRun) -> str:
    """Return the name of the host that a run is on, if that is another one."""
    host = run.host
    return "" if host is None or host.here else host.name


def _link(run: AnyRun) -> str:
    """Return what of the link is wrong for a run that goes on: its state is the last that is known."""
    host = run.host
    if host is None or (host.silent_since is None and host.unshared_since is None):
        return ""
    if host.silent_since is not None:
        return f", host silent for {_span(time.time() - host.silent_since)}"
    return f", not shared since {time.strftime('%H:%M', time.localtime(host.unshared_since))}"


def _other(who: Who | None) -> str:
    """Return who that is, if it is somebody else than the user of this terminal."""
    own = (Kind.COMMAND_LINE, Kind.PYTHON)
    return "" if who is None or (who.kind in own and who.name == system_user()) else str(who)


def _ending(outcome: Outcome) -> str:
    """Return how a run ended, in a word or two."""
    if outcome.reason is Reason.EXITED:
        text = f"exit {outcome.code}"
    elif outcome.reason is Reason.SIGNALED:
        text = signal_name(outcome.signal or 0)
    else:
        text = outcome.reason.value
        if by := _other(outcome.stopped_by):
            text += f" by {by}"
    if outcome.truncated:
        text += ", truncated"
    if outcome.dropped:
        text += f", {size_text(outcome.dropped)} dropped"
    return text


def _title(run: AnyRun, source: str) -> str:
    """Return the command, with the name before it if it has one; without a command, source and name."""
    argv = run.command
    if not argv:
        return f"{source} {run.name}" if run.name != run.id else source
    text = shlex.join(argv)
    said = (os.path.basename(argv[0]), text, " ".join(argv))  # by the command itself
    return text if run.name in said else f"{run.name}: {text}"


def _span(seconds: float) -> str:
    for step, unit in _STEPS:
        if seconds >= step:
            return f"{seconds / step:.0f} {unit}" if seconds >= 10 * step else f"{seconds / step:.1f} {unit}"
    if seconds < 1:
        return f"{max(seconds, 0) * 1000:.0f} ms"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> Iterator[str]:
    """Yield lines of aligned columns, cut to the width of the terminal if there is one."""
    texts = [head, *(tuple(printable(text) for text in row) for row in rows)]
    widths = [max(len(text) for text in column) for column in zip(*texts, strict=True)]
    most = os.get_terminal_size(STDOUT).columns if os.isatty(STDOUT) else None
    for row in texts:
        cells = [text.ljust(width) for text, width in zip(row[:-1], widths, strict=False)]
        line = "  ".join([*cells, row[-1]])
        yield line if not most or len(line) <= most else line[: most - 1] + "…"
