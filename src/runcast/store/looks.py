"""Whether a folder's files have changed since they were looked at last: where the kernel has no watch left.

Owns what tells a change, and that none is missed which comes within the same tick of the kernel's clock, by
which files have their times. Reads no file, and lists no folder of which the time is enough.
"""

from __future__ import annotations

import contextlib
import heapq
import os
import time
from collections.abc import Iterable

__all__ = ["Looks"]

_TICK_NS = 50_000_000  # several times what lies between two ticks at least, 10 ms
_GROWING = 2  # files of a log that grow: the newest segment and its index


class Looks:
    """What was seen of folders, by path."""

    def __init__(self) -> None:
        self._seen: dict[str, list[object] | None] = {}  # None while the next change may have the same time

    def new_names(self, folder: str) -> bool:
        """Return whether names may have come into a folder, or gone, since the last call."""
        return self._changed(folder, [folder])

    def changed(self, run: str) -> bool:
        """Return whether a file of a run's folder may have changed since the last call, or its log."""
        log, files, growing = f"{run}/log", list[str](), list[str]()
        with contextlib.suppress(OSError):  # removed: that is a change
            files = [f"{run}/{name}" for name in os.listdir(run)]
            growing = [f"{log}/{name}" for name in heapq.nlargest(_GROWING, os.listdir(log))]
        return self._changed(run, [run, log, *files, *growing])

    def forget(self, path: str) -> None:
        """Forget a folder."""
        self._seen.pop(path, None)

    def _changed(self, key: str, paths: Iterable[str]) -> bool:
        now, seen, latest = time.time_ns(), list[object](), 0
        for path in paths:
            with contextlib.suppress(OSError):
                status = os.lstat(path)
                seen += path, status.st_ino, status.st_mtime_ns, status.st_size
                latest = max(latest, status.st_mtime_ns)
        before, self._seen[key] = self._seen.get(key), seen if latest < now - _TICK_NS else None
        return before is None or before != seen
