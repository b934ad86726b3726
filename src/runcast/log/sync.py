"""Background syncs: appends survive a power loss about a second later.

Owns the thread that syncs, which exists while something needs it. An append does not wait for the
disk: once acknowledged, its bytes survive the death of any process at once, and a crash of the
machine a second later. Knows nothing of what it syncs.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextvars import Context
from typing import Protocol

from runcast import loggers
from runcast.own_thread import Background
from runcast.sysio.forks import note_forks

__all__ = ["Synced", "Syncer"]

_SECONDS = 1.0


class Synced(Protocol):
    """Something with data to sync."""

    def sync(self) -> None:
        """Sync all appends so far to the disk."""


class Syncer:
    """Syncs what was noted, at most once a second.

    Args:
        begin: runs a function that starts a thread; by default in the thread that calls `note`.
    """

    def __init__(self, begin: Callable[[Callable[[], object]], object] = lambda call: call()) -> None:
        self._begin = begin
        self.in_child()
        note_forks(self)

    def in_child(self) -> None:
        """Start empty: in a forked process, the parent syncs what was noted before."""
        self._lock = threading.RLock()  # a signal handler may note something while it is held
        self._noted: set[Synced] = set()
        self._begun = False

    def note(self, one: Synced) -> None:
        """Schedule a sync."""
        with self._lock:
            self._noted.add(one)
            if self._begun:
                return
            self._begun = True
        self._begin(self._start)

    def forget(self, one: Synced) -> None:
        """Remove something that needs no sync any more."""
        with self._lock:
            self._noted.discard(one)

    def _start(self) -> None:
        thread = Background(target=self._run, name="runcast sync")
        try:
            Context().run(thread.start)  # belongs to no run, whichever code appended
        except RuntimeError:  # no thread can be started: sync in this one
            self._begun = False
            self.sync()

    def _run(self) -> None:
        while True:
            time.sleep(_SECONDS)
            self.sync()
            with self._lock:
                if not self._noted:
                    self._begun = False
                    return

    def sync(self) -> None:
        """Sync everything that was noted. A failure does not stop the others."""
        with self._lock:
            noted, self._noted = self._noted, set()
        for one in noted:
            try:
                one.sync()
            except Exception as error:
                loggers.error("threads", "a sync failed", failure=error)
