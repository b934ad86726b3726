"""Changes of a store's files, as an agent sees them: new and removed runs, and news of single ones.

Owns the watches of inotify, three a run: its folder (state, progress, outcome), that of its log (new
segments), and the file that grows. Where there is no inotify, names, times and sizes of files are looked at
ten times a second, and what they show to have changed is news.
"""

from __future__ import annotations

import contextlib
import time

from runcast.ids import is_run_id
from runcast.log.entries import EntryLog
from runcast.readers.inotify import Inotify
from runcast.store.looks import Looks

__all__ = ["StoreWatch"]

_POLL = 0.1
_GONE = ".gone-"
_FIELDS, _SEGMENTS, _OUTPUT = range(3)


class StoreWatch:
    """Watches a store.

    Args:
        store: its folder.

    Attributes:
        fd: readable when there is something to `take`; None where there is no inotify.
    """

    def __init__(self, store: str) -> None:
        self._store = store
        self._runs: dict[str, list[int]] = {}  # numbers of a run's watches
        self._unwatched: set[str] = set()  # those that are polled
        self._looks = Looks()
        self._growing: dict[str, tuple[object, int]] = {}  # the segment that grows, and its number
        self._by_number: dict[int, tuple[str, int]] = {}  # the run, and what of it is meant
        self._unlisted: set[str] = set()  # in whose logs segments were begun since these were listed
        self._inotify: Inotify | None = None
        self._number = -1
        self._polled = 0.0
        self.fd: int | None = None
        with contextlib.suppress(OSError):  # no inotify, or no watch left: then all is polled
            inotify = Inotify()
            try:
                self._number = inotify.add_new_files(store)
            except OSError:
                inotify.close()
                raise
            self._inotify, self.fd = inotify, inotify.fd

    def add(self, run: str) -> None:
        """Watch a run, of which all is news once."""
        if run in self._runs:
            return
        numbers = self._runs[run] = []
        self._unwatched.add(run)
        if self.fd is None or self._inotify is None:
            return
        path = f"{self._store}/{run}"
        with contextlib.suppress(OSError):  # removed, or too many watches: then it is polled
            numbers.append(self._inotify.add_changes(path))
            self._by_number[numbers[0]] = run, _FIELDS
            numbers.append(self._inotify.add_new_files(f"{path}/log"))
            self._by_number[numbers[1]] = run, _SEGMENTS
            self._unwatched.discard(run)

    def grows(self, run: str, log: EntryLog) -> bool:
        """Watch the file of a log that grows now; return whether that is another one than before.

        If so the log is to be read once more: it may have grown before it was watched.
        """
        if self._inotify is None or run in self._unwatched or run not in self._runs:
            return False
        self._is_listed(run, log)
        found = log.growing()
        if found is None:
            return False
        before = self._growing.get(run)
        if before is not None and before[0] is found[0]:
            return False
        with contextlib.suppress(OSError):
            number = self._inotify.add_growth(f"/proc/self/fd/{found[1]}")
            if before is not None and before[1] != number:
                self._drop(before[1])
            self._growing[run] = found[0], number
            self._by_number[number] = run, _OUTPUT
        return True

    def sees(self, run: str, log: EntryLog) -> bool:
        """Return whether whatever is appended from now on is news: the file that grows is watched already.

        So it is if no segment was begun since they were listed. One of which no event was read yet is news.
        """
        before = self._growing.get(run)
        if before is None or run in self._unwatched or not self._is_listed(run, log):
            return False
        found = log.growing()
        return found is not None and before[0] is found[0]

    def _is_listed(self, run: str, log: EntryLog) -> bool:
        if run in self._unlisted and log.listed_anew:
            self._unlisted.discard(run)
        return run not in self._unlisted

    def remove(self, run: str) -> None:
        """Watch a run no more."""
        numbers = self._runs.pop(run, [])
        self._unwatched.discard(run)
        self._looks.forget(f"{self._store}/{run}")
        self._unlisted.discard(run)
        growing = self._growing.pop(run, None)
        for number in numbers if growing is None else [*numbers, growing[1]]:
            self._drop(number)

    def _drop(self, number: int) -> None:
        if self._by_number.pop(number, None) is not None and self._inotify is not None:
            self._inotify.remove(number)

    def close(self) -> None:
        """Watch nothing any more: a user may have few of what it takes (inotify(7))."""
        if self._inotify is not None:
            self._inotify.close()
            self._inotify, self.fd = None, None

    def due(self) -> float | None:
        """Return when the next `take` is due, in monotonic seconds; None if `fd` says so."""
        return self._polled + _POLL if self._inotify is None or self._unwatched else None

    def take(self) -> tuple[dict[str, bool], set[str] | None, set[str]]:
        """Return the runs with news and whether more than their output changed; new runs; removed ones.

        In place of the new runs None, if there may be any.
        """
        changed: dict[str, bool] = {}
        new: set[str] | None = set()
        gone: set[str] = set()
        for number, name in self._inotify.events() if self._inotify is not None else ():
            if number == -1:  # the kernel's queue overflowed
                changed.update(dict.fromkeys(self._runs, True))
                self._unlisted.update(self._runs)
                new = None
            elif number == self._number:
                if is_run_id(name):
                    if new is not None:
                        new.add(name)
                elif name.startswith(_GONE):
                    gone.add(name.removeprefix(_GONE))
            elif (found := self._by_number.get(number)) is not None:
                run, what = found
                changed[run] = changed.get(run, False) or what == _FIELDS
                if what == _SEGMENTS:
                    self._unlisted.add(run)
        now = time.monotonic()
        if now >= self._polled + _POLL:
            self._polled = now
            if self._inotify is None and self._looks.new_names(self._store):
                new = None
            polled = (run for run in self._unwatched if self._looks.changed(f"{self._store}/{run}"))
            changed.update(dict.fromkeys(polled, True))
        return changed, new, gone
