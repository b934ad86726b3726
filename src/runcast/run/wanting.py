"""How often a reader that waits for another host's run says so to its store's agent.

Owns the pauses: an agent brings a run for much longer than these after it has heard of a reader, so what a
thousand readers say must not take more of it than their lines. Another agent knows of no readers: it hears
of them at once. Must not know what an agent does with it.
"""

from __future__ import annotations

import os
import time
from typing import Final

from runcast.store.mirrors import agent_lock, ask_for

__all__ = ["Wanting"]

_FIRST_SECONDS: Final = 1.0  # a request may have come to an agent that is about to end
_LONGEST_SECONDS: Final = 4.0  # a fifth of what an agent brings a run for


class Wanting:
    """The requests of one reader.

    Args:
        path: the folder of the mirror.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock = agent_lock(os.path.dirname(path))
        self._look_at = self._at = 0.0  # nothing before, in monotonic seconds
        self._pause = _FIRST_SECONDS
        self._agent: tuple[int, int] | None = None  # that heard the last request

    def want(self, offset: int, *, always: bool = False, now: float | None = None) -> None:
        """Say that a reader waits for more at an offset, if that is due.

        Args:
            offset: where it waits.
            always: it is due: a lazy generator goes on by this.
            now: in monotonic seconds, by default this moment.
        """
        now = time.monotonic() if now is None else now
        if not always and now < self._look_at:
            return
        self._look_at = now + _FIRST_SECONDS
        agent = self._found()
        if agent != self._agent:
            self._pause = _FIRST_SECONDS
        elif not always and now < self._at:
            return
        self._agent = agent if ask_for(self._path, offset) else None
        self._at = now + self._pause
        self._pause = min(2 * self._pause, _LONGEST_SECONDS)

    def _found(self) -> tuple[int, int] | None:
        """Return which agent there is, or was last; each writes its number into the lock."""
        try:
            status = os.stat(self._lock)
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns
