"""When one run may be removed: once it is closed, not pinned, and, for a sweep, read by nobody.

Owns that decision, for removal by name and for sweeps. The files are the store's to remove.
"""

from __future__ import annotations

import contextlib
import math
import os

from runcast.errors import RunActive, RuncastError, RunNotFound, RunPinned
from runcast.model import State
from runcast.readers import drive, until
from runcast.run import Run
from runcast.run.base import files_of
from runcast.store.audit import audit_line
from runcast.store.files import StoreFiles
from runcast.store.folder import unwritable
from runcast.store.origin import seconds_since

__all__ = ["over_seconds", "remove", "remove_unread"]

_CLOSING_SECONDS = 0.5
_SETTLING_SECONDS = 6.0  # leftovers of a lost run are killed first


def remove(store: str, run: Run) -> None:
    """Remove a finished run and its log.

    Args:
        store: its folder.
        run: of that store.

    Raises:
        RunNotFound: it is not there any more.
        RunActive, RunElsewhere: it still goes on; it is another host's.
        RunPinned: it is pinned.
        StoreUnusable: the store cannot be written to.
    """
    if run.pinned:  # first: nobody should stop a run only to learn that it stays
        raise RunPinned(run.id)
    run.settle()
    if run.state in (State.EXITED, State.LOST) and not _is_ended_mirror(run):
        # Those who wait learn of the end a moment before the log closes.
        next(drive(until(files_of(run), lambda: run.closed or None, _CLOSING_SECONDS)), None)
    if not run.closed and not _is_ended_mirror(run) and not _settled_soon(run):
        raise RunActive(f"run {run.id} is {run.state}: stop it first, then remove it")
    key = None
    with contextlib.suppress(RunNotFound):  # it is just being removed by somebody else
        key = run.request.get("key")
    try:
        StoreFiles(store).remove(run.id, key)
    except OSError as error:
        raise unwritable(store, error) from None


def over_seconds(files: StoreFiles, run_id: str, *, unwatched: bool = False) -> float:
    """Return for how long a run is over; less than any time where it goes on, or cannot be looked into.

    Never for longer than since it began, by a clock that nobody sets: where the machine's clock was set
    forward by a day, what ended a moment ago would be a day old, and removed.

    Args:
        files: of the store.
        run_id: of the run.
        unwatched: whether a viewer counts as an end.
    """
    run = files.run(run_id)
    with contextlib.suppress(RuncastError, OSError):
        if Run(run.path).state in (State.EXITED, State.LOST):  # which settles a lost one
            over = run.over_seconds(unwatched=unwatched)
            return over if over <= 0 else min(over, seconds_since(run.state().get("birth"), run.origin()))
    return -math.inf


def remove_unread(store: str, run_id: str, *, dry_run: bool = False) -> bool:
    """Remove a run that is over, if it is not pinned and nobody reads it; return whether that was so.

    Args:
        store: its folder.
        run_id: of the run.
        dry_run: whether it stays all the same.
    """
    files = StoreFiles(store).run(run_id)
    with contextlib.suppress(RuncastError, OSError), files.unread() as unread:
        if unread and dry_run:
            return not files.pinned
        if unread:
            run = Run(files.path)
            name = run.request["name"]
            remove(store, run)
            audit_line(store, "delete", run_id, name)
        return unread
    return False


def _is_ended_mirror(run: Run) -> bool:
    """Return whether it is another host's and has ended, wherever its log is."""
    return files_of(run).is_mirror and files_of(run).ended


def _settled_soon(run: Run) -> bool:
    """Wait for the end of a run whose supervisor is dead: somebody else is settling it."""
    supervisor = files_of(run).state().get("supervisor")
    if supervisor is None or os.path.exists(f"/proc/{supervisor}"):
        return False
    ended = until(files_of(run), lambda: run.closed or None, _SETTLING_SECONDS)
    return bool(next(drive(ended), None))
