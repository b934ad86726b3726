"""When a process was born: its number may be given to another one later, its birth never is.

Knows no runs.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

from runcast.sysio.files import read_kernel

__all__ = ["clock", "was_born"]

_TICK = 1 / os.sysconf("SC_CLK_TCK")  # seconds: the precision of the kernel's dates of birth


def clock() -> float:
    """Return the time since the boot, in seconds, by the clock that dates the births of processes."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


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
