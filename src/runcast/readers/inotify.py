"""The three calls of inotify(7), as far as the hub needs them.

Owns one descriptor. The packages on PyPI import asyncio (70 ms for every command), or run ldconfig to
find the C library, and wrap each event in objects; the hub only needs a number for each folder or
file. Raises OSError where the system has no inotify or its limits are reached: the hub then polls.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections.abc import Iterator

__all__ = ["Inotify"]

_MODIFY, _CLOSE_WRITE, _MOVED_TO, _CREATE = 0x2, 0x8, 0x80, 0x100
_ONLYDIR = 0x01000000
OVERFLOW = 0x4000
_MOVE_SELF = 0x800  # a run that is removed is first moved aside
# Any change in a folder. Creating an empty file does not count until it is written to.
_CHANGES = _MODIFY | _CLOSE_WRITE | _MOVED_TO | _MOVE_SELF | _ONLYDIR
# New files only. Events of a folder carry a name, and cost the writer some 0.4 us for each process
# that watches. Events of a single file are cheap: the kernel merges identical ones (inotify(7)).
_NEW_FILES = _CREATE | _MOVED_TO | _MOVE_SELF | _ONLYDIR
_GROWTH = _MODIFY
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

    def add_changes(self, folder: str) -> int:
        """Watch a folder for any change in it; return the number in its events."""
        return self._add(folder, _CHANGES)

    def add_new_files(self, folder: str) -> int:
        """Watch a folder for new files; return the number in its events."""
        return self._add(folder, _NEW_FILES)

    def add_growth(self, file: str) -> int:
        """Watch a file that grows; return the number in its events."""
        return self._add(file, _GROWTH)

    def _add(self, path: str, mask: int) -> int:
        number: int = self._libc.inotify_add_watch(self.fd, os.fsencode(path), mask)
        if number < 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), path)
        return number

    def close(self) -> None:
        """Close it, with all that it watches."""
        os.close(self.fd)

    def remove(self, number: int) -> None:
        """Stop watching. Closing the instance instead would block for milliseconds."""
        self._libc.inotify_rm_watch(self.fd, number)

    def drain(self) -> set[int]:
        """Return the numbers of everything that changed since the last call; -1: any may have."""
        numbers: set[int] = set()
        while True:
            try:
                data = os.read(self.fd, _READ_BYTES)
            except BlockingIOError:
                return numbers
            if len(data) == _EVENT.size and not numbers:  # one file has grown: nearly always
                number, mask = _EVENT.unpack(data)[:2]
                return {-1 if mask & OVERFLOW else number}
            at = 0
            while at < len(data):
                number, mask, _cookie, length = _EVENT.unpack_from(data, at)
                at += _EVENT.size
                if mask & OVERFLOW:
                    numbers.add(-1)
                elif b".index" not in data[at : at + length]:  # an index is created before its bytes
                    numbers.add(number)
                at += length
            if len(data) < _READ_BYTES - 512:
                return numbers

    def events(self) -> Iterator[tuple[int, str]]:
        """Yield number and name, if there is one, of each event since the last call; -1: there may be any."""
        while True:
            try:
                data = os.read(self.fd, _READ_BYTES)
            except BlockingIOError:
                return
            at = 0
            while at < len(data):
                number, mask, _cookie, length = _EVENT.unpack_from(data, at)
                at += _EVENT.size
                yield -1 if mask & OVERFLOW else number, os.fsdecode(data[at : at + length].rstrip(b"\0"))
                at += length
            if len(data) < _READ_BYTES - 512:
                return
