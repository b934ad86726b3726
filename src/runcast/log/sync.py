"""What was appended survives a power loss within a second or so: one thread syncs it, behind the appends.

Owns that thread, which is there while something is to be synced. An append does not wait for the
disk: what it acknowledges survives the death of any process at once, and that of the machine a
second later. Knows nothing of what it syncs.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextvars import Context
from typing import Protocol

from runcast.forked import note_forks

__all__ = ["Synced", "Syncer"]

_SECONDS = 1.0


class Synced(Protocol):
    """What can be synced."""

    def sync(self) -> None:
        """Have what was appended so far survive a power loss."""


class Syncer:
    """Syncs what was noted, once a second at most.

    Args:
        begin: has a call made that starts a thread; by default whoever notes something makes it.
    """

    def __init__(self, begin: Callable[[Callable[[], object]], object] = lambda call: call()) -> None:
        self._begin = begin
        self.in_child()
        note_forks(self)

    def in_child(self) -> None:
        """Begin with nothing: in a forked process what was noted is its parent's to sync."""
        self._lock = threading.RLock()  # a signal handler may note something while it is held
        self._noted: set[Synced] = set()
        self._begun = False

    def note(self, one: Synced) -> None:
        """Have something synced soon."""
        with self._lock:
            self._noted.add(one)
            if self._begun:
                return
            self._begun = True
        self._begin(self._start)

    def forget(self, one: Synced) -> None:
        """Let go of something that needs it no more."""
        with self._lock:
            self._noted.discard(one)

    def _start(self) -> None:
        thread = threading.Thread(target=self._run, name="runcast sync", daemon=True)
        try:
            Context().run(thread.start)  # belongs to no run, whatever code has appended
        except RuntimeError:  # there are as many threads as the system allows: then here, not never
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
        """Sync now what was noted. What fails to, fails alone."""
        with self._lock:
            noted, self._noted = self._noted, set()
        for one in noted:
            try:
                one.sync()
            except Exception:
                import traceback  # every command of ours would load it, for what never happens

                traceback.print_exc()
