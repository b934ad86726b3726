"""Supervise one run: from its start to its outcome.

Owns the loop, the deadlines and the order of the end: the exit is seen, the pipes are read
empty, the outcome is written durably, and only then is anybody told (by the lock that is freed).
Where a grandchild still holds a pipe, the outcome is told at once and the log stays open for a
grace. One thread, one poll; all times on the monotonic clock. Does not know who reads.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
import socket
import time
from collections.abc import Callable
from typing import Any

from runcast.log import LogWriter
from runcast.model import Channel, Outcome, Reason, State
from runcast.supervisor.control import Connection
from runcast.supervisor.limits import Limits
from runcast.supervisor.oom import OomWatch
from runcast.supervisor.origin import clock
from runcast.supervisor.pump import Pipe, Pump
from runcast.supervisor.spawn import CannotStart, NoRoom, spawn
from runcast.supervisor.stdin import Stdin
from runcast.supervisor.tree import Tree
from runcast.sysio import read_json

__all__ = ["Supervision"]

DRAIN_SECONDS = 5.0  # how long the log stays open for grandchildren that hold a pipe
STOP_GRACE = 5.0  # between a timeout's SIGTERM and its SIGKILL
KILL_SECONDS = 10.0  # a process in uninterruptible sleep (state D) may not die; it is named then
_MOST_CONNECTIONS = 64  # to the control socket at once; more wait until one of them leaves
_MOST_MS = 86_400_000.0  # poll(2) takes an int of milliseconds: whoever waits longer looks again


class Supervision:
    """One run under supervision.

    Args:
        request: `id`, `argv`, `env`, `cwd`; `stdin` (null, pipe or given), `timeout`,
            `idle_timeout`, `drain` in seconds.
        log: where the output goes; closed at the end.
        tell: called with the state whenever it changes.
        exits: a descriptor that becomes readable when a child may have ended.
        watched: returns a number that changes whenever somebody notes that they watch.
        sync: has the log survive a power loss so far; called at most once a second.
        removed: whether somebody has removed the run's folder, which ends the run.
        oom: what this process knows of memory running out.
        make_room: gives up a process that is not needed now, and returns whether there was one.
    """

    def __init__(
        self,
        request: dict[str, Any],
        log: LogWriter,
        tell: Callable[[dict[str, Any]], None],
        exits: int,
        sync: Callable[[], None],
        watched: Callable[[], int],
        removed: Callable[[], bool],
        oom: OomWatch,
        make_room: Callable[[], bool] = lambda: False,
    ) -> None:
        self._request = request
        self._log = log
        self._tell = tell
        self._exits, self._sync = exits, sync
        self._watched, self._removed = watched, removed
        self._oom, self._make_room = oom, make_room
        self._poll = select.poll()
        self._connections: dict[int, Connection] = {}
        self._calls: dict[int, Callable[[], object]] = {}
        self._listener: socket.socket | None = None
        self._deaf = False  # no more connections can be had at the moment
        self._stdin = Stdin(self._poll)
        self._reason: Reason | None = None
        self._kill_at: float | None = None
        self._drain_until: float | None = None
        self._outcome: Outcome | None = None
        self._state: dict[str, Any] = {}
        self._tree: Tree
        self._pump: Pump

    def start(self, stdin: int | None = None) -> int | None:
        """Start the command; return its pid, or None if it cannot be started: the run is over then."""
        ours: list[int] = []
        theirs = [] if stdin is None else [stdin]
        try:
            given = self._open_stdin(stdin, theirs)
            for _ in range(2):
                reading, writing = os.pipe2(os.O_CLOEXEC)
                ours.append(reading)
                theirs.append(writing)
            out_read, err_read = ours
            self._oom.begin()
            argv, env, cwd = self._request["argv"], self._request["env"], self._request["cwd"]
            before = clock()
            with self._oom.first_to_go(env):
                pid = spawn(argv, env, cwd, given, *theirs[-2:], make_room=self._make_room)
        except (CannotStart, OSError) as failed:
            error = NoRoom(self._request["argv"][0], failed) if isinstance(failed, OSError) else failed
            for fd in (*ours, *theirs):  # at the limit of descriptors the outcome needs some of them
                os.close(fd)
            theirs.clear()
            self._stdin.close()
            self._log.close(
                Outcome(Reason.FAILED_TO_START, error.code, message=str(error), ended_at=time.time())
            )
            return None
        finally:
            for fd in theirs:
                os.close(fd)
        for fd in (out_read, err_read):
            os.set_blocking(fd, False)
            self._poll.register(fd, select.POLLIN)
        self._tree = Tree(pid)
        pipes = [Pipe(out_read, Channel.STDOUT), Pipe(err_read, Channel.STDERR)]
        self._pump = Pump(self._log, pipes, self._poll.unregister)
        self._state = {"pid": pid, "birth": [before, clock()]}
        self._state |= {"supervisor": os.getpid(), "started_at": time.time()}
        self._tell_state(State.RUNNING)
        return pid

    def _open_stdin(self, given: int | None, theirs: list[int]) -> int:
        if given is not None:
            return given
        if self._request.get("stdin") == "pipe":
            theirs.append(self._stdin.open())
            return theirs[-1]
        null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        theirs.append(null)
        return null

    def depend_on(self, lifeline: int) -> None:
        """Kill the run when the other end of a pipe is closed: its owner, and every reader, is gone."""
        self.hear(lifeline, lambda: self._stop(Reason.STOPPED, signal.SIGKILL, 0, time.monotonic()))

    def listen(self, listener: socket.socket) -> None:
        """Take requests from a control socket."""
        self._listener = listener
        self._poll.register(listener, select.POLLIN)

    def hear(self, fd: int, call: Callable[[], object]) -> None:
        """Call something, once, when a descriptor is readable or hung up. It is the caller's to close."""
        self._calls[fd] = call
        self._poll.register(fd, select.POLLIN)

    def run(self) -> Outcome:
        """Supervise until the log is closed; return how the run ended."""
        self._poll.register(self._exits, select.POLLIN)
        now = time.monotonic()
        self._limits = Limits(self._request, self._watched, now, self._removed)
        self._heard_bytes = 0
        self._sync_at, self._synced = now + 1.0, -1  # once without output, too: for run.json
        try:
            while not self._ended(now):
                ready = self._poll.poll(self._wait_ms(now))
                now = time.monotonic()
                for fd, event in ready:
                    pipe = self._pump.pipes.get(fd)
                    if pipe is not None:
                        self._pump.take(pipe, now)
                    elif fd == self._exits:
                        self._reap(now)
                    elif self._listener is not None and fd == self._listener.fileno():
                        self._accept()
                    elif fd == self._stdin.fd:
                        self._stdin.feed(event)
                    elif fd in self._calls:
                        self._poll.unregister(fd)
                        self._calls.pop(fd)()
                    else:
                        self._serve(fd, now)
                self._pump.expire(now)
                self._expire(now)
        except BaseException:  # a run that nobody supervises must not go on
            self._tree.kill(KILL_SECONDS)
            raise
        finally:
            self._close()
        assert self._outcome is not None
        return self._outcome

    def _wait_ms(self, now: float) -> float | None:
        deadlines = [self._pump.due(), self._limits.due(), self._kill_at, self._drain_until]
        if self._pump.bytes != self._synced:
            deadlines.append(self._sync_at)
        soonest = min((deadline for deadline in deadlines if deadline is not None), default=None)
        if soonest is None:
            return None
        return min(max((soonest - now) * 1000, 0) + 0.5, _MOST_MS)  # never a little too early

    def _expire(self, now: float) -> None:
        """Do what the time has come for."""
        if self._pump.bytes != self._heard_bytes:
            self._heard_bytes = self._pump.bytes
            self._limits.heard(now)
        if now >= self._sync_at and self._pump.bytes != self._synced:
            self._sync_at, self._synced = now + 1.0, self._pump.bytes
            self._sync()
        if self._reason is not None or self._outcome is not None:
            self._limits.end()
        elif (reason := self._limits.exceeded(now)) is not None:
            self._stop(reason, signal.SIGTERM, STOP_GRACE, now)
        if self._kill_at is not None and now >= self._kill_at:
            self._kill_at = None
            if not self._tree.kill(KILL_SECONDS):
                self._log.append(Channel.STDERR, b"runcast: some processes of this run cannot be killed\n")
            if self._outcome is None:
                self._exited(now)
            else:  # stopped while the log was open for those that the first process left behind
                self._pump.drain(now)
                self._drain_until = now

    def _stop(self, reason: Reason, number: int, grace: float, now: float) -> None:
        """Signal the run, and kill whatever is left of it when the grace (seconds) is over."""
        if self._outcome is None:
            self._reason = self._reason or reason
            self._tell_state(State.STOPPING)
        elif self._tree.collect():  # it ended in this very moment: there is nothing to wait for
            return
        if grace > 0:
            self._tree.signal(number)
        self._kill_at = now + grace if self._kill_at is None else min(self._kill_at, now + grace)

    def _tell_state(self, state: State) -> None:
        self._state["state"] = state.value
        with contextlib.suppress(OSError):  # a full disk must not keep a run from being stopped
            self._tell(self._state)

    def _reap(self, now: float) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._exits, 4096)
        had_status = self._tree.status is not None
        nothing_left = self._tree.collect()
        if self._tree.status is None:
            return
        if self._outcome is not None and nothing_left:
            self._kill_at = None
        if self._kill_at is not None and not nothing_left:
            if not had_status:  # being stopped: what the first one left behind gets its signal, too
                self._tree.signal_rest(signal.SIGTERM)
            return
        self._exited(now)

    def _exited(self, now: float) -> None:
        """The first process has ended: read what it wrote, and say how it ended."""
        if self._outcome is not None:
            return
        self._pump.drain(now)
        self._kill_at = None if self._tree.status is not None else self._kill_at
        self._outcome = self._judge()
        if self._pump.pipes:  # somebody else holds them
            for pipe in self._pump.pipes.values():
                self._pump.flush(pipe)
            self._log.tell(self._outcome)
            self._drain_until = now + float(self._request.get("drain", DRAIN_SECONDS))

    def _judge(self) -> Outcome:
        status = self._tree.status
        code = number = None
        message, value = "", None
        if status is None:
            message = f"process {self._tree.pid} cannot be killed"
        elif os.WIFSIGNALED(status):
            number = os.WTERMSIG(status)
        else:
            code = os.WEXITSTATUS(status)
            message, value = self._result()
        if self._reason is None and status is not None:
            message = message or self._oom.story(status)
        reason = self._reason or (Reason.EXITED if number is None else Reason.SIGNALED)
        return Outcome(
            reason,
            code,
            number,
            message,
            value,
            dropped=self._log.dropped,
            truncated=self._log.truncated,
            ended_at=time.time(),
        )

    def _result(self) -> tuple[str, Any]:
        """Return what a function in a process of its own left: why it failed, or what it returned."""
        if "result" in self._request:
            with contextlib.suppress(OSError, KeyError):
                found = read_json(self._request["result"])
                return str(found["message"]), found["value"]
        return "", None

    def _ended(self, now: float) -> bool:
        if self._outcome is None or self._kill_at is not None:
            return False
        return not self._pump.pipes or (self._drain_until is not None and now >= self._drain_until)

    def _accept(self) -> None:
        assert self._listener is not None
        try:
            connection = Connection(self._listener.accept()[0])
            self._connections[connection.socket.fileno()] = connection
            self._poll.register(connection.socket, select.POLLIN)
            full = len(self._connections) >= _MOST_CONNECTIONS
        except OSError as error:  # EMFILE would come again and again
            full = error.errno == errno.EMFILE and bool(self._connections)
        if full:
            self._deaf = True
            self._poll.unregister(self._listener)

    def _serve(self, fd: int, now: float) -> None:
        connection = self._connections[fd]
        requests = connection.receive()
        if requests is None:
            del self._connections[fd]
            self._poll.unregister(fd)
            if self._deaf and self._listener is not None:
                self._deaf = False
                self._poll.register(self._listener, select.POLLIN)
            self._stdin.forget(connection)
            connection.socket.close()
            return
        for request, data in requests:
            try:
                self._do(connection, request, data, now)
            except (KeyError, TypeError, ValueError, OSError) as error:
                connection.answer(error=f"cannot do {request!r}: {error!r}")

    def _do(self, connection: Connection, request: dict[str, Any], data: bytes, now: float) -> None:
        operation = request["op"]
        if operation == "stdin":
            self._stdin.take(connection, data, bool(request.get("eof")))
            return
        number = int(request.get("signal", signal.SIGTERM))
        grace = float(request.get("grace", STOP_GRACE))
        if number not in signal.valid_signals() or not grace >= 0:
            connection.answer(error=f"expected a signal and a grace of 0 seconds or more, got {request!r}")
            return
        if operation == "stop":
            self._stop(Reason.STOPPED, number, grace, now)
        elif operation == "signal":
            self._tree.signal(number)
        else:
            connection.answer(error=f"expected op stop, signal or stdin, got {operation!r}")
            return
        connection.answer()

    def _close(self) -> None:
        """Close the log, which tells everybody, and then whatever else is open."""
        for pipe in list(self._pump.pipes.values()):
            self._pump.flush(pipe)
            self._pump.close(pipe)
        try:
            if self._outcome is not None:
                self._log.close(self._outcome)
        finally:
            self._stdin.close()
            for connection in self._connections.values():
                connection.socket.close()
            if self._listener is not None:
                self._listener.close()
