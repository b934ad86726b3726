"""This process as the owner of runs: functions, generators and whatever else is recorded in it.

Owns, once per store and process, a lock that says that the process lives, a control socket that
all its runs share, and one thread that hears it and keeps their times. So a run in a process
costs no descriptor and no thread of its own. When the process dies the kernel frees the lock, and
its runs are lost. A forked child is another process: it owns nothing of its parent's.
"""

from __future__ import annotations

import atexit
import contextlib
import heapq
import itertools
import json
import os
import select
import threading
import time
from collections.abc import Callable
from contextvars import Context
from typing import Any, Protocol

from runcast import loggers
from runcast.ids import new_run_id
from runcast.log.sync import Syncer
from runcast.own_thread import Background
from runcast.store.run_folder import OWNERS
from runcast.supervisor.control import ControlConnection, accept, connect_path, listen_path
from runcast.sysio.files import create, folder, folder_above, is_at, is_locked, remove
from runcast.sysio.forks import at_fork
from runcast.sysio.locks import lock

__all__ = ["Owned", "Owner", "owner_of", "runs_in", "tell"]

_LEFT_SECONDS = 2.0  # for runs to end when their process does
_LINGER_SECONDS = 1.0  # with no run, before it is made anew for the next one
_PAUSE_SECONDS = 0.01  # before the next connection is taken, where there is no descriptor for one
_TELL_SECONDS = 0.05  # an event loop may be who tells; it will tell again


class Owned(Protocol):
    """A run that a process owns, as its owner sees it."""

    id: str
    loop: object | None

    def handle(self, request: dict[str, Any]) -> str | dict[str, Any] | None:
        """Handle a request; return the reason if it cannot be done, or the answer. Must not block."""

    def shutdown(self) -> None:
        """Request the run to end, because the process does."""

    def mark_lost(self) -> None:
        """Record that the process ended before the run did."""

    def sync(self) -> None:
        """Have the log so far survive a power loss."""


class Owner:
    """What owns the runs of this process in one store. Use `owner_of`."""

    def __init__(self, store: str) -> None:
        self.name = new_run_id()
        self._folder = f"{store}/{OWNERS}"
        self._path = f"{self._folder}/{self.name}"
        self._runs: dict[str, Owned] = {}
        self._lock = threading.RLock()  # a signal handler may ask while it is held
        self._times: list[tuple[float, int, Callable[[], object]]] = []
        self._numbers = itertools.count()
        # The thread of ours starts the one that syncs: a signal handler may print, and had better not.
        self.syncer = Syncer(lambda call: self.call_at(time.monotonic(), call))
        self._thread: threading.Thread | None = None
        folder(self._folder, make=True)
        self._sweep()
        self.lock_fd = self._make()
        self._bell = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._listener = None
        with contextlib.suppress(OSError):  # without sockets there only this process can stop its runs
            self._listener = listen_path(f"{self._path}.sock", backlog=128)

    def locate(self) -> str | None:
        """Return where the store is now that it was made in; None if that was removed."""
        if not is_at(self._path, self.lock_fd):
            store = folder_above(self.lock_fd, f"/{OWNERS}/{self.name}")
            if store is None:
                return None
            self._folder = f"{store}/{OWNERS}"
            self._path = f"{self._folder}/{self.name}"
        return os.path.dirname(self._folder)

    def _make(self) -> int:
        """Make the lock file and return it locked: it does not have its name a moment without."""
        made = f"{self._folder}/.{self.name}"
        while True:
            fd = create(made, os.O_RDWR)
            lock(fd)
            try:
                os.rename(made, self._path)
            except FileNotFoundError:  # swept before it was locked: who swept it took us for dead
                os.close(fd)
            else:
                return fd

    def _sweep(self) -> None:
        """Remove what owners that are dead left behind, those included that died making their file."""
        for name in os.listdir(self._folder):
            path = f"{self._folder}/{name.removesuffix('.sock')}"
            if not is_locked(path):
                with contextlib.suppress(OSError):
                    remove(f"{self._folder}/{name}")

    def _add(self, run: Owned) -> None:
        with self._lock:
            self._runs[run.id] = run
            self._begin()

    def _begin(self) -> None:
        """Have a thread serve. Where there are too many, the next call tries again: its runs go on."""
        if self._thread is not None:
            return
        thread = Background(target=self._serve, name="runcast owner")
        with contextlib.suppress(RuntimeError):
            Context().run(thread.start)  # belongs to no run, whichever run's code begins it
            self._thread = thread

    def forget(self, run: Owned) -> None:
        """Let go of a run that has ended."""
        self.syncer.forget(run)
        with self._lock:
            if self._runs.pop(run.id, None) is not None and not self._runs:
                self._ring()  # nothing else may wake the thread, which is to go soon

    def get(self, run_id: str) -> Owned | None:
        """Return a run, if it is this process's."""
        return self._runs.get(run_id)

    def call_at(self, when: float, call: Callable[[], object]) -> None:
        """Call something at a time (monotonic seconds), in the owner's thread. It must not block."""
        with self._lock:
            heapq.heappush(self._times, (when, next(self._numbers), call))
            soonest = self._times[0][0] == when
            if self._runs:
                self._begin()
        if soonest:
            self._ring()

    def _ring(self) -> None:
        with contextlib.suppress(OSError):
            os.write(self._bell[1], b"!")

    def _serve(self) -> None:
        poll = select.poll()
        poll.register(self._bell[0], select.POLLIN)
        if self._listener is not None:
            poll.register(self._listener, select.POLLIN)
        connections: dict[int, ControlConnection] = {}
        idle_since: float | None = None
        while True:
            with self._lock:
                wait = self._times[0][0] - time.monotonic() if self._times else None
                idle_since = None if self._runs else idle_since or time.monotonic()
            if idle_since is not None:
                left = idle_since + _LINGER_SECONDS - time.monotonic()
                if left <= 0 and self._leave(connections):
                    return
                wait = left if wait is None else min(wait, left)
            for fd, _ in poll.poll(None if wait is None else max(wait * 1000, 0) + 0.5):
                if fd == self._bell[0]:
                    with contextlib.suppress(BlockingIOError):
                        os.read(fd, 4096)
                elif fd in connections:
                    if not self._answer(connections[fd]):
                        poll.unregister(fd)
                        connections.pop(fd).socket.close()
                elif self._listener is not None:
                    try:
                        accepted = ControlConnection(accept(self._listener))
                    except BlockingIOError:  # the client has gone
                        continue
                    except OSError:
                        time.sleep(_PAUSE_SECONDS)
                        continue
                    connections[accepted.socket.fileno()] = accepted
                    poll.register(accepted.socket, select.POLLIN)
            for call in self._due():
                try:
                    call()
                except Exception as error:  # one run's trouble must not become that of all the others
                    loggers.error("threads", "the owner of runs cannot go on with one", failure=error)

    def _leave(self, connections: dict[int, ControlConnection]) -> bool:
        """Close everything, unless a run came in this moment: a process may open many stores."""
        with _lock, self._lock:
            if self._runs:
                return False
            for key in [key for key, owner in _owners.items() if owner is self]:
                del _owners[key]
        self.locate()
        for connection in connections.values():
            connection.socket.close()
        self._abandon()
        self._remove()
        return True

    def _due(self) -> list[Callable[[], object]]:
        due = []
        with self._lock:
            while self._times and self._times[0][0] <= time.monotonic():
                due.append(heapq.heappop(self._times)[2])
        return due

    def _answer(self, connection: ControlConnection) -> bool:
        requests = connection.receive()
        for request, _data in requests or []:
            error = self.handle(request)
            if request.get("answer", True):
                connection.answer(**({"error": error} if isinstance(error, str) else error or {}))
        return requests is not None

    def handle(self, request: dict[str, Any]) -> str | dict[str, Any] | None:
        """Handle a request for one of the runs; return the reason if it cannot be done, or the answer."""
        run = self._runs.get(str(request.get("run")))
        if run is None:
            return "it has ended"
        try:
            return run.handle(request)
        except Exception as error:
            return f"cannot do {request!r}: {error!r}"

    def _end(self) -> None:
        """The process ends: its runs with it, those that can with a word of their own."""
        deadline = time.monotonic() + _LEFT_SECONDS
        runs = list(self._runs.values())
        for run in runs:
            try:
                run.shutdown()
            except Exception as error:
                loggers.error("threads", "run %s cannot end with its process", run.id, failure=error)
        while any(run.id in self._runs for run in runs) and time.monotonic() < deadline:
            time.sleep(0.005)
        for run in list(self._runs.values()):
            with contextlib.suppress(Exception):
                run.mark_lost()
        self.locate()
        self._remove()

    def _remove(self) -> None:
        for path in (f"{self._path}.sock", self._path):
            with contextlib.suppress(OSError):
                os.unlink(path)

    def _abandon(self) -> None:
        """In a forked child: these descriptors are the parent's. Closing one frees no lock of its."""
        self._runs = {}
        for fd in (self.lock_fd, *self._bell):
            with contextlib.suppress(OSError):
                os.close(fd)
        if self._listener is not None:
            self._listener.close()


_owners: dict[str, Owner] = {}
_lock = threading.Lock()


def owner_of(store: str, run: Owned | None = None) -> Owner:
    """Return this process's owner in a store, which a new run is given to if there is one.

    It is made at the first call, anew after a fork, and anew when it had no runs for a while. Where the
    store was moved or removed it stays with its runs, and what is in its place now gets another.
    """
    with _lock:
        if store in _owners and (now := _owners[store].locate()) != store:
            moved = _owners.pop(store)
            _owners[now or moved.name] = moved
        if store not in _owners:
            # Anew, so that it is called before what ends the capture of prints: runs have last words.
            atexit.unregister(_end_all)
            atexit.register(_end_all)
            _owners[store] = Owner(store)
        if run is not None:
            _owners[store]._add(run)
        return _owners[store]


def runs_in(run_path: str) -> object | None:
    """Return the event loop that a run needs in order to go on, if it is this process's and has one."""
    store, run_id = os.path.split(run_path)
    owner = _owners.get(store)
    run = owner and owner.get(run_id)
    return run.loop if run else None


def tell(run_path: str, control_path: str, request: dict[str, Any]) -> None:
    """Tell the owner of a run something, without an answer and without waiting: a call, if it is us.

    Raises:
        OSError: nobody hears it.
    """
    store, run_id = os.path.split(run_path)
    owner = _owners.get(store)
    if owner is not None and owner.get(run_id) is not None:
        owner.handle(request)
    else:
        with connect_path(control_path, _TELL_SECONDS) as connection:
            connection.sendall(json.dumps(request | {"answer": False}).encode() + b"\n")


def _end_all() -> None:
    for owner in list(_owners.values()):
        owner._end()
    _owners.clear()


def _forget() -> None:
    global _lock
    _lock = threading.Lock()
    for owner in _owners.values():
        owner._abandon()
    _owners.clear()


at_fork(_forget)
