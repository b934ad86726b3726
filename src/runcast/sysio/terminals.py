"""Pseudo-terminals: making one, its size and its modes; see pty(7), ioctl_tty(2), termios(3).

Imports the standard library only, and is loaded by those alone who have a terminal.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import struct
import termios
from typing import Any, NamedTuple

__all__ = ["Modes", "NoTerminal", "Pty", "modes_of", "open_pty", "set_size", "size_of"]

_IUTF8 = 0o40000  # in termios(3), not in Python's: erasing takes a character away and not a byte
_DISABLED = b"\0"  # a control character that there is none for
_SIZE = struct.Struct("HHHH")  # rows, columns and pixels


class NoTerminal(OSError):
    """No terminal can be had; the text says why, and what to do."""


class Pty(NamedTuple):
    """A new terminal.

    Attributes:
        master: the descriptor of who shows the terminal; not blocking.
        slave: a descriptor of the terminal itself: as long as one is open, it has no end.
        path: by which a process opens the terminal.
    """

    master: int
    slave: int
    path: str


class Modes(NamedTuple):
    """What a terminal does with what is typed.

    Attributes:
        canonical: whether programs get whole lines.
        ends: the bytes that end a line, or drop it; nothing of a line is held back behind them.
        eof: the byte that ends the input.
        echo: whether what is typed is shown.
    """

    canonical: bool
    ends: bytes
    eof: bytes
    echo: bool


def open_pty(columns: int, rows: int) -> Pty:
    """Make a terminal of a size, with the modes of a new one.

    Raises:
        NoTerminal: the system has none, or no more.
        OSError: there are too few descriptors, or too little memory.
    """
    master = slave = -1
    try:
        master, slave = os.openpty()
        os.set_blocking(master, False)
        set_size(master, columns, rows)
        _set_utf8(slave)
        return Pty(master, slave, os.ttyname(slave))
    except OSError as error:
        for fd in {master, slave} - {-1}:
            os.close(fd)
        if error.errno == errno.ENOSPC:
            raise NoTerminal(
                "all terminals of this system are in use (kernel.pty.max, or max= of its devpts): end some "
                "of the programs that have one, or raise that limit"
            ) from None
        if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM):
            raise
        raise NoTerminal(
            f"this system gives no terminals (/dev/ptmx: {(error.strerror or '').lower()}): mount devpts on "
            "/dev/pts, or leave tty out"
        ) from None


def _set_utf8(fd: int) -> None:
    modes = _attributes(fd)
    modes[0] |= _IUTF8
    with contextlib.suppress(termios.error):  # then erasing takes a byte away
        termios.tcsetattr(fd, termios.TCSANOW, modes)


def _attributes(fd: int) -> list[Any]:
    """Return the attributes of a terminal, as termios(3) has them.

    Raises:
        OSError: it is none, or is gone.
    """
    try:
        return termios.tcgetattr(fd)
    except termios.error as error:  # which is no OSError
        raise OSError(*error.args) from None


def set_size(fd: int, columns: int, rows: int) -> None:
    """Give a terminal a size; the kernel sends SIGWINCH to its foreground if it is another one."""
    fcntl.ioctl(fd, termios.TIOCSWINSZ, _SIZE.pack(rows, columns, 0, 0))


def size_of(fd: int) -> tuple[int, int]:
    """Return the columns and the rows of a terminal."""
    rows, columns, _, _ = _SIZE.unpack(fcntl.ioctl(fd, termios.TIOCGWINSZ, bytes(_SIZE.size)))
    return columns, rows


def modes_of(fd: int) -> Modes:
    """Return the present modes of a terminal.

    Raises:
        OSError: it is none, or is gone.
    """
    input_modes, _, _, local, _, _, characters = _attributes(fd)
    # Behind VKILL and what sends signals nothing of the line is left.
    names = [termios.VEOF, termios.VEOL, termios.VEOL2, termios.VKILL]
    if local & termios.ISIG:
        names += [termios.VINTR, termios.VQUIT, termios.VSUSP]
    found = {characters[name] for name in names} - {_DISABLED}
    ends = b"\n" + b"\r" * bool(input_modes & termios.ICRNL) + b"".join(sorted(found))
    return Modes(bool(local & termios.ICANON), ends, characters[termios.VEOF], bool(local & termios.ECHO))
