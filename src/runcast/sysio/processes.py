"""What processes are, as /proc shows them: a program, its arguments, its environment, where it writes.

Owns the reading of /proc of processes that are not this process's children. What may not be read, since
they are another user's, is left empty. Must not know runs.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from runcast.sysio.files import read_kernel

__all__ = ["PIPE", "TERMINAL", "Process", "below", "descendants"]

PIPE, TERMINAL, OTHER = "pipe", "terminal", "other"
_MOST = 64  # processes that are looked at: a build may have thousands
_MOST_COUNTED = 4096  # that are counted, which takes 50 us each


@dataclass(frozen=True)
class Process:
    """A process at one moment.

    Attributes:
        pid: its number.
        program: the name of its program's file; that of its first argument where it cannot be read.
        argv: its arguments, program first.
        environment: its variables when it was executed; None where they cannot be read.
        output: where its stdout leads: a pipe (or a socket), a terminal, or something else; None where
            that cannot be read.
        parent: whether it has children.
    """

    pid: int
    program: str
    argv: tuple[str, ...]
    environment: Mapping[str, str] | None
    output: str | None
    parent: bool


def descendants(pid: int) -> list[Process]:
    """Return the processes below a process, parents before their children; those that end are left out."""
    found: list[Process] = []
    rest = list(_children(pid))
    while rest and len(found) < _MOST:
        one = rest.pop(0)
        children = list(_children(one))
        with contextlib.suppress(OSError):
            found.append(_process(one, bool(children)))
        rest += children
    return found


def below(pid: int) -> Iterator[int]:
    """Yield the numbers of the processes below a process."""
    rest, seen = list(_children(pid)), 0
    while rest and seen < _MOST_COUNTED:
        one, seen = rest.pop(), seen + 1
        rest += _children(one)
        yield one


def _children(pid: int) -> Iterator[int]:
    """Yield the children of all threads of a process; none where the kernel lists none."""
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError):
                yield from map(int, read_kernel(f"/proc/{pid}/task/{task}/children").split())


def _process(pid: int, parent: bool) -> Process:
    argv = tuple(_texts(read_kernel(f"/proc/{pid}/cmdline")))
    if not argv:  # it has ended, and nobody has reaped it
        raise ProcessLookupError
    environment = None
    with contextlib.suppress(OSError):
        texts = _texts(read_kernel(f"/proc/{pid}/environ"))
        environment = dict(text.split("=", 1) for text in texts if "=" in text)
    program = (_link(pid, "exe") or argv[0]).removesuffix(" (deleted)")
    return Process(pid, os.path.basename(program), argv, environment, _output(pid), parent)


def _texts(data: bytes) -> list[str]:
    return [os.fsdecode(part) for part in data.removesuffix(b"\0").split(b"\0")] if data else []


def _link(pid: int, name: str) -> str | None:
    with contextlib.suppress(OSError):
        return os.readlink(f"/proc/{pid}/{name}")
    return None


def _output(pid: int) -> str | None:
    target = _link(pid, "fd/1")
    if target is None:
        return None
    if target.startswith(("pipe:", "socket:")):
        return PIPE
    return TERMINAL if target.startswith(("/dev/pts/", "/dev/tty")) else OTHER
