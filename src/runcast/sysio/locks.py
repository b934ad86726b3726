"""The lock of an open file, flock(2): the kernel frees it when its holder dies, however it dies.

Owns the only calls of it. The lock belongs to what `open` returned: a forked child shares it, and
opening the same file again gets another one. Knows no paths, and imports the standard library only.
"""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING

with contextlib.suppress(ModuleNotFoundError):  # a client may be where there is none
    import fcntl

if TYPE_CHECKING:
    from ctypes import PyDLL

__all__ = ["lock", "lock_calls", "unlock"]


def lock(fd: int, *, wait: bool = True, shared: bool = False) -> bool:
    """Take the lock of an open file; return False where another holds it and `wait` is false.

    Args:
        fd: the file.
        wait: block until it is free.
        shared: with others who take it shared, too.

    Raises:
        OSError: the file system has no locks, or no more of them.
    """
    how = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        fcntl.flock(fd, how if wait else how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def unlock(fd: int) -> None:
    """Free the lock, also for the forked children that share it."""
    fcntl.flock(fd, fcntl.LOCK_UN)


def lock_calls(library: PyDLL, fd: int) -> tuple[partial[int], partial[int]]:
    """Return taking (waiting for it) and freeing the lock as C calls, which keep the GIL with a `PyDLL`."""
    return partial(library.flock, fd, fcntl.LOCK_EX), partial(library.flock, fd, fcntl.LOCK_UN)
