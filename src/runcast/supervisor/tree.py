"""All processes of one run: signal them, reap them, and know when none is left.

A supervisor is a subreaper (prctl(2)): whatever a process of the run leaves behind becomes its
child, so `waitpid` answering ECHILD is the kernel's proof that nothing is left. What a supervisor
that died has left is another matter (leftovers.py).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time

__all__ = ["Tree", "become_subreaper"]

_PR_SET_CHILD_SUBREAPER = 36
# Looked up here, once, and not in each supervisor, which would have 0.2 MiB of its own for it.
_prctl = getattr(ctypes.CDLL(None), "prctl", None)
_RECENT = 64  # pids behind the newest that are looked at first: who forks every millisecond is there
_FULL_SCAN_EVERY = 20  # rounds


def become_subreaper() -> bool:
    """Have orphans of this process's descendants become its children; False where the system cannot."""
    return _prctl is not None and _prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0


def _stat(pid: int) -> tuple[int, int] | None:
    """Return the parent and the process group of a process that is not a zombie."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            state, parent, group = file.read().rpartition(b")")[2].split()[:3]
    except (OSError, ValueError):
        return None
    return None if state == b"Z" else (int(parent), int(group))


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _newest_pid() -> int:
    with open("/proc/loadavg", "rb") as file:
        return int(file.read().split()[4])


class Tree:
    """The processes of one run, by the pid of the first one, which leads its own group.

    For a process that is a subreaper and has no other children than this run's.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.status: int | None = None  # of the first one, as waitpid(2) has it

    def signal(self, number: int) -> None:
        """Send a signal to the group; one that is stopped (SIGSTOP) is continued to get it."""
        if self.status is not None:  # its number may have a new owner
            self.signal_rest(number)
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)
            if number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
                os.killpg(self.pid, signal.SIGCONT)

    def signal_rest(self, number: int) -> None:
        """Send a signal to what is left when the first process has ended."""
        for pid, _group in self._children(thorough=True):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)
                os.kill(pid, signal.SIGCONT)

    def collect(self) -> bool:
        """Reap what has ended; return whether nothing of the run is left."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return True
            if pid == 0:
                return False
            if pid == self.pid:
                self.status = status

    def kill(self, seconds: float) -> bool:
        """Kill everything, and make sure; return whether nothing is left after at most `seconds`."""
        deadline = time.monotonic() + seconds
        rounds = 0
        while not self.collect():
            self._kill_round(thorough=rounds % _FULL_SCAN_EVERY == 0)
            rounds += 1
            if time.monotonic() > deadline:
                return self.collect()
            if rounds > 2:
                time.sleep(0.0002)  # a killed process needs a moment to die
        return True

    def _kill_round(self, *, thorough: bool) -> None:
        if self.status is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
        mine = os.getpgrp()
        for pid, group in self._children(thorough=thorough):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
                if group != mine:  # a group dies as a whole, also what forks at this moment
                    os.killpg(group, signal.SIGKILL)

    @staticmethod
    def _children(*, thorough: bool) -> list[tuple[int, int]]:
        """Return the pid and the group of each child; without `thorough` only of the newest processes."""
        me, newest = os.getpid(), _newest_pid()
        pids = _pids() if thorough else range(newest, max(newest - _RECENT, 1), -1)
        stats = ((pid, _stat(pid)) for pid in pids)
        return [(pid, stat[1]) for pid, stat in stats if stat and stat[0] == me]
