"""A pipe into a run's log, for code that writes to descriptors: subprocesses, C code, forked children.

Owns both ends, the descriptor numbers given to the run's code, and the thread that waits for bytes.
Nothing here waits for that thread: bytes go into a spool without it (spool.py). A number that was given
away is never closed here (numbers.py). Must not know logs or printers.
"""

from __future__ import annotations

import ctypes
import os
import select
import struct
import sys
import threading
from _thread import start_new_thread
from collections.abc import Callable

from runcast.model import CHUNK_BYTES, Channel
from runcast.sources import numbers, spool
from runcast.sysio.descriptors import bytes_in

__all__ = ["CapturePipe"]

_ALONE_SECONDS = 0.1  # between polls of a thread that cannot be woken
_CLOSE_SECONDS = 1.0  # for the thread to come back; it may be appending to a slow disk

_libc = ctypes.PyDLL(None)


class CapturePipe:
    """A pipe. All forked children inherit it; exec'd ones only if they are given a number.

    Args:
        channel: the channel of its bytes; after the end of the run they go to the process's own stdout
            or stderr.
        folder: see `spool.drained`.
    """

    def __init__(self, channel: Channel, folder: str | None = None) -> None:
        self._channel = channel
        self.reader, self._writer = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self.reader, False)
        self._identity = numbers.identity(self._writer)
        self._given: list[int] = []
        self._over = threading.Lock()  # held while a thread waits for bytes, and by what closes it
        self._left = False  # to the thread, which closes the reading side when it comes back
        self._spool = spool.drained(self.reader, 2 if channel is Channel.STDERR else 1, folder)

    def number(self) -> int:
        """Return the number for the run's code: the same one while it refers to this pipe."""
        for number in self._given:
            if numbers.is_known(number):
                return number
        self._given.append(numbers.give(self._writer))
        return self._given[-1]

    def divert(self, data: bytes) -> bool:
        """If the run's code redirected its number with `os.dup2`, write there; return whether it did."""
        for number in self._given:
            if numbers.meaning(number) != self._identity and numbers.is_known(number):
                _write_all(number, data)
                return True
        return False

    @property
    def followed(self) -> bool:
        """Whether a thread waits for bytes."""
        return self._over.locked()

    def follow(self, take: Callable[[], bool]) -> bool:
        """Start a thread that calls `take` whenever there are bytes, until that returns False.

        Returns False if no thread can be started: the interpreter ends, or there are too many.
        """
        if not self._over.acquire(blocking=False):  # another thread has closed it
            return True
        try:
            start_new_thread(self._run, (take,))
        except RuntimeError:
            self._over.release()
            return False
        return True

    def _run(self, take: Callable[[], bool]) -> None:
        try:
            spool.reap()
            self.wait()
            while take():
                self.wait()
        finally:
            self._over.release()
            if self._left and self._over.acquire(blocking=False):
                self._close_reader()

    def wait(self, seconds: float | None = None) -> None:
        """Wait until there are bytes, the pipe was ended, or some time has passed."""
        poller = select.poll()
        poller.register(self.reader, select.POLLIN)
        if self._spool is not None and self._spool.drained:
            poller.register(self._spool, select.POLLIN)
        elif seconds is None:  # without the drain process nothing wakes this thread
            seconds = _ALONE_SECONDS
        poller.poll(None if seconds is None else seconds * 1000)
        if self._spool is not None:
            self._spool.hear()

    def read(self) -> bytes:
        """Return the next bytes, at most a few chunks; empty if there are none."""
        if self._spool is not None:
            return self._spool.read()
        try:
            return os.read(self.reader, CHUNK_BYTES)
        except OSError:
            return b""

    @property
    def unread(self) -> int:
        """The number of unread bytes."""
        return bytes_in(self.reader) if self._spool is None else self._spool.unread

    def write(self, data: bytes) -> bool:
        """Write all of it; return False if the pipe has no reader any more."""
        return _write_all(self._writer, data)

    def is_left(self) -> bool:
        """Return whether another process can write: a program that the run left. Call `end` first."""
        if self._spool is not None:
            self._spool.hear_all()  # the next `read` reports lost bytes
        entry = ctypes.create_string_buffer(struct.pack("ihh", self.reader, 0, 0))  # a `struct pollfd`
        # Not `select.poll`: under gevent that does not report that there is no writer.
        return bool(_libc.poll(entry, 1, 0) == 0)

    def end(self) -> None:
        """Close the writing end of this process; redirect given numbers to the real stream."""
        while self._given:
            numbers.retire(self._given.pop(), self._channel)
        if self._writer >= 0:
            writer, self._writer = self._writer, -1
            os.close(writer)

    def close(self) -> None:
        """Stop reading; `take` returns False by now. Further bytes go to the real stream."""
        self.end()
        if self._spool is not None:
            self._spool.stop()
        # Must not be closed while the thread waits there: the number could be reused.
        if not self._over.acquire(timeout=0 if sys.is_finalizing() else _CLOSE_SECONDS):
            self._left = True
            if not self._over.acquire(blocking=False):
                return
        self._close_reader()

    def _close_reader(self) -> None:
        """Close the reading side, for good: the caller keeps the lock."""
        if self._spool is not None:
            self._spool.close()
        reader, self.reader = self.reader, -1
        os.close(reader)  # after `reader` is cleared: a child forked later must not close the number

    def leave(self, *, keep: bool) -> None:
        """Close the reading end in a forked child, and unless `keep`, the writing end."""
        if self.reader >= 0:
            os.close(self.reader)
            self.reader = -1
            if self._spool is not None:
                self._spool.leave()
        if not keep:
            self.end()


def _write_all(fd: int, data: bytes) -> bool:
    try:
        while data:
            data = data[os.write(fd, data) :]
    except OSError:
        return False
    return True
