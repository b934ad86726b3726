"""Changes of a store's files, as an agent sees them: new and removed runs, and news of single ones.

Owns the watches of inotify, three a run: its folder (state, progress, outcome), that of its log (new
segments), and the file that grows. Where there is no inotify, all that is watched is news ten times a second.
"""

from __future__ import annotations

import contextlib
import os
import time

from runcast.ids import is_run_id
from runcast.log.file import FileLog
from runcast.readers.inotify import Inotify

__all__ = ["StoreWatch"]

_POLL = 0.1
_GONE = ".gone-"


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
        self._growing: dict[str, tuple[int, int]] = {}  # the segment that grows, and its number
        self._by_number: dict[int, tuple[str, bool]] = {}  # the run, and whether its output is meant
        self._inotify: Inotify | None = None
        self._number = -1
        self._polled = 0.0
        self.fd: int | None = None
        with contextlib.suppress(OSError):
            self._inotify = Inotify()
            self._number = self._inotify.add_new_files(store)
            self.fd = self._inotify.fd

    def add(self, run: str) -> None:
        """Watch a run, of which all is news once."""
        if run in self._runs:
            return
        numbers = self._runs[run] = []
        if self.fd is None or self._inotify is None:
            return
        path = f"{self._store}/{run}"
        with contextlib.suppress(OSError):  # removed, or too many watches: then it is polled
            numbers.append(self._inotify.add_changes(path))
            self._by_number[numbers[0]] = run, False
            numbers.append(self._inotify.add_new_files(f"{path}/log"))
            self._by_number[numbers[1]] = run, True

    def grows(self, run: str, log: FileLog) -> bool:
        """Watch the file of a log that grows now; return whether that is another one than before.

        If so the log is to be read once more: it may have grown before it was watched.
        """
        if self._inotify is None or len(self._runs.get(run, ())) < 2:
            return False
        found = log.growing()
        if found is None:
            return False
        status = os.fstat(found[1])
        before = self._growing.get(run)
        if before is not None and before[0] == status.st_ino:
            return False
        with contextlib.suppress(OSError):
            number = self._inotify.add_growth(f"/proc/self/fd/{found[1]}")
            if before is not None and before[1] != number:
                self._drop(before[1])
            self._growing[run] = status.st_ino, number
            self._by_number[number] = run, True
        return True

    def remove(self, run: str) -> None:
        """Watch a run no more."""
        numbers = self._runs.pop(run, [])
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
        polled = self._inotify is None or any(len(numbers) < 2 for numbers in self._runs.values())
        return self._polled + _POLL if polled else None

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
                new = None
            elif number == self._number:
                if is_run_id(name):
                    if new is not None:
                        new.add(name)
                elif name.startswith(_GONE):
                    gone.add(name.removeprefix(_GONE))
            elif (found := self._by_number.get(number)) is not None:
                run, output = found
                changed[run] = changed.get(run, False) or not output
        now = time.monotonic()
        if now >= self._polled + _POLL:
            self._polled = now
            if self._inotify is None:
                new = None
            changed.update(dict.fromkeys((run for run, n in self._runs.items() if len(n) < 2), True))
        return changed, new, gone
