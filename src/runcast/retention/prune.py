"""Removing what a rule leaves of all runs of a store, or of those of one name.

Owns which runs that are: the newest stay. Runs that go on, are pinned or are read stay as well, and
take their place among the newest, for they take their disk.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, MutableMapping
from typing import NamedTuple

from runcast.errors import RunNotFound
from runcast.keep import Keep
from runcast.retention.removal import over_seconds, remove_unread
from runcast.store.files import StoreFiles
from runcast.store.kept import first_beyond, first_older

__all__ = ["Pruned", "disk_bytes", "prune"]

_FINAL_SECONDS = 60.0  # after its end a run takes as much disk as it ever will


class Pruned(NamedTuple):
    """A run that was removed, or would be.

    Attributes:
        run_id: its id.
        bytes: the disk that it took.
    """

    run_id: str
    bytes: int


def prune(
    store: str,
    keep: Keep,
    *,
    name: str | None = None,
    mirrors: bool = False,
    quiet: float = 0,
    dry_run: bool = False,
    sizes: MutableMapping[str, int] | None = None,
) -> Iterator[Pruned]:
    """Remove the runs that a rule leaves, oldest first, and yield each.

    Args:
        store: its folder.
        keep: what stays.
        name: of the runs that are looked at; all by default.
        mirrors: whether these are the runs of other hosts, in place of the store's own: neither counts
            for a rule of the other.
        quiet: seconds in which a run stays after its end in any case.
        dry_run: whether they stay all the same.
        sizes: the disk that runs take, by id, as far as it is known; added to.

    Raises:
        OSError: the store cannot be read.
    """
    files, sizes = StoreFiles(store), {} if sizes is None else sizes
    ids = sorted((one for one in files.ids() if files.run(one).is_mirror is mirrors), reverse=True)
    if name is not None:
        ids = [run_id for run_id in ids if _is_named(files, run_id, name)]
    first = first_beyond(ids, keep, lambda run_id: disk_bytes(files, run_id, sizes))
    # What began less than so long ago cannot have ended so long ago.
    begin = min(first, first_older(ids, keep.seconds, time.time()))
    for at in range(len(ids) - 1, begin - 1, -1):
        run_id, seconds = ids[at], keep.seconds or 0 if at < first else 0
        if over_seconds(files, run_id) < max(seconds, quiet):
            continue
        size = disk_bytes(files, run_id, sizes)
        if remove_unread(store, run_id, dry_run=dry_run):
            sizes.pop(run_id, None)
            yield Pruned(run_id, size)


def disk_bytes(files: StoreFiles, run_id: str, sizes: MutableMapping[str, int]) -> int:
    """Return how much disk a run takes; of one that has ended, as it was at the first look.

    Args:
        files: of the store.
        run_id: of the run.
        sizes: what is known, by id; added to.
    """
    if (size := sizes.get(run_id)) is None:
        run = files.run(run_id)
        size = run.disk_bytes()
        with contextlib.suppress(OSError):  # it goes on
            if run.over_seconds() > _FINAL_SECONDS:
                sizes[run_id] = size
    return size


def _is_named(files: StoreFiles, run_id: str, name: str) -> bool:
    try:
        return bool(files.run(run_id).described()[0]["name"] == name)
    except (RunNotFound, FileNotFoundError):  # it was removed
        return False
