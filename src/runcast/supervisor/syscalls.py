"""What a thread sleeps in, as /proc shows it: system calls, and the sets of descriptors they name.

Owns the numbers of the system calls that wait for input, for the machines it knows, and the forms of
`/proc/PID/syscall`, of pollfd and fd_set in a process's memory, and of epoll's `fdinfo` (proc(5),
poll(2), select(2), epoll(7)). Pure: it gets texts and bytes, and must not know processes.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from enum import Enum, auto
from typing import NamedTuple

__all__ = ["MOST_DESCRIPTORS", "TABLES", "Call", "Kind", "Set", "epolled", "parse", "polled", "selected"]

MOST_DESCRIPTORS = 1024  # of one set; a thread that waits for more does not wait for a person
POLLFD = struct.Struct("=ihh")
_IN = 0x1 | 0x40  # POLLIN and POLLRDNORM; EPOLLIN and EPOLLRDNORM are the same bits
_ANY = _IN | 0x2 | 0x4 | 0x80 | 0x100 | 0x200  # … and PRI, OUT, RDBAND, WRNORM, WRBAND; else errors only


class Kind(Enum):
    """How a system call names what it waits for."""

    READ = auto()  # one descriptor
    POLL = auto()  # an array in memory
    SELECT = auto()  # three bit fields in memory
    EPOLL = auto()  # a descriptor that has a set
    FUTEX = auto()  # none: it waits for a thread


class Call(NamedTuple):
    """A system call that a thread sleeps in, with its arguments."""

    kind: Kind
    args: tuple[int, ...]


class Set(NamedTuple):
    """The descriptors that a call waits for: to be readable, and for something else."""

    reads: frozenset[int]
    others: frozenset[int]


def _numbers(**names: tuple[int, ...]) -> dict[int, Kind]:
    return {number: Kind[kind] for kind, numbers in names.items() for number in numbers}


# read, readv and those that copy from their first descriptor; poll, ppoll; select, pselect6;
# epoll_wait, epoll_pwait, epoll_pwait2.
TABLES: Mapping[str, Mapping[int, Kind]] = {
    "x86_64": _numbers(
        READ=(0, 19, 275, 276, 326), POLL=(7, 271), SELECT=(23, 270), EPOLL=(232, 281, 441), FUTEX=(202,)
    ),
    "aarch64": _numbers(READ=(63, 65, 76, 77, 285), POLL=(73,), SELECT=(72,), EPOLL=(22, 441), FUTEX=(98,)),
}


_ON_FUTEX = Call(Kind.FUTEX, ())


def parse(record: bytes, table: Mapping[int, Kind]) -> Call | None:
    """Return the call in the content of `/proc/PID/syscall`; None for `running`, `-1 …` and other calls."""
    number = record.partition(b" ")[0]
    if not number.isdigit() or (kind := table.get(int(number))) is None:
        return None
    if kind is Kind.FUTEX:  # most threads of most programs
        return _ON_FUTEX
    fields = record.split()
    if len(fields) != 9:
        return None
    try:
        return Call(kind, tuple(int(field, 16) for field in fields[1:7]))
    except ValueError:
        return None


def polled(data: bytes) -> Set:
    """Return the set in an array of pollfd. Those that only errors are reported of do not count."""
    reads: set[int] = set()
    others: set[int] = set()
    for fd, events, _ in POLLFD.iter_unpack(data[: len(data) - len(data) % POLLFD.size]):
        if fd >= 0 and events & _ANY:
            (reads if events & _IN else others).add(fd)
    return Set(frozenset(reads), frozenset(others))


def selected(count: int, reads: bytes, *others: bytes) -> Set:
    """Return the set in up to three fd_set, of which `count` bits count."""
    return Set(_bits(count, reads), frozenset().union(*(_bits(count, field) for field in others)))


def _bits(count: int, field: bytes) -> frozenset[int]:
    value = int.from_bytes(field, "little")
    return frozenset(fd for fd in range(min(count, 8 * len(field))) if value >> fd & 1)


def epolled(fdinfo: bytes) -> Set:
    """Return the set in the `fdinfo` of an epoll descriptor."""
    reads: set[int] = set()
    others: set[int] = set()
    for line in fdinfo.splitlines():
        fields = line.split()
        if len(fields) >= 4 and fields[0] == b"tfd:" and fields[2] == b"events:":
            fd, events = int(fields[1]), int(fields[3], 16)
            if events & _ANY:
                (reads if events & _IN else others).add(fd)
    return Set(frozenset(reads), frozenset(others))
