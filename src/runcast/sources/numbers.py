"""The descriptor numbers given to a run's code, and their redirection at the end of the run.

Code may close such a number, keep it, pass it to faulthandler, open a file object on it, or redirect it
with `os.dup2`. So a number that was given away is never closed here, and is changed only while it
refers to the expected file. At the end of its run it is redirected to the real stream, and reused much
later. A number that refers to another file was closed by the run's code and reused by other code; it
is dropped from the table.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections import deque
from functools import partial
from itertools import takewhile
from operator import call, not_
from typing import Any

from runcast.model import Channel
from runcast.sysio.descriptors import duplicate

__all__ = ["give", "identity", "is_known", "meaning", "retire", "unwatch"]

_REST = 32  # numbers kept back before the first is reused: code that kept one has mostly ended by then
_IDENTITY_BYTES = 16  # of a `struct stat`, which begins with st_dev and st_ino
_STAT_BYTES = 512  # room for a `struct stat`

_meaning: dict[int, bytes] = {}  # numbers of runs, and the identity of the file each refers to
_resting: deque[tuple[int, bytes]] = deque()  # numbers of ended runs, and the file each refers to

# PyDLL: its functions keep the GIL, so no thread opens or closes a descriptor between two of them.
_libc = ctypes.PyDLL(None)


def give(source: int) -> int:
    """Return a number, closed on exec, for the open file of the descriptor `source`.

    Raises:
        OSError: the process is out of descriptors.
    """
    _watch()
    number = _rested(source)
    if number is None:
        number = duplicate(source, 3)
    _meaning[number] = identity(source)
    return number


def _rested(source: int) -> int | None:
    while len(_resting) > _REST:
        with contextlib.suppress(IndexError):  # another thread took the last one
            number, expected = _resting.popleft()
            if _change(number, expected, source):
                return number
    return None


def meaning(number: int) -> bytes:
    """Return the identity of the file to which a number of a run should refer."""
    return _meaning.get(number, b"")


def is_known(number: int) -> bool:
    """Return whether a number still refers to the expected file."""
    return identity(number) == meaning(number) != b""


def identity(number: int) -> bytes:
    """Return the identity of a descriptor's file, as bytes to compare; empty if it is closed."""
    buffer = ctypes.create_string_buffer(_STAT_BYTES)
    return b"" if _fstat(number, buffer) else buffer.raw[:_IDENTITY_BYTES]


def retire(number: int, channel: Channel) -> None:
    """Redirect a number of a run to the real stream of a channel, if it still refers to the expected file."""
    expected = _meaning.pop(number, b"")
    stream = 2 if channel is Channel.STDERR else 1
    real = identity(stream)
    if not real:  # it is closed: discard further output
        null = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        try:
            if _change(number, expected, null):
                _resting.append((number, identity(null)))
        finally:
            os.close(null)
    elif _change(number, expected, stream):
        _resting.append((number, real))


def _change(number: int, expected: bytes, source: int) -> bool:
    """Redirect a number to the file of `source`, unless it refers to an unexpected file.

    Check and redirection are C functions called by C functions: the interpreter switches threads
    between instructions of Python code only, and there is none in between.
    """
    if not expected:
        return False
    buffer = ctypes.create_string_buffer(_STAT_BYTES)
    steps: tuple[Any, ...] = (
        partial(_fstat, number, buffer),
        partial(_libc.memcmp, buffer, expected, _IDENTITY_BYTES),
        partial(_libc.dup3, source, number, os.O_CLOEXEC),  # returns the number: not 0, so it is the last
    )
    done = list(takewhile(not_, map(call, steps)))
    return len(done) == len(steps) - 1 and identity(number) == identity(source)


def _fstat_of_python(number: int, buffer: Any) -> int:
    """Emulate fstat(2), for a C library that does not export it (glibc before 2.33)."""
    try:
        status = os.fstat(number)
    except OSError:
        return -1
    buffer[:_IDENTITY_BYTES] = b"".join(part.to_bytes(8, "little") for part in (status.st_dev, status.st_ino))
    return 0


_fstat: Any = getattr(_libc, "fstat", _fstat_of_python)


_dup2 = os.dup2


def _watch() -> None:
    """Wrap `os.dup2`, to track redirections of a run's numbers."""
    if os.dup2 is not dup2:
        global _dup2
        _dup2 = os.dup2
        os.dup2 = dup2


def unwatch() -> None:
    """Restore `os.dup2`."""
    if os.dup2 is dup2:
        os.dup2 = _dup2


def dup2(fd: int, fd2: int, inheritable: bool = True) -> int:
    """Duplicate file descriptor."""
    known = fd2 in _meaning and is_known(fd2)
    result = _dup2(fd, fd2, inheritable)
    if known:
        _meaning[fd2] = identity(fd2)
    return result


dup2.__module__, dup2.__doc__ = _dup2.__module__, _dup2.__doc__
