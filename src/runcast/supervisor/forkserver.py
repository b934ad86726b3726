"""The forkserver: keeps a few supervisors ready, so that a run starts in milliseconds.

Owns their number and their end. They all wait at one socket: whoever wants a run connects and
talks to a supervisor at once, with nobody in between. One forkserver serves one store, one user,
one version and one context (limits, umask, cgroup, …: `launch.py`). Single-threaded, detached,
gone a minute after the last run. When a supervisor dies in mid-run its parent, this, is the
first to know, and settles the run that was lost.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import os
import resource
import select
import signal
import socket
import time

from runcast.errors import RunElsewhere
from runcast.supervisor.control import listen_path
from runcast.supervisor.detached import ASKS_ROOM, GO, IDLE, NO_ROOM, ROOM, serve
from runcast.supervisor.recover import recover
from runcast.sysio import create, folder, remove

__all__ = ["main"]

READY = 2  # supervisors that wait; one more is forked when one of them is taken
SPARE = 4  # beyond so many, those that have waited for a while are sent home
SPARE_SECONDS = 2.0
FORK_AGAIN_SECONDS = 1.0
IDLE_SECONDS = 60.0
MOST_STILLBORN = 5


class _Supervisor:
    def __init__(self, pid: int, link: socket.socket) -> None:
        self.pid = pid
        self.link = link
        self.run: str | None = None  # the folder of the run that it supervises
        self.used = False
        self.since = time.monotonic()  # when it became idle
        self.leaving = False
        self.asking = False  # for room: it has a run, which cannot be started
        self.makes_room_for: _Supervisor | None = None


class _Forkserver:
    def __init__(self, store: str, listener: socket.socket, lock: int, idle: float) -> None:
        self._store = store
        self._idle_seconds = idle
        self._listener = listener
        self._lock = lock
        self._supervisors: dict[int, _Supervisor] = {}
        self._full_until = 0.0  # there are too many processes: none of ours may take what was given up
        self._stillborn = 0  # supervisors in a row that died before their first run
        self._poll = select.poll()
        self._files = resource.getrlimit(resource.RLIMIT_NOFILE)
        with contextlib.suppress(OSError, ValueError):  # one for each supervisor: ours, not theirs
            resource.setrlimit(resource.RLIMIT_NOFILE, (self._files[1], self._files[1]))

    def _fork(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        pid = os.fork()
        if pid == 0:
            try:
                ours.close()
                os.close(self._lock)
                for other in self._supervisors.values():
                    other.link.close()  # so that each hears when the forkserver is gone
                resource.setrlimit(resource.RLIMIT_NOFILE, self._files)
                serve(self._listener, theirs, f"{self._store}/.supervisors/errors.log")
            finally:
                os._exit(0)
        theirs.close()
        ours.setblocking(False)
        self._supervisors[ours.fileno()] = _Supervisor(pid, ours)
        self._poll.register(ours, select.POLLIN)

    def _hear(self, fd: int) -> None:
        """Take what a supervisor says: the run it has taken, that it is idle, or nothing ever more."""
        supervisor = self._supervisors[fd]
        try:
            said = os.fsdecode(supervisor.link.recv(4096))
        except BlockingIOError:
            return
        except OSError:
            said = ""
        if said == ASKS_ROOM:
            self._give_up_one(supervisor)
            return
        if said:
            supervisor.used, supervisor.asking = True, False
            supervisor.run = None if said == IDLE else said
            supervisor.since = time.monotonic()
            return
        del self._supervisors[fd]
        self._poll.unregister(fd)
        supervisor.link.close()
        os.waitpid(supervisor.pid, 0)
        if supervisor.makes_room_for is not None:
            _send(supervisor.makes_room_for, ROOM)
        if supervisor.run is not None:  # settled already if it ended by itself: then this does nothing
            with contextlib.suppress(OSError, RunElsewhere):
                recover(supervisor.run, died_now=True)
        self._stillborn = 0 if supervisor.used else self._stillborn + 1

    def _give_up_one(self, asker: _Supervisor) -> None:
        """End a supervisor that waits, since a run that has one cannot start its command."""
        self._full_until = time.monotonic() + FORK_AGAIN_SECONDS
        asker.asking = True
        spare = next(iter(self._idle()), None)
        if spare is None:
            _send(asker, NO_ROOM)
            return
        spare.leaving, spare.makes_room_for = True, asker
        _send(spare, GO)

    def _idle(self) -> list[_Supervisor]:
        waiting = (one for one in self._supervisors.values() if one.run is None)
        return [one for one in waiting if not (one.leaving or one.asking)]

    def _send_home(self) -> None:
        """End the supervisors that a burst left over; not at once, the next one may be near."""
        idle = sorted(self._idle(), key=lambda one: one.since)
        for supervisor in idle[: max(len(idle) - SPARE, 0)]:
            if time.monotonic() - supervisor.since >= SPARE_SECONDS:
                supervisor.leaving = True
                _send(supervisor, GO)

    def run(self) -> None:
        """Serve until nobody has wanted anything for a while."""
        used = time.monotonic()
        while True:
            patience = SPARE_SECONDS if len(self._idle()) > SPARE else self._idle_seconds
            while len(self._idle()) < READY and self._stillborn < MOST_STILLBORN:
                if (full := self._full_until - time.monotonic()) > 0:
                    patience = full
                    break
                try:
                    self._fork()
                except OSError:  # too many processes or descriptors, at the moment
                    patience = FORK_AGAIN_SECONDS
                    break
            if not self._supervisors and self._full_until < time.monotonic():
                return
            for fd, _event in self._poll.poll(patience * 1000):
                self._hear(fd)
                used = time.monotonic()
            self._send_home()
            if time.monotonic() - used >= self._idle_seconds and len(self._idle()) == len(self._supervisors):
                return


def _send(supervisor: _Supervisor, message: bytes) -> None:
    with contextlib.suppress(OSError):  # it is dead, as is heard soon
        supervisor.link.send(message)


def main(store: str, name: str, idle: float = IDLE_SECONDS) -> None:
    """Become the forkserver of a store, unless there is one; return at once either way.

    The process that was started ends when the socket listens; the forkserver is its child, and
    is gone `idle` seconds after the last run.
    """
    path = f"{store}/{name}"
    folder(os.path.dirname(path), make=True)
    lock = create(path + ".lock", os.O_RDWR)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return
    with contextlib.suppress(FileNotFoundError):
        remove(path)  # of one that was killed
    listener = listen_path(path, backlog=512)
    if os.fork():
        os._exit(0)
    os.setsid()
    os.chdir("/")
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    gc.collect()
    gc.freeze()  # pages that the collector never touches stay shared
    try:
        _Forkserver(store, listener, lock, idle).run()
    finally:
        # The store may have been removed and made anew: then another one listens there.
        with contextlib.suppress(OSError):
            if os.path.samestat(os.stat(path + ".lock"), os.fstat(lock)):
                os.unlink(path)
    os._exit(0)
