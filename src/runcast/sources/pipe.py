"""A pipe into a run's log, for what writes to descriptors: subprocesses, `os.write`, forked children.

Owns both ends and the thread that waits at the reading one. Must not know logs or printers.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
import threading
from _thread import start_new_thread
from collections.abc import Callable

from runcast.model import CHUNK_BYTES

__all__ = ["Pipe"]


class Pipe:
    """A pipe. Only exec'd children that are given its writing end have it, and all forked ones."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self.reader, False)
        self._over = threading.Lock()  # held while a thread waits at the reading end

    @property
    def followed(self) -> bool:
        """Whether a thread waits at the reading end."""
        return self._over.locked()

    def follow(self, take: Callable[[], bool]) -> bool:
        """Have a thread call `take` whenever there is something to read, until that returns False.

        Returns False where no thread can be had: the interpreter ends, or there are too many.
        """
        self._over.acquire()
        try:
            start_new_thread(self._run, (take,))
        except RuntimeError:
            self._over.release()
            return False
        return True

    def _run(self, take: Callable[[], bool]) -> None:
        poller = select.poll()
        poller.register(self.reader, select.POLLIN)
        try:
            poller.poll()
            while take():
                poller.poll()
        finally:
            self._over.release()

    def read(self) -> bytes:
        """Return what is there, at most one chunk; nothing if nothing is."""
        try:
            return os.read(self.reader, CHUNK_BYTES)
        except OSError:
            return b""

    def write(self, data: bytes) -> bool:
        """Write all of it; return False where nobody reads any more."""
        try:
            while data:
                data = data[os.write(self.writer, data) :]
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Close both ends; `take` returns False by now. Who still writes finds a broken pipe."""
        if self._over.locked():
            poller = select.poll()
            poller.register(self.writer, select.POLLOUT)
            if poller.poll(0):  # room in it: the thread may be asleep. No room: it is awake
                with contextlib.suppress(OSError):
                    os.write(self.writer, b"\n")
            # Not ours to close while the thread waits there: the number may be another's by then.
            if not self._over.acquire(timeout=0 if sys.is_finalizing() else 1):
                return
        reader, writer, self.reader, self.writer = self.reader, self.writer, -1, -1
        os.close(reader)  # from here on the numbers are others', also in a child that is forked later
        os.close(writer)

    def leave(self) -> None:
        """In a forked child: only the parent reads, or a child would never see that nobody does."""
        if self.reader >= 0:
            os.close(self.reader)
            self.reader = -1
