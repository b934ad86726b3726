"""Memory that a process shares with the children that it forks, and a lock for it.

Owns its making: a file without a name (memfd_create(2)), gone with the last process that has it. The lock
is one of fcntl(2), which belongs to a process and not to the open file, so a child does not inherit it and
the kernel frees it when its holder dies, however it dies. Knows nothing of what is in the memory.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
from collections.abc import Iterator

__all__ = ["SharedMemory", "SharedValue"]


class SharedMemory:
    """So many bytes, all zero at first; pages that nobody writes to take no memory.

    Args:
        size: in bytes.

    Attributes:
        bytes: the memory.

    Raises:
        OSError: the system has no such files, or no descriptors.
    """

    def __init__(self, size: int) -> None:
        self._fd = os.memfd_create("runcast", os.MFD_CLOEXEC)
        os.ftruncate(self._fd, size)
        self.bytes = mmap.mmap(self._fd, size)

    @contextlib.contextmanager
    def locked(self, number: int) -> Iterator[None]:
        """Keep other processes out; other threads of this one are the caller's to keep out.

        Args:
            number: of the lock; there are as many as bytes, and none has to do with what is in its byte.
        """
        fcntl.lockf(self._fd, fcntl.LOCK_EX, 1, number)
        try:
            yield
        finally:
            fcntl.lockf(self._fd, fcntl.LOCK_UN, 1, number)


class SharedValue:
    """A piece of bytes of any length that processes share: the last one that was stored whole.

    Call both methods with some lock held. One that dies while it stores leaves the former piece.
    """

    def __init__(self) -> None:
        self._fds = [os.memfd_create("runcast", os.MFD_CLOEXEC) for _ in range(2)]
        self._which = mmap.mmap(-1, 1)

    def load(self) -> bytes:
        """Return what was stored last; nothing where nothing was."""
        fd = self._fds[self._which[0]]
        return os.pread(fd, os.fstat(fd).st_size, 0)

    def store(self, data: bytes) -> None:
        """Replace it."""
        other = 1 - self._which[0]
        os.ftruncate(self._fds[other], 0)
        with os.fdopen(os.dup(self._fds[other]), "wb") as file:
            file.seek(0)
            file.write(data)
        self._which[0] = other
