"""Exhausted resources: which limit was reached, and what to do about it.

Owns one table from errno to sentences, for the start of a process and the opening of a file. Imports
nothing of runcast.
"""

from __future__ import annotations

import errno
from typing import NamedTuple

__all__ = ["TOO_MANY_FILES", "TOO_MANY_PROCESSES", "Shortage", "is_thread_refusal", "shortage"]


class Shortage(NamedTuple):
    """An exhausted resource, and advice."""

    what: str
    advice: str


TOO_MANY_PROCESSES = Shortage(
    "too many processes (ulimit -u or pids.max)", "end some of them, or raise that limit"
)
TOO_MANY_FILES = Shortage("too many open files in one process (ulimit -n)", "raise that limit")
_DISK_FULL = Shortage("no space left on the disk", "remove old runs (`runcast rm`)")
_SHORTAGES = {
    errno.EAGAIN: TOO_MANY_PROCESSES,  # fork(2), clone(2); of files, none of ours is non-blocking
    errno.ENOMEM: Shortage("not enough memory", "free some, or raise the limit (ulimit -v, memory.max)"),
    errno.EMFILE: TOO_MANY_FILES,
    errno.ENFILE: Shortage("too many open files or pipes on this machine", "close some (sysctl fs.file-max)"),
    errno.ENOSPC: _DISK_FULL,
    errno.EDQUOT: Shortage("the disk quota is used up", _DISK_FULL.advice),
    errno.EFBIG: Shortage("a file would be too large (ulimit -f)", "raise that limit"),
}


def shortage(error: OSError) -> Shortage | None:
    """Return the resource whose exhaustion an error reports; None for other errors."""
    return _SHORTAGES.get(error.errno or 0)


def is_thread_refusal(error: RuntimeError) -> bool:
    """Return whether an error is CPython's report of EAGAIN for a thread, and not one of other code."""
    return str(error) == "can't start new thread"
