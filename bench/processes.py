"""What processes cost: CPU time and memory, as /proc tells (proc(5))."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterable

__all__ = [
    "all_cpu",
    "descendants",
    "own_cpu",
    "parent",
    "peak_growth",
    "pss",
    "resident",
    "resident_whole",
    "running_ns",
    "with_argument",
]

_TICK = os.sysconf("SC_CLK_TCK")


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:  # it ended meanwhile
        return b""


def with_argument(text: str) -> list[int]:
    """Return the processes, but this one, that have a text in their arguments."""
    wanted = os.fsencode(text)
    pids = (int(name) for name in os.listdir("/proc") if name.isdigit())
    return [pid for pid in pids if pid != os.getpid() and wanted in _read(f"/proc/{pid}/cmdline")]


def parent(pid: int) -> int:
    """Return the parent of a process; 0 if it is gone."""
    fields = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    return int(fields[1]) if fields else 0


def all_cpu(pids: Iterable[int]) -> float:
    """Return the CPU seconds of processes and of all children that they have waited for."""
    total = 0
    for pid in pids:
        fields = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
        total += sum(map(int, fields[11:15]))
    return total / _TICK


def own_cpu() -> float:
    """Return the CPU seconds of this process and of all children that it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def running_ns(pids: Iterable[int]) -> int:
    """Return the CPU nanoseconds of processes themselves, without their children."""
    return sum(int((_read(f"/proc/{pid}/schedstat").split() or [b"0"])[0]) for pid in pids)


def _kib(path: str, key: bytes) -> int:
    return next((int(line.split()[1]) for line in _read(path).splitlines() if line.startswith(key)), 0)


def descendants(pid: int) -> list[int]:
    """Return a process and everything below it."""
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    found = [pid]
    for one in found:
        found += [other for other in pids if parent(other) == one and other not in found]
    return found


def resident(pid: int) -> int:
    """Return the KiB of memory that a process has in use, but for files and what is shared."""
    return _kib(f"/proc/{pid}/status", b"RssAnon:")


def resident_whole(pid: int) -> int:
    """Return the KiB of memory that a process has in use, files and what is shared included."""
    return _kib(f"/proc/{pid}/status", b"VmRSS:")


def pss(pid: int) -> int:
    """Return the KiB of memory that are a process's own, shared pages divided by who shares them."""
    return _kib(f"/proc/{pid}/smaps_rollup", b"Pss:")


class peak_growth:
    """Tells how many KiB this process grew at most since this was made."""

    def __init__(self) -> None:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")  # the peak is now what there is now
        self._before = _kib("/proc/self/status", b"VmRSS:")

    def kib(self) -> int:
        """Return it."""
        return max(_kib("/proc/self/status", b"VmHWM:") - self._before, 0)
