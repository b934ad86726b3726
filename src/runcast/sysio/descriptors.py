"""What Python has no function of its own for: fcntl(2) and ioctl(2) of descriptors.

Imports the standard library only.
"""

from __future__ import annotations

import contextlib
import os
import sys

with contextlib.suppress(ModuleNotFoundError):  # a client may be where there is none
    import fcntl

__all__ = ["bytes_in", "duplicate", "in_memory", "interface_address", "unnamed_file", "widen"]

_SIOCGIFADDR = 0x8915  # linux/sockios.h
_IFREQ_BYTES = 256
_NAME_BYTES = 15  # of an interface, see IFNAMSIZ in netdevice(7)


def duplicate(fd: int, least: int, *, inheritable: bool = False) -> int:
    """Return a second descriptor of an open file, with a number of at least `least`."""
    return fcntl.fcntl(fd, fcntl.F_DUPFD if inheritable else fcntl.F_DUPFD_CLOEXEC, least)


def in_memory(data: bytes) -> int:
    """Return a descriptor of a file that never lies on a disk, at its beginning (memfd_create(2)).

    Where there are no such files, as for a client of another system, it lies on a disk, without a name.
    """
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("runcast", os.MFD_CLOEXEC)
    else:
        import tempfile

        with tempfile.TemporaryFile() as file:
            fd = os.dup(file.fileno())
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        os.lseek(fd, 0, os.SEEK_SET)
    except BaseException:
        os.close(fd)
        raise
    return fd


def widen(pipe: int, size: int) -> None:
    """Give a pipe room for so many bytes.

    Raises:
        OSError: the user's share of pipe memory is used up, see pipe(7).
    """
    fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, size)


def bytes_in(pipe: int) -> int:
    """Return how many bytes a pipe holds."""
    from termios import FIONREAD  # each supervisor would load it, and has no use for it

    return int.from_bytes(fcntl.ioctl(pipe, FIONREAD, bytes(4)), sys.byteorder)


def interface_address(probe: int, interface: str) -> bytes:
    """Return the IPv4 address of a network interface, by any IPv4 socket.

    Raises:
        OSError: it has none.
    """
    name = os.fsencode(interface)[:_NAME_BYTES]
    return fcntl.ioctl(probe, _SIOCGIFADDR, name.ljust(_IFREQ_BYTES, b"\0"))[20:24]


def unnamed_file(folder: str) -> int:
    """Return a descriptor of a new file without a name, on the disk of a folder.

    Raises:
        OSError: it cannot be made.
    """
    try:
        return os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except (OSError, AttributeError):  # a file system without such files
        import tempfile

        fd, path = tempfile.mkstemp(dir=folder, prefix=".upload-")
        os.unlink(path)
        return fd
