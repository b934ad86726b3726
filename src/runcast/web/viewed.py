"""Runs that a viewer's GET started: kept for a while, then swept, so that nobody fills the disk by reloading.

    viewed/COUNT-SECONDS-VIEW   the ids of such runs, a line each; VIEW is a hash of the view's name
    viewed/.lock                held by who sweeps; its mtime is when somebody last began to

Owns that index and the sweeping. The index says which runs there are to look at, and what their
application wants to keep of them, so nothing else of the store is read, however many runs it has.
Whichever process starts a run for a viewer sweeps in a thread, at most once a minute among all.
Never removed is a run that goes on, one that somebody reads (they hold a lock on its log), and one
that ended or was watched less than a minute ago: its viewer may be reloading.

A line is appended, for that costs a third of making a file. Who appends holds a shared lock, who
takes lines out an exclusive one; the last 26 letters of a line are an id, so that half a line,
of a full disk or a process that was killed, spoils no other.
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
from runcast.ids import LENGTH, is_run_id, time_of
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
_TRIES: Final = 100  # to append, where others take the file away at the same moments
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
    with contextlib.suppress(OSError):  # a full disk: then it stays
        _append(f"{store.path}/{_FOLDER}/{keep.runs}-{keep.seconds}-{hashed}", run.id)
    now = time.monotonic()
    with _lock:
        if now < _due.get(store.path, 0.0):
            return
        _due[store.path] = now + EVERY
    with contextlib.suppress(RuntimeError):  # no thread is to be had: somebody sweeps later
        threading.Thread(target=_sweep_quietly, args=(store,), name="runcast sweeps", daemon=True).start()


def _append(path: str, run_id: str) -> None:
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    for _ in range(_TRIES):
        try:
            fd = os.open(path, flags, 0o600)
        except FileNotFoundError:
            with contextlib.suppress(FileExistsError):
                os.mkdir(os.path.dirname(path), 0o700)
            continue
        try:
            fcntl.flock(fd, fcntl.LOCK_SH)
            if os.fstat(fd).st_nlink:  # else a sweeper has just taken the empty file away
                os.write(fd, f"{run_id}\n".encode())
                return
        finally:
            os.close(fd)


def _ids(fd: int) -> list[str]:
    """Return the ids in an index file, in order of time, each once."""
    data = os.pread(fd, os.fstat(fd).st_size, 0).decode("latin-1")
    return sorted({line[-LENGTH:] for line in data.splitlines() if is_run_id(line[-LENGTH:])})


def _take_out(path: str, gone: set[str]) -> None:
    """Take ids out of an index file, and the file away if none are left."""
    fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        left = "".join([f"{one}\n" for one in _ids(fd) if one not in gone]).encode()
        os.pwrite(fd, left, 0)  # less than there is: whoever is killed here leaves lines that are gone
        os.ftruncate(fd, len(left))
        if not left:
            os.unlink(path)
    finally:
        os.close(fd)


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
    removed = 0
    with _sweeping(store, every) as ours:
        gone: dict[str, set[str]] = {}
        for one in _too_many(store) if ours else ():
            there = os.path.isdir(f"{store.path}/{one.run_id}")  # else somebody else removed it
            if there and not _remove(store, one, quiet):
                continue
            removed += there
            gone.setdefault(one.path, set()).add(one.run_id)
        for path, ids in gone.items():
            _take_out(path, ids)
    return removed


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


class _Viewed(NamedTuple):
    """A run in the index, and for how many seconds it stays; 0 where there are too many newer ones."""

    path: str  # of the index file
    run_id: str
    seconds: int


def _too_many(store: Store) -> list[_Viewed]:
    """Return the runs that may have to go, oldest first."""
    by_keep: dict[Keep, list[_Viewed]] = {}
    for name in os.listdir(f"{store.path}/{_FOLDER}"):
        if named := _NAME.fullmatch(name):
            keep, path = Keep(int(named[1]), int(named[2])), f"{store.path}/{_FOLDER}/{name}"
            with contextlib.suppress(OSError):  # a link, a folder: none of ours
                fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
                try:
                    view = [_Viewed(path, one, keep.seconds) for one in reversed(_ids(fd))]
                finally:
                    os.close(fd)
                by_keep.setdefault(keep, []).extend(_beyond(view, keep.runs))
    found = []
    for keep, together in by_keep.items():
        found += _beyond(sorted(together, key=_by_id, reverse=True), keep.runs * ALL_VIEWS)
    now = time.time()
    # Who was begun less than so long ago cannot have ended so long ago.
    return sorted([one for one in found if now - time_of(one.run_id) >= one.seconds], key=_by_id)


def _by_id(one: _Viewed) -> str:
    return one.run_id


def _beyond(newest_first: Sequence[_Viewed], count: int) -> list[_Viewed]:
    return [one if at < count else one._replace(seconds=0) for at, one in enumerate(newest_first)]


def _remove(store: Store, one: _Viewed, quiet: float) -> bool:
    """Remove a run, if it is over and nobody is near it; return whether it was."""
    with contextlib.suppress(RuncastError, OSError):  # it goes on, is damaged, or cannot be looked into
        run = Run(f"{store.path}/{one.run_id}")
        if run.state not in (State.EXITED, State.LOST) or _age(run) < max(one.seconds, quiet):
            return False
        with _unread(run) as unread:
            if unread:
                store.remove(run)
            return unread
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
