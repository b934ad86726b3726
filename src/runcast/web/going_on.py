"""What goes on running when a server ends, and how to stop it: commands belong to no server.

Owns the sentence, and says it at the end of an application's process. Knows runs by their folders.
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
from runcast.store import Store

__all__ = ["going_on", "said", "say_at_exit"]

_NEWEST = 500  # runs that are looked at: the end of a server must not wait for a long list
_NAMED = 3  # more of them say little in one line
_expected: dict[str, str] = {}  # path of a store: what is to be said of it concerns runs later than this id


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


def say_at_exit(store: Store) -> None:
    """Have the end of this process say which commands go on that were started in the store meanwhile."""
    if not _expected:
        atexit.register(_say, os.getpid())
    _expected.setdefault(store.path, new_run_id())


def said(store: Store) -> None:
    """Note that it was said already."""
    _expected.pop(store.path, None)


def _say(process: int) -> None:
    if os.getpid() != process:  # a forked child, whose parent goes on
        return
    for path, begun in _expected.items():
        with contextlib.suppress(Exception):
            if sentence := going_on(Store(path), begun):
                logging.getLogger("runcast").warning("%s", sentence)


def _goes_on(run: Run) -> bool:
    """Return whether a run has a supervisor, which does not end with any server."""
    with contextlib.suppress(OSError, ValueError):
        return run.outcome is None and "supervisor" in run.directory.state() and run.directory.held
    return False


def _named(run: Run) -> str:
    name = "".join(letter if letter.isprintable() else "?" for letter in run.name)
    return f"{run.id} ({name[:40]})"


def _is_default(store: Store) -> bool:
    with contextlib.suppress(Exception):
        return Store.open().path == store.path
    return False
