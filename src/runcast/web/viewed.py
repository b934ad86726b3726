"""Runs that a viewer's GET started: kept for a while, then swept, so that nobody fills the disk by reloading.

    viewed/COUNT-SECONDS-VIEW/RUN     an empty file for each such run; VIEW is a hash of the view's name
    viewed/.lock                      held by who sweeps; its mtime is when somebody last began to

Owns that index and the sweeping. The index says which runs there are to look at, and what their
application wants to keep of them, so nothing else of the store is read, however many runs it has.
Whichever process starts a run for a viewer sweeps in a thread, at most once a minute among all.
Never removed is a run that goes on, one that somebody reads (they hold a lock on its log), and one
that ended or was watched less than a minute ago: its viewer may be reloading.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from runcast.errors import RuncastError, UsageError
from runcast.ids import is_run_id, time_of
from runcast.model import State
from runcast.quantities import duration
from runcast.run import Run
from runcast.store import Store

__all__ = ["KEEP_VIEWED", "Keep", "keep_of", "note_viewed", "sweep"]

EVERY = 60.0  # seconds between sweeps of a store, by whichever process
QUIET = 60.0  # seconds after its end, or its last viewer, in which a run stays
ALL_VIEWS: Final = (
    10  # times as many as of one view stay of all views together: a view's name may hold a path
)
_FOLDER: Final = "viewed"
_NAME = re.compile(r"([0-9]{1,9})-([0-9]{1,12})-[0-9a-f]{32}")

_lock = threading.Lock()
_due: dict[str, float] = {}  # by store: when this process may sweep it again


class Keep(NamedTuple):
    """How many finished runs of a view stay, and how long, in seconds after their end."""

    runs: int
    seconds: int


KEEP_VIEWED: Final = Keep(100, 24 * 3600)


def keep_of(value: object) -> Keep | None:
    """Return what `keep_viewed=` says; None keeps all.

    Raises:
        UsageError: it is neither None nor a number of runs and a time.
    """
    if value is None:
        return None
    if isinstance(value, tuple | list) and len(value) == 2 and type(value[0]) is int:
        with contextlib.suppress(ValueError, TypeError):
            runs, seconds = value[0], duration(value[1], zero=False)
            if 0 <= runs < 10**9 and seconds < 10**12:
                return Keep(runs, max(1, round(seconds)))
    raise UsageError(
        'expected keep_viewed= as a number of runs and a time, such as (100, "1d"), or None, '
        f"got {value!r:.80}"
    )


def note_viewed(store: Store, view: str, run: Run, keep: Keep) -> None:
    """Note that a viewer's GET started a run, and have the store swept if it is time to."""
    hashed = hashlib.sha256(view.encode(errors="replace")).hexdigest()[:32]
    folder = f"{store.path}/{_FOLDER}/{keep.runs}-{keep.seconds}-{hashed}"
    with contextlib.suppress(OSError):  # a full disk: then it stays
        _mark(folder, run.id)
    now = time.monotonic()
    with _lock:
        if now < _due.get(store.path, 0.0):
            return
        _due[store.path] = now + EVERY
    with contextlib.suppress(RuntimeError):  # no thread is to be had: somebody sweeps later
        threading.Thread(target=_sweep_quietly, args=(store,), name="runcast sweeps", daemon=True).start()


def _mark(folder: str, run_id: str) -> None:
    for again in (True, True, False):  # a sweeper takes away folders that are empty
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            os.close(os.open(f"{folder}/{run_id}", flags, 0o600))
            return
        except FileNotFoundError:
            if not again:
                raise
            for path in (os.path.dirname(folder), folder):
                with contextlib.suppress(FileExistsError):
                    os.mkdir(path, 0o700)


def _sweep_quietly(store: Store) -> None:
    with contextlib.suppress(OSError, RuncastError):  # somebody took the store away
        sweep(store, every=EVERY, quiet=QUIET)


def sweep(store: Store, *, every: float, quiet: float) -> int:
    """Remove what no application keeps any more; return how many runs. Nothing where another process does.

    Args:
        store: whose runs.
        every: seconds that must have passed since anybody began to.
        quiet: seconds in which a run stays after its end, or its last viewer.

    Raises:
        OSError: the store cannot be read.
    """
    with _sweeping(store, every) as ours:
        return sum(_remove(store, mark, quiet) for mark in _too_many(store)) if ours else 0


@contextlib.contextmanager
def _sweeping(store: Store, every: float) -> Iterator[bool]:
    """Hold the lock of who sweeps, and give whether it was to be had and it is time to."""
    path = f"{store.path}/{_FOLDER}/.lock"
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        yield _locked(fd) and _is_due(fd, every)
    finally:
        os.close(fd)


def _locked(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_due(fd: int, every: float) -> bool:
    """Return whether the last sweep began long enough ago; if so, note that one begins now."""
    status, now = os.fstat(fd), time.time_ns()
    if status.st_size and 0 <= now - status.st_mtime_ns < every * 1e9:  # a new file is empty
        return False
    os.pwrite(fd, b"\n", 0)
    os.utime(fd, ns=(now, now))
    return True


class _Mark(NamedTuple):
    """An entry of the index, of a run that is not kept, unless it is younger than `seconds`."""

    path: str
    run_id: str
    seconds: int  # 0: there are too many newer ones


def _too_many(store: Store) -> list[_Mark]:
    """Return the runs that may have to go, oldest first."""
    by_keep: dict[Keep, list[list[_Mark]]] = {}
    with os.scandir(f"{store.path}/{_FOLDER}") as folders:
        for folder in folders:
            if (named := _NAME.fullmatch(folder.name)) and folder.is_dir(follow_symlinks=False):
                keep = Keep(int(named[1]), int(named[2]))
                ids = sorted(filter(is_run_id, os.listdir(folder.path)), reverse=True)
                if not ids:
                    with contextlib.suppress(OSError):
                        os.rmdir(folder.path)
                marks = [_Mark(f"{folder.path}/{one}", one, keep.seconds) for one in ids]
                by_keep.setdefault(keep, []).append(_beyond(marks, keep.runs))
    found = []
    for keep, views in by_keep.items():
        together = sorted((mark for view in views for mark in view), key=_by_id, reverse=True)
        found += _beyond(together, keep.runs * ALL_VIEWS)
    now = time.time()
    # Who was begun less than so long ago cannot have ended so long ago.
    return sorted([mark for mark in found if now - time_of(mark.run_id) >= mark.seconds], key=_by_id)


def _by_id(mark: _Mark) -> str:
    return mark.run_id


def _beyond(marks: Sequence[_Mark], count: int) -> list[_Mark]:
    return [mark if at < count else mark._replace(seconds=0) for at, mark in enumerate(marks)]


def _remove(store: Store, mark: _Mark, quiet: float) -> bool:
    """Remove a run, if it is over and nobody is near it; return whether it was."""
    path = f"{store.path}/{mark.run_id}"
    if not os.path.isdir(path):  # somebody removed it
        with contextlib.suppress(OSError):
            os.unlink(mark.path)
        return False
    with contextlib.suppress(RuncastError, OSError):  # it goes on, is damaged, or cannot be looked into
        run = Run(path)
        if run.state not in (State.EXITED, State.LOST) or _age(run) < max(mark.seconds, quiet):
            return False
        with _unread(run) as unread:
            if unread:
                store.remove(run)
                os.unlink(mark.path)
                return True
    return False


def _age(run: Run) -> float:
    """Return for how long a run is over and was watched by nobody, in seconds."""
    ended = os.stat(f"{run.directory.path}/outcome.json").st_mtime_ns
    return (time.time_ns() - max(ended, run.directory.watched())) / 1e9


@contextlib.contextmanager
def _unread(run: Run) -> Iterator[bool]:
    """Give whether nobody reads a run: each reader has a lock on its log's folder until it closes it."""
    try:
        fd = os.open(run.directory.log_path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:  # a run that said nothing
        yield True
        return
    try:
        yield _locked(fd)
    finally:
        os.close(fd)
