"""Whether processes of a run wait for its input: a look at all of them, by what /proc shows.

Owns the grades. A thread that sleeps in a read of the input waits for it. One that polls the input
and nothing else probably does; descriptors that a process only wakes itself with do not count. One that
polls other things as well may only be ready for input, as a server is: that is no claim. Nor is there a
claim while another process of the run works, or cannot be seen to rest. Where a process may not be looked
at (one of another user), where the machine's system calls are not known (syscalls.py), or the kernel
lists no children (CONFIG_PROC_CHILDREN), nothing is claimed. Does not know when to look (questions.py).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol

from runcast.supervisor.syscalls import (
    MOST_DESCRIPTORS,
    POLLFD,
    TABLES,
    Call,
    Kind,
    Set,
    epolled,
    parse,
    polled,
    selected,
)

__all__ = ["Input", "PipeInput", "awaited"]

_MOST_THREADS = 1000  # of a run; a look at more would take a supervisor too long
_READ_BYTES = 16 * 1024
_FDINFO_BYTES = 64 * 1024
_BUSY = (b"R", b"D")
_DEAD = (b"Z", b"X")
_TABLE = TABLES.get(os.uname().machine)
# Descriptors by which a process wakes itself.
_OWN_WAKES = (
    "anon_inode:[eventfd]",
    "anon_inode:[signalfd]",
    "anon_inode:[timerfd]",
    "anon_inode:[io_uring]",
)


class Input(Protocol):
    """What a run reads."""

    def is_at(self, found: os.stat_result, terminal: int) -> bool:
        """Return whether a descriptor is this input.

        Args:
            found: what it refers to.
            terminal: the device number of the process's controlling terminal; 0 for none.
        """

    def hidden(self) -> bool:
        """Return whether what is typed now is not shown, as for a password."""


class PipeInput:
    """A pipe.

    Args:
        fd: either end of it.
    """

    def __init__(self, fd: int) -> None:
        own = os.fstat(fd)
        self._identity = own.st_dev, own.st_ino

    def is_at(self, found: os.stat_result, terminal: int) -> bool:
        """Return whether it is this pipe."""
        return (found.st_dev, found.st_ino) == self._identity

    def hidden(self) -> bool:
        """Return False: a pipe shows nothing."""
        return False


class _Process(NamedTuple):
    pid: int
    state: bytes
    terminal: int
    threads: list[int]


class _NoClaim(Exception):
    """The processes cannot be looked at, or there are too many."""


def awaited(given: Input, first: int) -> bool:
    """Return whether a process of the run waits for the input while all others rest.

    Args:
        given: the input.
        first: a process, which is looked at with all its descendants: the supervisor, which is left out.
    """
    if _TABLE is None:
        return False
    waiting: set[int] = set()
    working: set[int] = set()
    try:
        for process in _descendants(first):
            if process.state in _BUSY:
                working.add(process.pid)
            for thread in process.threads:
                record = _read(f"/proc/{process.pid}/task/{thread}/syscall")
                if record.startswith(b"running"):
                    working.add(process.pid)
                elif (call := parse(record, _TABLE)) is not None and _waits(process, call, given):
                    waiting.add(process.pid)
                elif thread != process.pid and _reads_disk(process.pid, thread, call):
                    working.add(process.pid)
            if len(working) > 1:
                return False
    except _NoClaim:
        return False
    return any(working <= {pid} for pid in waiting)


def _reads_disk(pid: int, thread: int, call: Call | None) -> bool:
    """Return whether a thread is in uninterruptible sleep; those that wait for others never are."""
    return (call is None or call.kind is Kind.READ) and _stat(f"{pid}/task/{thread}")[0] in _BUSY


def _stat(place: str) -> list[bytes]:
    """Return the fields of a stat behind the name: state, parent, group, session, terminal and others."""
    return _read(f"/proc/{place}/stat").rpartition(b")")[2].split() or [b""]


def _descendants(first: int) -> Iterator[_Process]:
    """Yield the processes below one."""
    left, count = _children(first, [first]), 0
    while left:
        pid = left.pop()
        fields = _stat(str(pid))
        if len(fields) < 5 or fields[0] in _DEAD:
            continue
        try:
            threads = [int(name) for name in os.listdir(f"/proc/{pid}/task")]
        except OSError:  # it has ended
            continue
        count += len(threads)
        if count > _MOST_THREADS:
            raise _NoClaim
        left += _children(pid, threads)
        yield _Process(pid, fields[0], _device(int(fields[4])), threads)


def _children(pid: int, threads: list[int]) -> list[int]:
    found: list[int] = []
    for thread in threads:
        try:
            found += map(int, _read(f"/proc/{pid}/task/{thread}/children", missing=thread == pid).split())
        except FileNotFoundError:
            if os.path.exists(f"/proc/{pid}"):
                raise _NoClaim from None
    return found


def _device(number: int) -> int:
    """Return a device number as stat(2) has it, from the 32 bits that `/proc/PID/stat` has."""
    number &= 0xFFFFFFFF
    return os.makedev(number >> 8 & 0xFFF, number & 0xFF | number >> 12 & 0xFFF00) if number else 0


def _waits(process: _Process, call: Call, given: Input) -> bool:
    if call.kind is Kind.FUTEX:
        return False
    if call.kind is Kind.READ:
        return _is(process, call.args[0], given)
    found = _set(process.pid, call)
    if found is None:
        return False
    rest = {fd for fd in found.reads | found.others if not _is(process, fd, given)}
    return any(fd not in rest for fd in found.reads) and _only_wakes(process.pid, rest)


def _is(process: _Process, fd: int, given: Input) -> bool:
    try:
        return given.is_at(os.stat(f"/proc/{process.pid}/fd/{fd}"), process.terminal)
    except OSError:
        return False


def _set(pid: int, call: Call) -> Set | None:
    """Return what a call polls; None if that cannot be read."""
    first, count = call.args[0], call.args[1]
    if call.kind is Kind.EPOLL:
        return epolled(_read(f"/proc/{pid}/fdinfo/{first}", _FDINFO_BYTES))
    if call.kind is Kind.POLL:
        if not 0 < count <= MOST_DESCRIPTORS:
            return None
        data = _memory(pid, [(first, count * POLLFD.size)])
        return None if data is None else polled(data[0])
    if not 0 < first <= MOST_DESCRIPTORS:
        return None
    fields = _memory(pid, [(address, (first + 63) // 64 * 8) for address in call.args[1:4]])
    return None if fields is None else selected(first, *fields)


def _memory(pid: int, places: list[tuple[int, int]]) -> list[bytes] | None:
    """Return parts of a process's memory, empty at address 0; None if it may not be read."""
    try:
        fd = os.open(f"/proc/{pid}/mem", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return [os.pread(fd, size, address) if address else b"" for address, size in places]
    except (OSError, OverflowError):
        return None
    finally:
        os.close(fd)


def _only_wakes(pid: int, fds: set[int]) -> bool:
    """Return whether a process can only wake itself by some descriptors: both ends are its own."""
    try:
        if all(_wakes(_link(pid, fd), _near(pid, fd)) for fd in fds):
            return True
        links = [_link(pid, name) for name in os.listdir(f"/proc/{pid}/fd")]
        return all(_wakes(_link(pid, fd), links) for fd in fds)
    except OSError:
        return False


def _link(pid: int, fd: int | str) -> str:
    return os.readlink(f"/proc/{pid}/fd/{fd}")


def _near(pid: int, fd: int) -> Iterator[str]:
    """Yield what the two descriptors beside one refer to: the ends of a pipe are made one after the other."""
    yield _link(pid, fd)
    for beside in (fd + 1, fd - 1):
        with contextlib.suppress(OSError):
            yield _link(pid, beside)


def _wakes(link: str, links: Iterable[str]) -> bool:
    """Return whether a descriptor only wakes its process, by what it and others of the process refer to."""
    if link in _OWN_WAKES:
        return True
    kind, _, number = link.removesuffix("]").partition(":[")
    if kind == "pipe":
        return sum(other == link for other in links) > 1
    if kind != "socket":
        return False
    # The two of socketpair(2) are made one after the other, and so are the numbers of their inodes.
    ends = {f"socket:[{int(number) + step}]" for step in (-1, 1)}
    return any(other in ends for other in links)


def _read(path: str, most: int = _READ_BYTES, *, missing: bool = False) -> bytes:
    """Return the beginning of a file; empty if it may not be read or, unless `missing`, is not there."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        if missing:
            raise
        return b""
    except OSError:
        return b""
    try:
        return os.read(fd, most)
    except OSError:  # ESRCH: it has ended; EPERM
        return b""
    finally:
        os.close(fd)
