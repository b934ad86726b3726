"""What the system ran out of, in words that name the limit, and what to do about it.

Owns one table from errno to sentences, for whoever starts a process or opens a file. Imports
nothing of ours.
"""

from __future__ import annotations

import errno
from typing import NamedTuple

__all__ = ["TOO_MANY_PROCESSES", "Shortage", "is_thread_refusal", "shortage"]


class Shortage(NamedTuple):
    """What there is too little of, and what somebody can do."""

    what: str
    advice: str


TOO_MANY_PROCESSES = Shortage(
    "too many processes (ulimit -u or pids.max)", "end some of them, or raise that limit"
)
_DISK_FULL = Shortage("no space left on the disk", "remove old runs (`runcast rm`)")
_SHORTAGES = {
    errno.EAGAIN: TOO_MANY_PROCESSES,  # fork(2), clone(2); of files, none of ours is non-blocking
    errno.ENOMEM: Shortage("not enough memory", "free some, or raise the limit (ulimit -v, memory.max)"),
    errno.EMFILE: Shortage("too many open files in one process (ulimit -n)", "raise that limit"),
    errno.ENFILE: Shortage("too many open files or pipes on this machine", "close some (sysctl fs.file-max)"),
    errno.ENOSPC: _DISK_FULL,
    errno.EDQUOT: Shortage("the disk quota is used up", _DISK_FULL.advice),
    errno.EFBIG: Shortage("a file would be too large (ulimit -f)", "raise that limit"),
}


def shortage(error: OSError) -> Shortage | None:
    """Return what an error says is short; None where it says something else."""
    return _SHORTAGES.get(error.errno or 0)


def is_thread_refusal(error: RuntimeError) -> bool:
    """Return whether an error is how CPython says EAGAIN for a thread, and not one of somebody's code."""
    return str(error) == "can't start new thread"
