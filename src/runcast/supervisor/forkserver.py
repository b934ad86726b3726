"""The forkserver: keeps a few supervisors ready, so that a run starts in milliseconds.

Owns their number and their end. They all accept connections on one socket, so a client connects
directly to a supervisor. One forkserver serves one store, one user, one version and one context
(limits, umask, cgroup, …: `launch.py`). It is single-threaded, detached, and exits a minute after
the last run. As the parent of the supervisors it is the first to see one die in mid-run, and
recovers the run that was lost.
"""

from __future__ import annotations

import contextlib
import gc
import os
import resource
import select
import signal
import socket
import time

from runcast.errors import RunElsewhere
from runcast.store.run_files import RunFiles
from runcast.supervisor.control import UnixSocket, accept, listen_path
from runcast.supervisor.detached import GO, IDLE, LEAVES, LET_GO, NEEDS_ROOM, NO_ROOM, ROOM, serve
from runcast.supervisor.end_hooks import Hooks, begin_hooks, hooks_of
from runcast.supervisor.oom import own_group
from runcast.supervisor.recover import is_lost, recover
from runcast.supervisor.strays import Strays
from runcast.sysio.files import create, folder, folder_above, is_at, read_kernel, remove
from runcast.sysio.locks import lock

__all__ = ["main"]

READY = 2  # supervisors that wait; one more is forked when one of them is taken
SPARE = 4  # of those beyond this number, the ones that have waited for a while are ended
SPARE_SECONDS = 2.0
FORK_AGAIN_SECONDS = 1.0
IDLE_SECONDS = 60.0
MOST_STILLBORN = 5
_SORTED_BYTES = 64 * 1024


class _Supervisor:
    def __init__(self, pid: int, link: socket.socket) -> None:
        self.pid = pid
        self.link = link
        self.run: str | None = None  # the folder of the run that it supervises
        self.used = False
        self.since = time.monotonic()  # when it became idle
        self.leaving = False
        self.needs_room = False  # it has a run, whose command cannot be started for lack of processes
        self.makes_room_for: _Supervisor | None = None


class _Forkserver:
    def __init__(self, store: str, name: str, listener: UnixSocket, lock: int, idle: float) -> None:
        self._store, self._name = store, name
        self._idle_seconds = idle
        self._listener = listener
        self._lock = lock
        self._supervisors: dict[int, _Supervisor] = {}
        self._full_until = 0.0  # there are too many processes: none of ours may take what was given up
        self._owed = False  # one more must be forked, however many wait
        self._stillborn = 0  # supervisors in a row that died before their first run
        self._group = own_group()
        self._poll = select.poll()
        self._strays = Strays()
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
                    other.link.close()  # so that each sees the forkserver exit
                resource.setrlimit(resource.RLIMIT_NOFILE, self._files)
                serve(self._listener, theirs, self._group)
            finally:
                os._exit(0)
        theirs.close()
        ours.setblocking(False)
        self._supervisors[ours.fileno()] = _Supervisor(pid, ours)
        self._poll.register(ours, select.POLLIN)

    def _hear(self, fd: int) -> None:
        """Take a message of a supervisor: the run that it has taken, that it is idle; or see its end."""
        supervisor = self._supervisors[fd]
        try:
            message = os.fsdecode(supervisor.link.recv(4096))
        except BlockingIOError:
            return
        except OSError:
            message = ""
        if message == NEEDS_ROOM:
            self._make_room(supervisor)
            return
        if message == LEAVES:
            supervisor.used, supervisor.leaving, supervisor.run = True, True, None
            self._strays.let_go(supervisor.pid)
            _send(supervisor, LET_GO)
            return
        if message:
            supervisor.used, supervisor.needs_room = True, False
            supervisor.run = None if message == IDLE else message
            supervisor.since = time.monotonic()
            return
        del self._supervisors[fd]
        self._poll.unregister(fd)
        supervisor.link.close()
        os.waitpid(supervisor.pid, 0)
        # A connection wakes one: if that one died before it took it, only one that is new sees that it waits.
        self._owed = self._owed or (supervisor.run is None and not supervisor.leaving)
        if supervisor.makes_room_for is not None:
            _send(supervisor.makes_room_for, ROOM)
        others = {other.pid for other in self._supervisors.values()}
        self._strays.settle(supervisor.pid, others, lambda: self._all_lost(supervisor))
        if supervisor.run is not None:  # does nothing if the run ended by itself
            with contextlib.suppress(OSError, RunElsewhere):
                self._recover(self._place(supervisor.run))
        if supervisor.used:
            self._stillborn = 0
        elif not supervisor.leaving:
            self._stillborn += 1

    def _recover(self, path: str) -> None:
        lost, files = recover(path, died_now=True, hooks=self._begin_hooks), RunFiles(path)
        if not lost and files.ended and (hooks := hooks_of(files.described()[0])):
            self._begin_hooks(path, hooks)  # it may have died before it did

    def _begin_hooks(self, path: str, hooks: Hooks) -> None:
        self._strays.begin_apart(lambda: begin_hooks(path, hooks))

    def _hang_up(self) -> None:
        """Close the connections that wait: no supervisor that waits now was woken for one of them.

        Their clients try again, and in the end start a supervisor each without a forkserver.
        """
        self._owed = False
        with contextlib.suppress(OSError):
            while True:
                accept(self._listener).close()

    def _all_lost(self, ended: _Supervisor) -> bool:
        """Whether one that has ended, and each other that has, left a run that is lost."""
        dead = [other for other in self._supervisors.values() if _is_dead(other.pid)]
        return all(one.run is not None and is_lost(self._place(one.run)) for one in (ended, *dead))

    def _place(self, run: str) -> str:
        """Return where the folder of a run is now: the store may have been moved since it began."""
        store = folder_above(self._lock, f"/{self._name}.lock") or self._store
        return f"{store}/{os.path.basename(run)}"

    def _make_room(self, starved: _Supervisor) -> None:
        """End a supervisor that waits, so that the command of another's run can be started."""
        self._full_until = time.monotonic() + FORK_AGAIN_SECONDS
        starved.needs_room = True
        spare = next(iter(self._idle()), None)
        if spare is None:
            _send(starved, NO_ROOM)
            return
        spare.leaving, spare.makes_room_for = True, starved
        _send(spare, GO)

    def _idle(self) -> list[_Supervisor]:
        waiting = (one for one in self._supervisors.values() if one.run is None)
        return [one for one in waiting if not (one.leaving or one.needs_room)]

    def _end_spares(self) -> None:
        """End the supervisors that a burst left over, after a while: the next burst may be near."""
        idle = sorted(self._idle(), key=lambda one: one.since)
        for supervisor in idle[: max(len(idle) - SPARE, 0)]:
            if time.monotonic() - supervisor.since >= SPARE_SECONDS:
                supervisor.leaving = True
                _send(supervisor, GO)

    def run(self) -> None:
        """Serve until no supervisor has been used for a while."""
        used = time.monotonic()
        while True:
            timeout = SPARE_SECONDS if len(self._idle()) > SPARE else self._idle_seconds
            while (self._owed or len(self._idle()) < READY) and self._stillborn < MOST_STILLBORN:
                if (full := self._full_until - time.monotonic()) > 0:
                    timeout = full
                    break
                try:
                    self._fork()
                    self._owed = False
                except OSError:  # too many processes or descriptors, at the moment
                    timeout = FORK_AGAIN_SECONDS
                    break
            if self._owed and self._stillborn >= MOST_STILLBORN:
                self._hang_up()
            if not self._supervisors and self._full_until < time.monotonic():
                return
            for fd, _event in self._poll.poll(timeout * 1000):
                self._hear(fd)
                used = time.monotonic()
            self._end_spares()
            if time.monotonic() - used >= self._idle_seconds and len(self._idle()) == len(self._supervisors):
                return


def _is_dead(pid: int) -> bool:
    """Whether a child has ended. waitid(2) reports that later, when all of its threads are gone."""
    return read_kernel(f"/proc/{pid}/stat").rpartition(b")")[2].split()[0] in (b"Z", b"X")


def _send(supervisor: _Supervisor, message: bytes) -> None:
    with contextlib.suppress(OSError):  # it is dead, which is seen soon
        supervisor.link.send(message)


def main(store: str, name: str, idle: float = IDLE_SECONDS) -> None:
    """Become the forkserver of a store, unless there is one; return at once either way.

    The process that was started ends when the socket listens; the forkserver is its child, and
    is gone `idle` seconds after the last run.
    """
    path = f"{store}/{name}"
    folder(os.path.dirname(path), make=True)
    held = create(path + ".lock", os.O_RDWR)
    try:
        if not lock(held, wait=False):
            return
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
    import runcast.supervisor.terminal  # noqa: F401  # here, for each supervisor would have 0.9 MiB of its own

    gc.collect()
    gc.freeze()  # pages that the collector never touches stay shared
    bytes(_SORTED_BYTES)  # at a large request malloc sorts what was freed: here, and not in each supervisor
    try:
        _Forkserver(store, name, listener, held, idle).run()
    finally:
        # The store may have been removed and made anew: then another one listens there.
        with contextlib.suppress(OSError):
            if is_at(path + ".lock", held):
                os.unlink(path)
    os._exit(0)
