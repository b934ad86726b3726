"""Sweeps: removing in the background what the rules of finished runs leave.

Owns when a process sweeps: after a start that has a rule, in a thread, at most once a minute among all
processes. A run that goes on, is pinned or is being read is never removed; nor is one that ended less
than a minute ago, because its starter may look at its outcome only now, or one that a viewer started
and that was watched so lately, for its viewer may be reloading.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
import time
from collections.abc import MutableMapping

from runcast import loggers
from runcast.acting import acting
from runcast.errors import RuncastError
from runcast.keep import Keep
from runcast.own_thread import Background
from runcast.retention.prune import disk_bytes, prune
from runcast.retention.removal import over_seconds, remove_unread
from runcast.store.files import StoreFiles
from runcast.store.folder import make_store
from runcast.store.kept import VIEW, Due, KeptFiles
from runcast.who import RETENTION

__all__ = ["EVERY_SECONDS", "QUIET_SECONDS", "sweep", "sweep_all", "sweep_soon"]

EVERY_SECONDS = 60.0  # between sweeps of a store, by whichever process
QUIET_SECONDS = 60.0  # after its end, or its last viewer, in which a run stays

_lock = threading.Lock()
_due: dict[tuple[str, Keep | None], float] = {}  # by store and rule: when this process may sweep it again
_sizes: dict[str, dict[str, int]] = {}  # by store: the disk that its runs take
_THREAD = "runcast sweeps"
_EXIT_SECONDS = 10.0  # that the end of a process waits for a sweep, which it would cut off


def sweep_soon(store: str, keep: Keep | None = None) -> threading.Thread | None:
    """Have a store swept in a thread, if this process has not done so lately; return the thread.

    Args:
        store: its folder.
        keep: a rule for all of its runs, where there is one.
    """
    now = time.monotonic()
    with _lock:
        if now < _due.get((store, keep), 0.0):
            return None
        _due[store, keep] = now + EVERY_SECONDS
    thread = Background(target=_sweep_quietly, args=(store, keep), name=_THREAD)
    try:
        thread.start()
    except RuntimeError:  # there are too many threads: the next start's process sweeps
        return None
    return thread


@atexit.register
def _finish() -> None:
    """Wait for a sweep: a script that starts a run and ends at once would never have one."""
    with contextlib.suppress(KeyboardInterrupt, RuntimeError):  # one that another thread is about to start
        for thread in threading.enumerate():
            if thread.name == _THREAD:
                thread.join(_EXIT_SECONDS)


def _sweep_quietly(store: str, keep: Keep | None) -> None:
    try:
        sweep(store)
        if keep is not None:
            sweep_all(store, keep)
    except (OSError, RuncastError) as error:
        if os.path.isdir(store):  # else it was removed, with all that there was to remove
            loggers.warning_once(
                "store", "finished runs of %s stay, whatever the rules are: %s", store, error
            )


@acting(RETENTION)
def sweep(store: str, *, every: float | None = None, quiet: float | None = None) -> int:
    """Remove what the rules of runs leave; return how many that were. Nothing where another process does.

    Args:
        store: its folder.
        every: seconds that must have passed since the last sweep began; by default EVERY_SECONDS.
        quiet: seconds in which a run stays after its end, or its last viewer; by default QUIET_SECONDS.

    Raises:
        OSError: the store cannot be read, or not written to.
    """
    removed = 0
    if not KeptFiles(store).exists:  # most stores have no rules
        return 0
    index, files = KeptFiles(store), StoreFiles(store)
    sizes: MutableMapping[str, int] = _sizes.setdefault(store, {})
    with index.sweeping(EVERY_SECONDS if every is None else every) as ours:
        gone = []
        for one in index.due(lambda run_id: disk_bytes(files, run_id, sizes)) if ours else ():
            there = files.has(one.run_id)  # else it was removed otherwise
            if there and not _remove(store, files, one, QUIET_SECONDS if quiet is None else quiet):
                continue
            removed += there
            gone.append(one)
            sizes.pop(one.run_id, None)
        index.take_out(gone)
        if ours:
            loggers.debug("store", "sweep of %s: removed %s runs by their rules", store, removed)
    return removed


@acting(RETENTION)
def sweep_all(store: str, keep: Keep, *, every: float | None = None) -> int:
    """Remove what a rule leaves of all runs of a store; return how many. Nothing where another process does.

    Args:
        store: its folder.
        keep: the rule.
        every: seconds that must have passed since the last such sweep began; by default EVERY_SECONDS.

    Raises:
        OSError: the store cannot be read, or not written to.
        StoreUnusable: its mark cannot be made, where it has none yet.
    """
    if os.path.isdir(store):  # a server's, where nothing ran yet: with our index alone it would be no store
        make_store(store)
    with KeptFiles(store).sweeping(EVERY_SECONDS if every is None else every, of_all=True) as ours:
        if not ours:
            return 0
        quiet = QUIET_SECONDS
        removed = sum(1 for _ in prune(store, keep, quiet=quiet, sizes=_sizes.setdefault(store, {})))
        loggers.debug("store", "sweep of %s: removed %s runs by the rule of the store", store, removed)
        return removed


def _remove(store: str, files: StoreFiles, one: Due, quiet: float) -> bool:
    """Remove a run of the index, if its time has come and nobody is near it; return whether it was."""
    over = over_seconds(files, one.run_id, unwatched=one.kind == VIEW)
    return over >= max(one.seconds, quiet) and remove_unread(store, one.run_id)
