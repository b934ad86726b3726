"""What a run whose supervisor died has left behind: find all of it, kill it, name what will not die.

Owns what counts as proof that a process is the run's, by whatever name it goes by now:

    its environment carries the run's id     not after `env -i`, `sudo` or `su -`
    it is the first process                  that number, and that birth
    it is in a session that the run began    a process can leave one, and can join none
    its parent is the run's

They are stopped first and killed when none is found any more: a stopped process forks nothing, and
as long as it is there its children are known by their parent. The caller has made sure that numbers
mean here what they meant to the supervisor (store/origin.py).
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Sequence
from typing import NamedTuple

from runcast.supervisor.births import clock, was_born
from runcast.sysio.files import read_kernel

__all__ = ["Leftovers", "kill_leftovers", "marked"]

_KILL_SECONDS = 5.0
_PAUSE_SECONDS = 0.002  # for the killed to die, before they are looked for again
_ALIVE_SECONDS = 1.0  # a supervisor lived at least about so long after its last sign of life
_NAMED = 20  # processes at most in an outcome's message


class _Process(NamedTuple):
    """A process that is no zombie; equal ones are the same process."""

    pid: int
    started: int  # clock ticks since the boot


class _Place(NamedTuple):
    """Where a process stands among the others."""

    process: _Process
    parent: int
    session: int


class Leftovers(NamedTuple):
    """What could not be ended.

    Attributes:
        alive: processes of the run that cannot be killed.
        doubtful: processes in what may have been the run's session, or may be another one with its
            number: these were let be.
    """

    alive: list[int]
    doubtful: list[int]

    def __str__(self) -> str:
        parts = []
        if self.alive:
            parts.append(f"still alive: {_named(self.alive)}")
        if self.doubtful:
            parts.append(f"perhaps of this run, and let be: {_named(self.doubtful)}")
        return "; ".join(parts)


def marked(run_id: str) -> list[int]:
    """Return the processes whose environment says that they belong to a run, and that we may look at."""
    return [pid for pid in _pids() if pid != os.getpid() and _is_marked(pid, run_id)]


def kill_leftovers(
    run_id: str, first: int | None, born: Sequence[float] | None, alive_at: float
) -> Leftovers:
    """Kill the processes of a run until there are none; return those that will not die.

    Args:
        run_id: which the environment of its processes carries.
        first: the number of its first process, if it is known; it led a session of that number.
        born: two times between which it was started (`origin.clock`), if they are known.
        alive_at: the last sign of life of the supervisor, in seconds since the epoch. Until then the
            number of the first process, and so of its session, was the run's.
    """
    deadline = time.monotonic() + _KILL_SECONDS
    known: set[_Process] = set()
    stopped: set[_Process] = set()
    refused: set[_Process] = set()  # may not be signalled
    booted = time.time() - clock()
    ticks = int((alive_at + _ALIVE_SECONDS - booted) * os.sysconf("SC_CLK_TCK"))
    while True:
        places = _look_around()
        sure, doubtful = _belonging(places, known, run_id, first, born, ticks)
        known |= sure
        fresh = sure - stopped - refused
        late = time.monotonic() > deadline
        if fresh and not late:
            for process in fresh:
                (stopped if _signal(process, signal.SIGSTOP) else refused).add(process)
            continue  # one may have forked before it was stopped
        if not sure - refused:
            return Leftovers(_sorted(sure), _sorted(doubtful))
        for process in sure:  # late or not: nothing stays that was stopped and is not killed
            _signal(process, signal.SIGKILL)
        time.sleep(_PAUSE_SECONDS)
        if late:
            there = {place.process for place in _look_around().values()}
            return Leftovers(_sorted(sure & there), _sorted(doubtful))


def _belonging(
    places: dict[int, _Place],
    known: set[_Process],
    run_id: str,
    first: int | None,
    born: Sequence[float] | None,
    alive_ticks: int,
) -> tuple[set[_Process], set[_Process]]:
    """Return the processes that are the run's for sure, and those that may be."""
    # Before the look for those that are gone: it may be reaped between the two, and must be in one of them.
    there = first is not None and born is not None and was_born(first, born)
    gone = {place.session for place in places.values() if not os.path.exists(f"/proc/{place.session}")}
    gone.discard(0)  # what a session is called that was begun outside of this pid namespace
    ours = {pid for pid, place in places.items() if place.process in known or _is_marked(pid, run_id)}
    led = {pid for pid, place in places.items() if first is not None and place.session == first}
    if there and first is not None:
        ours |= {first} | led
    elif first not in gone:  # the number is another process's by now, and so is the session
        led = set()
    elif any(places[pid].process.started <= alive_ticks for pid in led):
        ours |= led
    before = -1
    while len(ours) != before:
        before = len(ours)
        # A session without a leader is the run's if one of its processes is: its number is given to
        # nobody else as long as it has any.
        sessions = ours | {place.session for pid, place in places.items() if pid in ours} & gone
        ours |= {
            pid for pid, place in places.items() if place.parent in ours or place.session in sessions
        } - {1}
    kept = {os.getpid(), 1}
    found = [{places[pid].process for pid in pids - kept if pid in places} for pids in (ours, led - ours)]
    return found[0], found[1]


def _signal(process: _Process, number: int) -> bool:
    """Send a signal to this very process; return False if that is not allowed."""
    try:
        fd = os.pidfd_open(process.pid)
    except OSError:
        return True  # it is gone
    try:
        if (place := _place(process.pid)) is not None and place.process == process:
            signal.pidfd_send_signal(fd, number)
    except PermissionError:
        return False
    except ProcessLookupError:
        pass
    finally:
        os.close(fd)
    return True


def _look_around() -> dict[int, _Place]:
    places = ((pid, _place(pid)) for pid in _pids())
    return {pid: place for pid, place in places if place is not None}


def _place(pid: int) -> _Place | None:
    """Return where a process stands; None if it is gone, or a zombie."""
    try:
        fields = read_kernel(f"/proc/{pid}/stat").rpartition(b")")[2].split()
        if fields[0] in (b"Z", b"X"):
            return None
        return _Place(_Process(pid, int(fields[19])), int(fields[1]), int(fields[3]))
    except (OSError, ValueError, IndexError):
        return None


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _is_marked(pid: int, run_id: str) -> bool:
    with contextlib.suppress(OSError):
        return b"RUNCAST_RUN_ID=" + run_id.encode() in read_kernel(f"/proc/{pid}/environ").split(b"\0")
    return False


def _sorted(processes: set[_Process]) -> list[int]:
    return sorted(process.pid for process in processes)


def _named(pids: list[int]) -> str:
    more = f" and {len(pids) - _NAMED} more" if len(pids) > _NAMED else ""
    return ", ".join(f"process {pid}" for pid in pids[:_NAMED]) + more
