"""When a process was born: its number may be given to another one later, its birth never is.

Owns the clock that dates births, which nobody sets, and what it says of how long something took.

Knows no runs.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any

from runcast.sysio.files import read_kernel

__all__ = ["Begin", "clock", "was_born"]

_TICK = 1 / os.sysconf("SC_CLK_TCK")  # seconds: the precision of the kernel's dates of birth


def clock() -> float:
    """Return the time since the boot, in seconds, by the clock that dates the births of processes."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Begin:
    """The moment when something began, so that its end is never too early, though the clock was set back.

    Nothing can be said of one that was set forward: a virtual machine that was suspended has that, too.
    """

    __slots__ = ("_since_boot", "_wall")

    def __init__(self) -> None:
        self._wall, self._since_boot = time.time(), clock()

    def state(self) -> dict[str, Any]:
        """Return what the state of a run has of it."""
        return {"birth": [self._since_boot] * 2, "started_at": self._wall}

    def end(self) -> float:
        """Return when it ends if that is now, in seconds since the epoch."""
        return max(time.time(), self._wall + clock() - self._since_boot)


def was_born(pid: int, birth: Sequence[float]) -> bool:
    """Whether a process was started between two times of `clock`: a later one with its number was not.

    To have the same number so soon again, all others would have to be given out within milliseconds.
    """
    try:
        ticks = int(read_kernel(f"/proc/{pid}/stat").rpartition(b")")[2].split()[19])
        before, after = birth
        return before - _TICK <= ticks * _TICK <= after
    except (OSError, ValueError, IndexError, TypeError):
        return False
