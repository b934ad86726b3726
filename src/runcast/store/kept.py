"""Which runs were started with a rule of what stays of them, and which of them may have to go.

    kept/KIND-GROUP   a line for each such run, RUNS-SECONDS-BYTES ID: the rule, and the run. GROUP is a
                      hash of what the runs have in common: their name, or, of KIND view, the view whose
                      viewers' GETs started them
    kept/.lock        held by the process that sweeps; its mtime is when the last sweep began
    kept/.lock-all    the same of sweeps that look at all runs, by a rule of the store
    viewed/COUNT-SECONDS-GROUP   the same of earlier versions, for views; a line is an id

Owns that index. It has the runs there are to look at, and what is to be kept of them, so nothing else of
the store is read, however many runs it has. Does not know whether a run is over, nor how much disk it
takes, and removes none.

A line is appended, for that costs a third of making a file. Appending takes a shared lock, taking
lines out an exclusive one; the last 26 letters of a line are an id, so that half a line, of a full
disk or a process that was killed, spoils no other. The rule of a group is that of its newest run.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import time
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Final, NamedTuple

from runcast.ids import ALPHABET, LENGTH, time_of
from runcast.keep import Keep
from runcast.sysio.locks import lock

__all__ = ["ALL_VIEWS", "NAME", "VIEW", "Due", "KeptFiles", "first_beyond", "first_older"]

ALL_VIEWS: Final = 10  # times as many as of one view stay of all together: a view's name may hold a path
NAME, VIEW = "name", "view"  # the kinds of groups
_FOLDER: Final = "kept"
_OLDER: Final = "viewed"
_TRIES: Final = 100  # to append, where others take the file away at the same moments
_GROUP = re.compile(rf"({NAME}|{VIEW})-[0-9a-f]{{32}}")
_OLDER_GROUP = re.compile(r"([0-9]{1,9})-([0-9]{1,12})-[0-9a-f]{32}")
_RULE = re.compile(r"([0-9]{0,9})-([0-9]{0,12})-([0-9]{0,18}) ")  # the beginning of a whole line
_ID = re.compile(rf"([{ALPHABET}]{{{LENGTH}}})(?:\n|\Z)")  # the end of any line
_OPEN: Final = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Due(NamedTuple):
    """A run in the index that may have to go."""

    path: str  # of the index file
    run_id: str
    seconds: int  # for which it stays after its end; 0 where there are too many newer ones, or too large
    kind: str


class _Group(NamedTuple):
    path: str
    kind: str
    keep: Keep
    ids: list[str]  # newest first


class KeptFiles:
    """The index of a store."""

    def __init__(self, store: str) -> None:
        self._store = store
        self._folder = f"{store}/{_FOLDER}"

    @property
    def exists(self) -> bool:
        """Whether any run was ever started with a rule."""
        return any(os.path.isdir(folder) for folder in (self._folder, f"{self._store}/{_OLDER}"))

    def note(self, kind: str, name: str, run_id: str, keep: Keep) -> None:
        """Note that a run was started with a rule.

        Args:
            kind: `NAME` or `VIEW`.
            name: of the run, or of the view.
            run_id: of the run.
            keep: the rule; that of the newest run of a group is the group's.

        Raises:
            OSError: the disk is full, or something else is in the place of the index.
        """
        rule = "-".join("" if bound is None else str(bound) for bound in keep)
        if kind == VIEW:  # applications with views of one name each have their own rule
            name = f"{rule} {name}"
        import hashlib  # loads OpenSSL: 4 MB of an agent, which keeps no rules

        hashed = hashlib.sha256(name.encode(errors="replace")).hexdigest()[:32]
        path = f"{self._folder}/{kind}-{hashed}"
        _refuse_link(self._folder)
        for _ in range(_TRIES):
            try:
                fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | _OPEN, 0o600)
            except FileNotFoundError:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(self._folder, 0o700)
                continue
            try:
                lock(fd, shared=True)
                if os.fstat(fd).st_nlink:  # else a sweep has just taken the empty file away
                    os.write(fd, f"{rule} {run_id}\n".encode())
                    return
            finally:
                os.close(fd)

    @contextlib.contextmanager
    def sweeping(self, every: float, *, of_all: bool = False) -> Iterator[bool]:
        """Hold the lock of the process that sweeps; give whether it was free, and the sweep is due.

        Args:
            every: seconds that must have passed since the last one began.
            of_all: whether it looks at all runs of the store, which a sweep of the index does not.

        Raises:
            OSError: the store cannot be written to.
        """
        _refuse_link(self._folder)
        with contextlib.suppress(FileExistsError):
            os.mkdir(self._folder, 0o700)
        name = ".lock-all" if of_all else ".lock"
        fd = os.open(f"{self._folder}/{name}", os.O_RDWR | os.O_CREAT | _OPEN, 0o600)
        try:
            yield lock(fd, wait=False) and _is_due(fd, every)
        finally:
            os.close(fd)

    def due(self, disk_bytes: Callable[[str], int]) -> list[Due]:
        """Return the runs that may have to go, oldest first.

        Args:
            disk_bytes: returns how much disk a run takes, called where a rule has a size.
        """
        found: list[Due] = []
        views: dict[Keep, list[Due]] = {}
        now = time.time()
        for listed in self._groups():
            group, removed = self._without_removed(listed)
            found += removed
            first, seconds = first_beyond(group.ids, group.keep, disk_bytes), group.keep.seconds or 0
            of_view = group.kind == VIEW
            begin = 0 if of_view else min(first, first_older(group.ids, group.keep.seconds, now))
            made = [
                Due(group.path, run_id, seconds if at < first else 0, group.kind)
                for at, run_id in enumerate(group.ids[begin:], begin)
            ]
            (views.setdefault(group.keep, []) if of_view else found).extend(made)
        for keep, together in views.items():
            together.sort(key=_by_id, reverse=True)
            most = len(together) if keep.runs is None else keep.runs * ALL_VIEWS
            found += [one if at < most else one._replace(seconds=0) for at, one in enumerate(together)]
        # What began less than so long ago cannot have ended so long ago.
        return sorted([one for one in found if now - time_of(one.run_id) >= one.seconds], key=_by_id)

    def _without_removed(self, group: _Group) -> tuple[_Group, list[Due]]:
        """Return a group without the runs that were removed, for these take no place, and those."""
        if group.keep.bytes is None and (group.keep.runs is None or len(group.ids) <= group.keep.runs):
            return group, []
        there = [run_id for run_id in group.ids if os.path.isdir(f"{self._store}/{run_id}")]
        removed = set(group.ids).difference(there)
        gone = [Due(group.path, run_id, 0, group.kind) for run_id in group.ids if run_id in removed]
        return group._replace(ids=there), gone

    def take_out(self, gone: Collection[Due]) -> None:
        """Take runs out of the index that are there no more."""
        ids: dict[str, set[str]] = {}
        for one in gone:
            ids.setdefault(one.path, set()).add(one.run_id)
        for path, some in ids.items():
            _take_out(path, some)

    def _groups(self) -> Iterator[_Group]:
        for folder in (self._folder, f"{self._store}/{_OLDER}"):
            for name in _names(folder):
                path, older = f"{folder}/{name}", _OLDER_GROUP.fullmatch(name)
                if not (older if folder.endswith(_OLDER) else _GROUP.fullmatch(name)):
                    continue
                with contextlib.suppress(OSError):  # a link, a folder: none of ours
                    data = _read(path)
                    ids = sorted(set(_ID.findall(data)), reverse=True)
                    if older:
                        yield _Group(path, VIEW, Keep(int(older[1]), int(older[2])), ids)
                    elif (keep := _rule(data, ids)) is not None:
                        yield _Group(path, name.partition("-")[0], keep, ids)


def first_beyond(ids: Sequence[str], keep: Keep, disk_bytes: Callable[[str], int]) -> int:
    """Return the place from which on runs are too many, or too large together, whatever their age.

    The newest run stays, whatever its size.

    Args:
        ids: newest first.
        keep: the rule.
        disk_bytes: returns how much disk a run takes, called where the rule has a size.
    """
    most = len(ids) if keep.runs is None else min(keep.runs, len(ids))
    if keep.bytes is not None:
        total = 0
        for at in range(most):
            total += disk_bytes(ids[at])
            if total > keep.bytes and at:
                return at
    return most


def _refuse_link(folder: str) -> None:
    """Refuse a link in the place of the index: it may lead anywhere."""
    if os.path.islink(folder):
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), folder)


def first_older(ids: Sequence[str], seconds: int | None, now: float) -> int:
    """Return the place from which on runs began at least so many seconds ago; behind the last for None.

    Args:
        ids: newest first.
        seconds: the age.
        now: in seconds since the epoch.
    """
    if seconds is None:
        return len(ids)
    return bisect_left(ids, seconds - now, key=lambda run_id: -time_of(run_id))


def _names(folder: str) -> Sequence[str]:
    try:
        return () if os.path.islink(folder) else os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return ()


def _read(path: str) -> str:
    fd = os.open(path, os.O_RDONLY | _OPEN)
    try:
        return _text(fd)
    finally:
        os.close(fd)


def _text(fd: int) -> str:
    return os.pread(fd, os.fstat(fd).st_size, 0).decode("latin-1")


def _rule(data: str, ids: Sequence[str]) -> Keep | None:
    """Return the rule of the newest run that has one; None where no line is whole."""
    for run_id in ids:
        at = data.rindex(run_id)
        found = _RULE.fullmatch(data, data.rfind("\n", 0, at) + 1, at)
        bounds = [int(bound) if bound else None for bound in found.groups()] if found else []
        if any(bound is not None for bound in bounds):
            return Keep(*bounds)
    return None


def _take_out(path: str, gone: set[str]) -> None:
    """Take runs out of an index file, and the file away if none are left."""
    fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        lock(fd)
        lines = [line for line in _text(fd).split("\n") if _ID.fullmatch(line[-LENGTH:])]
        left = "".join([f"{line}\n" for line in lines if line[-LENGTH:] not in gone]).encode("latin-1")
        os.pwrite(fd, left, 0)  # less than there is: a kill at this point leaves lines of runs that are gone
        os.ftruncate(fd, len(left))
        if not left:
            os.unlink(path)
    finally:
        os.close(fd)


def _is_due(fd: int, every: float) -> bool:
    """Return whether the last sweep began long enough ago; if so, note that one begins now."""
    status, now = os.fstat(fd), time.time_ns()
    if status.st_size and 0 <= now - status.st_mtime_ns < every * 1e9:  # a new file is empty
        return False
    os.pwrite(fd, b"\n", 0)
    os.utime(fd, ns=(now, now))
    return True


def _by_id(one: Due) -> str:
    return one.run_id
