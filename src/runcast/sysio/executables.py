"""What a program's file is to the dynamic loader: which loader it names, and whose libraries it takes.

Owns the reading of ELF headers (elf(5)) and of `#!` lines. Must not know what runcast does with either.
"""

from __future__ import annotations

import os
import stat
import struct
from typing import NamedTuple

__all__ = ["Executable", "executable_at"]

_HEAD_BYTES = 64 * 1024  # the headers are at the beginning, and so is the name of the loader
_INTERPRETERS = 4  # `#!` lines in a row that Linux follows
_PT_INTERP = 3
# By class: the letter of an address, and where its table of program headers and their sizes are named;
# then where in a program header its offset and its length stand.
_LAYOUTS = {1: ("I", 28, 42, 4, 16), 2: ("Q", 32, 54, 8, 32)}


class Executable(NamedTuple):
    """A program that the kernel executes for a file.

    Attributes:
        path: its file, which is the interpreter of a script.
        machine: the class and the machine that it is built for, as bytes: a library must have the same.
        loader: the dynamic loader that it names; empty where it is linked statically.
        privileged: whether it runs with rights that its caller lacks, so that the loader trusts no
            variable (`secure-execution mode`, ld.so(8)).
    """

    path: str
    machine: bytes
    loader: str
    privileged: bool


def executable_at(path: str) -> Executable | None:
    """Return what is executed for a file; None where it cannot be read, or is no ELF file or script."""
    for _ in range(_INTERPRETERS):
        try:
            head, privileged = _head(path)
        except OSError:
            return None
        if not head.startswith(b"#!"):
            loader = _loader(head)
            return None if loader is None else Executable(path, head[4:6] + head[18:20], loader, privileged)
        words = head[2:].split(b"\n", 1)[0].split()
        if not words:
            return None
        path = os.fsdecode(words[0])
    return None


def _head(path: str) -> tuple[bytes, bool]:
    """Return the beginning of a file, and whether executing it gives rights."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        mode = os.fstat(fd).st_mode
        if not stat.S_ISREG(mode):
            return b"", False
        privileged = bool(mode & (stat.S_ISUID | stat.S_ISGID)) or _has_capabilities(fd)
        return os.pread(fd, _HEAD_BYTES, 0), privileged
    finally:
        os.close(fd)


def _has_capabilities(fd: int) -> bool:
    try:
        return bool(os.getxattr(fd, "security.capability"))
    except OSError:  # it has none, or the file system knows none
        return False


def _loader(head: bytes) -> str | None:
    """Return the loader that an ELF file names, empty for none; None if it is no whole ELF header."""
    if len(head) < 64 or not head.startswith(b"\x7fELF") or head[4] not in (1, 2) or head[5] not in (1, 2):
        return None
    order = "<" if head[5] == 1 else ">"
    word, table_at, sizes_at, offset_at, length_at = _LAYOUTS[head[4]]
    try:
        (table,) = struct.unpack_from(order + word, head, table_at)
        size, count = struct.unpack_from(f"{order}HH", head, sizes_at)
        for at in range(table, table + size * count, size or 1):
            if struct.unpack_from(f"{order}I", head, at)[0] == _PT_INTERP:
                (start,) = struct.unpack_from(order + word, head, at + offset_at)
                (length,) = struct.unpack_from(order + word, head, at + length_at)
                return os.fsdecode(head[start : start + length].rstrip(b"\0"))
    except struct.error:
        return None
    return ""
