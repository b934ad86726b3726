"""What was appended survives a power loss within a second: one thread syncs it, behind the appends.

Owns that thread, which is there while something is to be synced and a little longer. An append
does not wait for the disk: what it acknowledges survives the death of any process at once, and
that of the machine a second later.
"""

from __future__ import annotations

import os
import threading
from typing import Protocol

__all__ = ["Syncer"]

_SECONDS = 1.0
_IDLE_ROUNDS = 10


class _Synced(Protocol):
    def sync(self) -> None:
        """Have what was appended survive a power loss."""


class Syncer:
    """Syncs what was noted, once a second at most."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._noted: set[_Synced] = set()
        self._thread: threading.Thread | None = None
        self._pid = 0  # a fork has no thread but the one that forked
        self._ended = threading.Event()

    @property
    def alive(self) -> bool:
        """Whether its thread is there."""
        return self._thread is not None

    def note(self, one: _Synced) -> None:
        """Have something synced soon."""
        with self._lock:
            self._noted.add(one)
            if self._thread is None or self._pid != os.getpid():
                self._pid = os.getpid()
                self._ended.clear()
                self._thread = threading.Thread(target=self._run, name="runcast-sync", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        idle = 0
        while True:
            self._ended.wait(_SECONDS)
            idle = 0 if self.sync() else idle + 1
            with self._lock:
                if not self._noted and (idle >= _IDLE_ROUNDS or self._ended.is_set()):
                    self._thread = None
                    return

    def sync(self) -> bool:
        """Sync what was noted; return whether there was anything."""
        with self._lock:
            noted, self._noted = self._noted, set()
        for one in noted:
            one.sync()
        return bool(noted)

    def close(self) -> None:
        """Sync what was noted now, and have the thread end."""
        self.sync()
        self._ended.set()
