"""All processes of one run: signal them, reap them, and know when none is left.

A supervisor is a subreaper (prctl(2)): whatever a process of the run leaves behind becomes its
child, so `waitpid` answering ECHILD is the kernel's proof that nothing is left. What a supervisor
that died has left is another matter (strays.py, leftovers.py).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from runcast.model import Usage

if TYPE_CHECKING:
    from runcast.supervisor.run_group import RunGroup

__all__ = ["Tree", "become_subreaper", "children", "kill_all"]

_PR_SET_CHILD_SUBREAPER = 36
# Looked up here, once, and not in each supervisor, which would have 0.2 MiB of its own for it.
_prctl = getattr(ctypes.CDLL(None), "prctl", None)
_PAUSE_SECONDS = 0.0002  # for the killed to die
_LONGEST_PAUSE_SECONDS = 0.01  # when nothing new is found: it hangs in the kernel, or may not be killed
_KEPT_ZOMBIES, _MOST_ZOMBIES = 1024, 4096  # each has some 10 KiB of kernel memory
_READ_BYTES = 65536
_BLOCK_BYTES = 512  # of ru_inblock and ru_oublock, whatever the disk's are
_CHILDREN = "/proc/thread-self/children"


def become_subreaper(*, really: bool = True) -> bool:
    """Have orphans of our descendants become our children, or no longer; False where the system cannot."""
    return _prctl is not None and _prctl(_PR_SET_CHILD_SUBREAPER, int(really), 0, 0, 0) == 0


class Tree:
    """The processes of one run, by the pid of the first one, which leads its own process group.

    For the main thread of a process that is a subreaper and has no other children than this run's.

    Args:
        pid: of the first one.
        group: the control group that all of them are in, if one was made for this run.
    """

    def __init__(self, pid: int, group: RunGroup | None = None) -> None:
        self.pid, self.group = pid, group
        self.status: int | None = None  # of the first one, as waitpid(2) has it
        self._seconds, self._peak, self._read, self._written = 0.0, 0, 0, 0  # of those that were reaped

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
        for pid in children(set()):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)
                os.kill(pid, signal.SIGCONT)

    def collect(self) -> bool:
        """Reap what has ended; return whether nothing of the run is left."""
        while True:
            try:
                pid, status, used = os.wait4(-1, os.WNOHANG)  # with what those used that it waited for
            except ChildProcessError:
                return True
            if pid == 0:
                return False
            if pid == self.pid:
                self.status = status
            self._seconds += used.ru_utime + used.ru_stime
            self._peak = max(self._peak, used.ru_maxrss)
            self._read, self._written = self._read + used.ru_inblock, self._written + used.ru_oublock

    def usage(self) -> Usage:
        """Return what those used that have ended.

        A spawned process begins as a copy of this one, and the kernel keeps that as its peak.
        """
        own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        peak = self._peak * 1024 if self._peak > own else None
        seconds = self._seconds
        if self.group is not None:  # which counts those that go on, too, and what all had at one moment
            of_group = self.group.used()
            seconds, peak = of_group[0] or seconds, of_group[1] or peak
        return Usage(round(seconds, 6), peak, self._read * _BLOCK_BYTES, self._written * _BLOCK_BYTES)

    def close(self) -> None:
        """Remove what was made for the run."""
        if self.group is not None:
            self.group.remove()

    def kill(self, seconds: float) -> bool:
        """Kill everything, and make sure; return whether nothing is left after at most `seconds`."""
        if self.group is not None:
            self.group.kill()

        def look(ended: set[int]) -> list[int]:
            if self.status is None:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(self.pid, signal.SIGKILL)
            return children(ended)

        return kill_all(look, self.collect, seconds)


def kill_all(look: Callable[[set[int]], list[int]], collect: Callable[[], bool], seconds: float) -> bool:
    """Kill children of ours, and what they leave; return whether none is left after at most `seconds`.

    Zombies are kept for a while. They count for `ulimit -u` and `pids.max`, so what forks for ever
    at such a limit has one place less with each that is killed, and not one to fill again.

    Args:
        look: returns those that live, as `children` does.
        collect: reaps those that do not, and returns whether none is left.
        seconds: to try for.
    """
    deadline = time.monotonic() + seconds
    pause, most = _PAUSE_SECONDS, _KEPT_ZOMBIES
    killed: set[int] = set()
    ended: set[int] = set()
    while True:
        living = look(ended)
        fresh = [pid for pid in living if pid not in killed and _kill(pid)]
        killed.update(fresh)
        if not living or len(ended) >= most:
            if collect():
                return True
            ended.clear()
            killed.clear()  # what was reaped has given its number back
            most = min(most * 2, _MOST_ZOMBIES) if living else most
        if time.monotonic() > deadline:
            return collect()
        pause = _PAUSE_SECONDS if fresh or not living else min(pause * 2, _LONGEST_PAUSE_SECONDS)
        time.sleep(pause)


def _kill(pid: int) -> bool:
    """Kill a child of ours; return whether that was allowed. What it leaves is ours in the next round."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)
        if (group := os.getpgid(pid)) != os.getpgrp():  # it dies as a whole, also what forks at this moment
            os.killpg(group, signal.SIGKILL)
        return True
    return False


def children(ended: set[int]) -> list[int]:
    """Return our children that live. Those that do not are added to `ended`: these are not looked at again.

    Each is seen to be ours by waitid(2): a number from /proc may be another process's here, if /proc
    is that of another pid namespace.
    """
    found = []
    for pid in _listed():
        if pid not in ended:
            with contextlib.suppress(ChildProcessError):
                if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                    found.append(pid)
                else:
                    ended.add(pid)
    return found


def _listed() -> list[int]:
    """Return the numbers among which our children are.

    The kernel's list of them takes one read, so a round costs less than the life of what forks every
    millisecond. Where there is none (CONFIG_PROC_CHILDREN), it is all processes.
    """
    try:
        fd = os.open(_CHILDREN, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]
    try:
        text = b""
        while part := os.read(fd, _READ_BYTES):
            text += part
        return [int(pid) for pid in text.split()]
    finally:
        os.close(fd)
