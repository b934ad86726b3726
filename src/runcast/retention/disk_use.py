"""How much disk the runs of a store take, by name.

Owns when a server measures that: in a thread, when somebody wants it and the last measure is a minute old.
A run that is over is looked at once. Does not know who shows it.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Collection, Mapping

from runcast.own_thread import Background
from runcast.retention.prune import disk_bytes
from runcast.store.files import StoreFiles

__all__ = ["OTHER", "DiskUse", "disk_use"]

OTHER = "other"
_EVERY_SECONDS = 60.0


class DiskUse:
    """The disk that the runs of a store take.

    Args:
        store: its folder.
        names: of the runs that are counted apart; others are counted as `OTHER`, so that nobody chooses
            how many names there are.
    """

    def __init__(self, store: str, names: Collection[str]) -> None:
        self._store, self._names = store, frozenset(names)
        self._sizes: dict[str, int] = {}  # by id, of runs that are over
        self._named: dict[str, str] = {}  # by id
        self._known: Mapping[str, int] = {}
        self._lock = threading.Lock()
        self._due = 0.0

    def by_name(self) -> Mapping[str, int]:
        """Return bytes by name, as measured last; nothing until they were."""
        with self._lock:
            due, now = self._due, time.monotonic()
            if now >= due:
                self._due = float("inf")  # until it is measured
        if now >= due:
            try:
                Background(target=self._measure, name="runcast measures disk use").start()
            except RuntimeError:  # there are too many threads
                self._due = now + _EVERY_SECONDS
        return self._known

    def _measure(self) -> None:
        try:
            files = StoreFiles(self._store)
            found = Counter(dict.fromkeys([*self._names, OTHER], 0))
            there = set(files.ids())
            for run_id in there:
                found[self._name_of(files, run_id)] += disk_bytes(files, run_id, self._sizes)
            for known in (self._sizes, self._named):
                for run_id in known.keys() - there:
                    del known[run_id]
            self._known = dict(found)
        finally:
            self._due = time.monotonic() + _EVERY_SECONDS

    def _name_of(self, files: StoreFiles, run_id: str) -> str:
        name = self._named.get(run_id)
        if name is None:
            name = OTHER
            with contextlib.suppress(OSError):  # it was removed
                given = files.run(run_id).described()[0]["name"]
                name = given if given in self._names else OTHER
            self._named[run_id] = name
        return name


def disk_use(store: str) -> dict[str, tuple[int, int]]:
    """Return for each name how many runs a store has, and how much disk they take, in bytes."""
    files, found = StoreFiles(store), dict[str, tuple[int, int]]()
    for run_id in files.ids():
        run = files.run(run_id)
        with contextlib.suppress(OSError):  # it was removed
            name = str(run.described()[0]["name"])
            runs, taken = found.get(name, (0, 0))
            found[name] = runs + 1, taken + run.disk_bytes()
    return found
