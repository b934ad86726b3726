"""Runs that were removed from a store which is shared with other hosts: what its agent has to learn.

    .link.removed  ids of mirrors that were removed here, a line each, the newest ones: they do not come back
    .link.dropped  ids of the store's own runs that were removed, a line each, until the link forgets them

Who removes a run writes there, so the agent learns of it whether it lives at that moment or not, and
without any watch of files. Must not know what an agent does.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable

from runcast.ids import is_run_id
from runcast.store.links import is_shared
from runcast.sysio.files import open_or_make, open_own, read_own
from runcast.sysio.locks import lock
from runcast.sysio.writes import replace, write_all, write_whole

__all__ = ["Dropped", "note_removal", "removed_mirrors"]

_REMOVED, _DROPPED = ".link.removed", ".link.dropped"
_REMOVED_MOST = 5000  # more than a list has
_READ = 1024 * 1024  # bytes at once: some 37,000 ids


def note_removal(store: str, run_id: str, *, mirror: bool) -> Callable[[], object] | None:
    """Note that a run is removed, if the store is shared, once nobody finds it under its name any more.

    Args:
        store: the folder.
        run_id: of the run.
        mirror: whether it was another host's.

    Returns:
        What to call when its files are gone, where a disk that is full has no room for the note; else None.
    """
    path = f"{store}/{_REMOVED if mirror else _DROPPED}"
    if not is_shared(store) or _append(path, run_id):
        return None
    return lambda: _append(path, run_id)


def _append(path: str, run_id: str) -> bool:
    with contextlib.suppress(OSError):
        fd = open_or_make(path, os.O_WRONLY | os.O_APPEND)
        try:
            lock(fd, shared=True)
            write_whole(fd, f"{run_id}\n".encode())
            return True
        finally:
            os.close(fd)
    return False


def removed_mirrors(store: str) -> list[str]:
    """Return the ids of the mirrors that were removed here last; of too many only the newest stay noted."""
    path = f"{store}/{_REMOVED}"
    try:
        ids = read_own(path).decode("ascii", "replace").split()
    except OSError:
        return []
    if len(ids) > 2 * _REMOVED_MOST:
        ids = ids[-_REMOVED_MOST:]
        with contextlib.suppress(OSError):
            replace(f"{path}-new", path, "".join(f"{one}\n" for one in ids).encode(), durable=False)
    return list(filter(is_run_id, ids))


class Dropped:
    """What the agent of a store has to learn of removed runs; a look costs two calls of stat(2)."""

    def __init__(self, store: str) -> None:
        self._store = store
        self._seen: object = None

    def new_mirrors(self) -> list[str]:
        """Return the mirrors that were removed, if there are more than at the last call."""
        seen = _size(f"{self._store}/{_REMOVED}")
        if seen == self._seen:
            return []
        self._seen = seen
        return removed_mirrors(self._store)

    def own(self) -> tuple[list[str], int]:
        """Return runs of this store's own that the link is to forget, and the bytes that name them."""
        path = f"{self._store}/{_DROPPED}"
        if not _size(path):
            return [], 0
        try:
            fd = open_own(path, os.O_RDONLY)
        except OSError:
            return [], 0
        try:
            data = os.pread(fd, _READ, 0)
        finally:
            os.close(fd)
        whole = data[: data.rfind(b"\n") + 1]
        return [one for one in whole.decode("ascii", "replace").split() if is_run_id(one)], len(whole)

    def forgotten(self, size: int) -> None:
        """Take out the first so many bytes: the link has forgotten these runs. A full disk is no error.

        A kill in the middle leaves ids that are forgotten already, which does no harm.
        """
        with contextlib.suppress(OSError):
            fd = open_own(f"{self._store}/{_DROPPED}", os.O_RDWR)
            try:
                lock(fd)
                rest = os.pread(fd, os.fstat(fd).st_size, size)
                os.lseek(fd, 0, os.SEEK_SET)
                write_all(fd, rest)
                os.ftruncate(fd, len(rest))
            finally:
                os.close(fd)


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
