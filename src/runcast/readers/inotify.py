"""The three calls of inotify(7), as far as the hub needs them.

Owns one descriptor. Written here because the packages on PyPI import asyncio (70 ms, and every
command of ours would pay it) or run ldconfig to find the C library, and wrap each event in
objects; the hub needs a number for a folder and nothing more. Raises OSError where the system
has no inotify or its limits are reached: the hub then polls.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys

__all__ = ["Inotify"]

_MODIFY, _CLOSE_WRITE, _MOVED_TO = 0x2, 0x8, 0x80  # what is created empty is no news before it is written
_ONLYDIR = 0x01000000
OVERFLOW = 0x4000
MASK = _MODIFY | _CLOSE_WRITE | _MOVED_TO | _ONLYDIR
_EVENT = struct.Struct("iIII")
_READ_BYTES = 16 * 1024


class Inotify:
    """One inotify instance, not blocking. `fd` is readable when there are events."""

    def __init__(self) -> None:
        if not sys.platform.startswith("linux"):
            raise OSError("inotify is a Linux interface")
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.fd: int = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1")

    def add(self, path: str) -> int:
        """Watch a folder; return the number that its events carry."""
        number: int = self._libc.inotify_add_watch(self.fd, os.fsencode(path), MASK)
        if number < 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), path)
        return number

    def remove(self, number: int) -> None:
        """Stop watching. Far cheaper than closing the instance, which blocks for milliseconds."""
        self._libc.inotify_rm_watch(self.fd, number)

    def drain(self) -> set[int]:
        """Return the numbers of the folders that changed since the last call; -1 means any may have."""
        numbers: set[int] = set()
        while True:
            try:
                data = os.read(self.fd, _READ_BYTES)
            except BlockingIOError:
                return numbers
            at = 0
            while at < len(data):
                number, mask, _cookie, length = _EVENT.unpack_from(data, at)
                at += _EVENT.size
                # The record before the bytes is no news yet: the bytes are.
                if mask & OVERFLOW:
                    numbers.add(-1)
                elif not (mask & _MODIFY and b".index" in data[at : at + length]):
                    numbers.add(number)
                at += length
            if len(data) < _READ_BYTES - 512:
                return numbers
