"""`runcast rm`: remove finished runs and their logs, and streams."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import click

from runcast.cli import exit_codes
from runcast.cli.runs import STREAM, find_all, source_of
from runcast.cli.stop import GRACE
from runcast.cli.terminal import report
from runcast.cli.where import Where, at_server
from runcast.errors import RunActive, RuncastError, RunNotFound, RunPinned, StreamNotFound

if TYPE_CHECKING:
    from runcast.cli.any_runs import AnyRun

__all__ = ["command"]


@click.command("rm", short_help="Remove finished runs and their logs.")
@click.argument("ids", metavar="ID...", nargs=-1)
@click.option(
    "--all-finished", is_flag=True, help="Remove all that have ended and are not pinned, and closed streams."
)
@click.option(
    "--force", is_flag=True, help="Stop active runs, unpin pinned ones; remove open streams as well."
)
@at_server
@click.pass_obj
def command(where: Where, ids: tuple[str, ...], all_finished: bool, force: bool) -> int:
    """Remove finished runs and their logs, for good. An active or pinned run is not removed.

    A stream is removed by its id or its name, once it is closed.

    \b
    Examples:
      runcast rm last
      runcast rm --force b7sqj x14jh
      runcast rm builds/42
      runcast rm --all-finished
    """
    if bool(ids) is all_finished:
        raise click.UsageError("expected the ids of runs, or --all-finished" + ", got both" * all_finished)
    there = where.open()
    if all_finished:
        for run in there.list():
            with contextlib.suppress(RunActive, RunPinned, RunNotFound, StreamNotFound):  # stays, or is gone
                there.remove(run)
        return exit_codes.OK
    status = exit_codes.OK
    runs = find_all(there, ids)
    for run in runs if force else ():
        with contextlib.suppress(RuncastError):  # it has ended; or removing it reports the error
            run.stop(grace=GRACE)
    for run in runs:
        try:
            if force and not _is_stream(run):
                _until_closed(run)
                run.unpin()
            host = run.host
            there.remove(run, force=force)
            if host is not None and not host.here:
                report(
                    f"run {run.id} is gone from the list of this host: {host.name} has it, and may remove it"
                )
        except RuncastError as error:
            report(str(error))
            status = error.exit_code
    return status


def _is_stream(run: AnyRun) -> bool:
    with contextlib.suppress(OSError):  # it was removed meanwhile
        return source_of(run) == STREAM
    return False


def _until_closed(run: AnyRun) -> None:
    for _chunk in run.follow(offset=run.tail_offset):
        pass
