"""The notice of commands that go on when a server ends, and how to stop them.

Owns its text, and logs it at the end of an application's process.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import shlex
from itertools import islice

from runcast.ids import new_run_id
from runcast.run import Run
from runcast.run.base import files_of
from runcast.runs import Store

__all__ = ["going_on", "log_at_exit", "log_now", "mark_logged"]

_NEWEST = 500  # runs that are checked: shutdown must not wait for a long list
_NAMED = 3  # by name; the rest is counted
_RELOADED = ("WERKZEUG_RUN_MAIN", "BOTTLE_CHILD")  # set for a child of Flask's reloader, and of Bottle's
_expected: dict[str, str] = {}  # path of a store: only runs with ids later than this are named at its end


def going_on(store: Store, since: str = "") -> str | None:
    """Return a sentence on the commands of a store that go on; None where none does.

    Args:
        store: whose runs.
        since: only runs whose ids are later, that is, which began later.
    """
    runs = [run for run in islice(store.list(), _NEWEST) if run.id > since and _goes_on(run)]
    if not runs:
        return None
    option = "" if _is_default(store) else f"--store {shlex.quote(store.path)} "
    if len(runs) == 1:
        return f"run {_named(runs[0])} goes on: `runcast {option}stop {runs[0].id}` ends it"
    named = ", ".join(map(_named, runs[:_NAMED]))
    more = f" and {len(runs) - _NAMED} more (`runcast {option}ls`)" if len(runs) > _NAMED else ""
    return f"{len(runs)} runs go on: {named}{more}: `runcast {option}stop ID` ends one"


def log_at_exit(store: Store) -> None:
    """Log at the exit of this process which commands go on, of those started in the store from now on.

    Not in the process that a reloader begins anew at each change: the one above it has made the
    application, too, and logs them all when the server ends.
    """
    if any(os.environ.get(name) == "true" for name in _RELOADED):
        return
    if not _expected:
        atexit.unregister(_log_all)
        atexit.register(_log_all, os.getpid())
    _expected.setdefault(store.path, new_run_id())


def log_now(store: Store) -> None:
    """Log it before the exit: a process that a signal ends runs no exit handlers."""
    if (begun := _expected.pop(store.path, None)) is None:  # logged already
        return
    with contextlib.suppress(Exception):
        if sentence := going_on(store, begun):
            logging.getLogger("runcast").warning("%s", sentence)


def mark_logged(store: Store) -> None:
    """Record that it was logged already."""
    _expected.pop(store.path, None)


def _log_all(process: int) -> None:
    if os.getpid() == process:  # else a forked child, whose parent goes on
        for path in list(_expected):
            log_now(Store(path))


def _goes_on(run: Run) -> bool:
    """Return whether a run has a supervisor, which does not end with any server."""
    with contextlib.suppress(OSError, ValueError):
        return run.outcome is None and "supervisor" in files_of(run).state() and files_of(run).held
    return False


def _named(run: Run) -> str:
    name = "".join(letter if letter.isprintable() else "?" for letter in run.name)
    return f"{run.id} ({name[:40]})"


def _is_default(store: Store) -> bool:
    with contextlib.suppress(Exception):
        return Store.open().path == store.path
    return False
