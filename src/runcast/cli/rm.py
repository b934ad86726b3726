"""`runcast rm`: remove finished runs and their logs, and streams."""

from __future__ import annotations

import contextlib

import click

from runcast.cli import exit_codes
from runcast.cli.runs import STREAM, find_all, source_of
from runcast.cli.stop import GRACE
from runcast.cli.terminal import tell
from runcast.cli.where import AnyRun, Where, at_server
from runcast.errors import RunActive, RuncastError, RunNotFound, StreamNotFound

__all__ = ["command"]


@click.command("rm", short_help="Remove finished runs and their logs.")
@click.argument("ids", metavar="ID...", nargs=-1)
@click.option("--all-finished", is_flag=True, help="All that are over, closed streams too.")
@click.option("--force", is_flag=True, help="Stop those that go on first; remove open streams as well.")
@at_server
@click.pass_obj
def command(where: Where, ids: tuple[str, ...], all_finished: bool, force: bool) -> int:
    """Remove finished runs and their logs, for good. One that goes on is refused.

    A stream is removed by its id or its name, and refused while it is open.

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
            with contextlib.suppress(RunActive, RunNotFound, StreamNotFound):  # goes on, or is gone already
                there.remove(run)
        return exit_codes.OK
    status = exit_codes.OK
    runs = find_all(there, ids)
    for run in runs if force else ():
        with contextlib.suppress(RuncastError):  # over already; or removing it will say why not
            run.stop(grace=GRACE)
    for run in runs:
        try:
            if force and not _is_stream(run):
                _until_closed(run)
            there.remove(run, force=force)
        except RuncastError as error:
            tell(str(error))
            status = error.exit_code
    return status


def _is_stream(run: AnyRun) -> bool:
    with contextlib.suppress(OSError):  # it was removed meanwhile
        return source_of(run) == STREAM
    return False


def _until_closed(run: AnyRun) -> None:
    for _chunk in run.follow(offset=run.tail_offset):
        pass
