"""Supervise one run: from the lock, which the caller holds, to the outcome.

Owns the order of its life: it listens, waits for its slot in a queue, spawns the command, and
stays until the log is closed. So a run that waits can already be seen and stopped. The parts are
elsewhere: loop.py, queue.py, control_server.py, stdio.py, stdin.py, terminal.py, pump.py, limits.py,
ending.py. Knows no readers.
"""

from __future__ import annotations

import _thread
import contextlib
import errno
import os
import signal
import time
from collections.abc import Callable, Mapping
from typing import Any

from runcast.errors import FileDamaged
from runcast.log import CAP_BYTES, FileLogWriter
from runcast.model import CELLS_MOST, Outcome, Reason, State, TerminalSize, Waiting
from runcast.shortages import shortage
from runcast.store.run_files import RunFiles
from runcast.supervisor.awaited import Input, PipeInput
from runcast.supervisor.births import clock
from runcast.supervisor.control import UnixSocket, listen_at
from runcast.supervisor.control_server import ControlServer
from runcast.supervisor.ending import KILL_SECONDS, NO_CAUSE, NOT_STARTED, STOP_GRACE, Cause, Ending
from runcast.supervisor.limits import Limits
from runcast.supervisor.loop import CALM, Loop
from runcast.supervisor.masked import mask_pipe, masked_outcome, masked_progress, masks_in
from runcast.supervisor.prepared import Prepared
from runcast.supervisor.progress import OutputProgress
from runcast.supervisor.pump import Pipe, Pump
from runcast.supervisor.questions import Questions
from runcast.supervisor.queue import Place
from runcast.supervisor.requests import Requests
from runcast.supervisor.spawn import CannotStart, NoRoom, spawn
from runcast.supervisor.stdin import StdinWriter
from runcast.supervisor.stdio import Stdio
from runcast.supervisor.tree import Tree
from runcast.supervisor.words import Notes, progress_of

__all__ = ["Supervision"]

_SYNC_SECONDS = 1.0  # between syncs of the log, while there is output


class Supervision:
    """One run under supervision.

    Args:
        request: `id`, `argv`, `env`, `cwd`; `stdin` (null, pipe or given); `tty`, `columns`, `rows`;
            `timeout`, `idle_timeout`, `stop_unwatched`, `drain` in seconds; `cap` in bytes; `secrets`, what
            output and outcome must not show; `result`, where a function leaves what it returned; `queues`,
            the name of each that it needs a slot of, in order, and how many may have one; `replace`.
        directory: of the run, its lock held.
        fds: descriptors that came with the request, all of which are the caller's to close but `stdin`:
            `stdin`, which the command gets; `lifeline`, whose other end is closed when the owner of the
            run is gone.
        prepared: this process.
    """

    def __init__(
        self,
        request: Mapping[str, Any],
        directory: RunFiles,
        fds: dict[str, int],
        prepared: Prepared,
    ) -> None:
        self._request, self._directory, self._fds = request, directory, fds
        self._prepared = prepared
        # Its log is new: another writer would have had to take the lock, and to find the folder.
        self._log = FileLogWriter(directory, cap_bytes=request.get("cap", CAP_BYTES), new=True)
        self._loop = Loop()
        self._stdin = StdinWriter(self._loop)
        self._stdio = Stdio()
        self._pump = Pump(self._log, self._loop.forget)
        self._progress = OutputProgress(directory.write_progress)
        self._masks = masks_in(request)
        self._notes = Notes(directory, self._masks, lambda: (self._log.tail, self._log.lines + 1))
        self._requests = Requests(
            self._stdin,
            resize=self._resize,
            stop=lambda number, grace, now, cause: self._stop(Reason.STOPPED, number, grace, now, cause),
            signal=self._signal,
            look=self._look,
            word=self._take_word,
        )
        self._control: ControlServer | None = None
        self._tree: Tree | None = None
        self._ending: Ending | None = None
        self._outcome: Outcome | None = None  # of a run without a command
        self._stopped: Reason | None = None  # before there was a command
        self._cause = NO_CAUSE
        self._places: list[Place] = []
        self._woken = self._calm = False  # to look for a slot; whether all that is due knows of the output
        self._state: dict[str, Any] = {"supervisor": os.getpid()}
        self.on_state: Callable[[Mapping[str, Any]], object] = lambda state: None  # called with each

    def hear_once(self, fd: int, call: Callable[[], object]) -> None:
        """Call something, once, when a descriptor is readable or hung up. It is the caller's to close."""

        def heard(_events: int, _now: float) -> None:
            self._loop.forget(fd)
            call()

        self._loop.hear(fd, heard)

    def run(self, taken: Callable[[], object] = lambda: None) -> None:
        """Take the run through its life; return when its log is closed.

        Args:
            taken: called once there is something to lose by the death of this process.

        Raises:
            FileNotFoundError: the folder was removed, so there is no place for an outcome.
            OSError: the outcome cannot be written.
        """
        try:
            if self._open() and self._wait_for_slot(taken) and self._spawn(taken):
                self._directory.reserve_outcome()
                self._supervise()
        except BaseException:  # a run without a supervisor must not go on
            if self._tree is not None:
                self._tree.kill(KILL_SECONDS)
            raise
        finally:
            self._close()
        try:
            os.unlink(self._directory.supervisor_path)
        except OSError:
            pass

    def _open(self) -> bool:
        """Open the command's descriptors and listen; return False if it cannot be started."""
        try:
            self._stdio.open(self._stdin, self._fds.pop("stdin", None), self._request)
        except OSError as error:
            self._failed(NoRoom(self._request["argv"][0], error))
            return False
        try:
            self._control = ControlServer(
                self._listen(), self._loop, self._requests.handle, self._stdin.forget
            )
        except OSError as error:  # a file system without sockets: the run cannot be stopped
            if shortage(error) is not None and error.errno not in (errno.ENOSPC, errno.EDQUOT):
                self._failed(NoRoom(self._request["argv"][0], error))
                return False
        if "lifeline" in self._fds:  # when it is hung up the owner, and with it every reader, is gone
            self.hear_once(
                self._fds["lifeline"],
                lambda: self._stop(Reason.STOPPED, signal.SIGKILL, 0, time.monotonic()),
            )
        return True

    def _listen(self) -> UnixSocket:
        listener, directory = self._prepared.listener(), self._directory
        try:
            try:
                listen_at(listener, directory.supervisor_path)
            except FileNotFoundError:  # the store was moved since this process gave the folder its name
                directory.located(lambda: listen_at(listener, directory.supervisor_path))
        except OSError:
            listener.close()
            raise
        return listener

    def _wait_for_slot(self, taken: Callable[[], object]) -> bool:
        """Wait until the command may be spawned; return False if the run was stopped before.

        The limits of a run do not count while it waits.
        """
        queues = self._request.get("queues") or ()
        if queues:
            taken()
        replace = self._request.get("replace") is True
        self._places = [Place(self._directory, name, most, replace=replace) for name, most in queues]
        return all(map(self._wait_in, self._places))

    def _wait_in(self, place: Place) -> bool:
        limits: Limits | None = None
        now = look_at = time.monotonic()
        while self._stopped is None:
            if now >= look_at or self._woken:
                self._woken = False
                try:
                    look = place.look()
                except (OSError, FileDamaged) as error:
                    self._failed(CannotStart(125, f"it can have no place in its queue: {error}"))
                    return False
                if look.slot:
                    self._state.pop("place", None)
                    return True
                if look.replaced_by is not None:
                    cause = Cause(f"run {look.replaced_by} replaced it")
                    self._stop(Reason.STOPPED, signal.SIGTERM, 0, now, cause)
                    break
                self._tell_place(look.before + 1)
                look_at = now + look.again
            if limits is None:
                self._directory.reserve_outcome()
                limits = Limits({}, self._directory.watched, now, lambda: self._directory.removed)
            due = limits.due()
            now = self._loop.turn(look_at if due is None else min(due, look_at), now)
            self._stopped = self._stopped or limits.exceeded(now)
        assert self._stopped is not None  # how else the loop ends
        self._outcome = self._cause.not_started(self._stopped)
        self._stdin.refuse(NOT_STARTED)
        self._stdio.close()
        return False

    def _spawn(self, taken: Callable[[], object]) -> bool:
        """Spawn the command; return False if it cannot be started."""
        request = self._request
        before = clock()
        self._prepared.oom.begin(request["env"])
        try:
            self._tree = spawn(request, self._stdio.actions, make_room=self._prepared.make_room)
        except CannotStart as error:
            self._failed(error)
            return False
        finally:
            self._prepared.oom.begun()
        taken()  # before the pid is published
        self._stdio.spawned()
        for pipe in self._stdio.pipes:
            self._read(pipe)
        self._state |= {"pid": self._tree.pid, "birth": [before, clock()], "started_at": time.time()}
        self._tell_state(State.RUNNING)
        self._ending = Ending(
            request,
            self._directory,
            self._log,
            self._tree,
            self._pump,
            self._prepared.oom,
            lambda: self._tell_state(State.STOPPING),
            self._masks,
        )
        return True

    def _read(self, pipe: Pipe) -> None:
        if "result" not in self._request:  # a function publishes its progress itself
            pipe.watches.append(self._progress.watch())
        if pipe is self._stdio.terminal and self._request.get("tty") is True:
            pipe.watches.append(self._stdio.terminal.answered(self._stdin.reply))
        mask_pipe(self._masks, pipe, terminal=pipe is self._stdio.terminal)
        self._pump.add(pipe)
        progress = self._progress
        self._loop.hear(
            pipe.fd,
            lambda _, now: self._pump.take(pipe, now) and self._calm and progress.due() is None and CALM,
        )

    def _failed(self, error: CannotStart) -> None:
        self._stdio.close()  # at the limit of descriptors the outcome needs some of them
        self._stdin.close()
        outcome = Outcome(Reason.FAILED_TO_START, error.code, message=str(error), ended_at=time.time())
        self._outcome = masked_outcome(self._masks, outcome)

    def _supervise(self) -> None:
        """Stay until the log can be closed."""
        assert self._ending is not None
        ending, pump = self._ending, self._pump
        self._loop.hear(self._prepared.exits, self._reap)
        now = time.monotonic()
        limits = Limits(self._request, self._directory.watched, now, lambda: self._directory.removed)
        questions = Questions(self._input, pump.last_line, self._tell_waiting, now)
        heard = sent = 0  # bytes of output, and of input, that are known to both
        sync_at, synced = now + _SYNC_SECONDS, -1  # once without output, too: for run.json
        while not ending.over(now):
            times = [pump.due(), limits.due(), ending.due(), self._progress.due()]
            times += [None if ending.outcome else questions.due(), sync_at if pump.bytes != synced else None]
            now = self._loop.turn(min((time for time in times if time is not None), default=None), now)
            pump.expire(now)
            self._progress.expire(now)
            if self._stdin.bytes != sent:
                sent = self._stdin.bytes
                questions.heard(now)
            if pump.bytes != heard:
                limits.heard(pump.moved_at)
                questions.heard(pump.moved_at)
            if now >= sync_at and pump.bytes != synced:
                sync_at, synced = now + _SYNC_SECONDS, pump.bytes
                self._sync()
            self._calm, heard = pump.bytes not in (heard, synced), pump.bytes
            if ending.begun:
                limits.end()
            elif (reason := limits.exceeded(now)) is not None:
                ending.stop(reason, signal.SIGTERM, STOP_GRACE, now)
            ending.expire(now)
            if ending.outcome is None:
                questions.expire(now)

    def _input(self) -> Input | None:
        """Return what the command reads, while more may be sent to it."""
        if self._stdin.fd is None:
            return None
        return PipeInput(self._stdin.fd) if self._request.get("tty") is not True else self._stdio.terminal

    def _reap(self, _events: int, now: float) -> None:
        assert self._ending is not None
        try:
            os.read(self._prepared.exits, 4096)
        except BlockingIOError:
            pass
        self._ending.reap(now)

    def _sync(self) -> None:
        """Have the log so far survive a power loss."""
        try:
            _thread.start_new_thread(self._log.sync, ())  # the disk may take its time, the pipes may not
        except RuntimeError:  # the run met its limit of processes: then the pipes wait
            self._log.sync()

    def _tell_waiting(self, waiting: Waiting | None) -> None:
        self._state["waiting"] = waiting and waiting.to_json()
        self._publish()

    def _tell_place(self, place: int) -> None:
        if self._state.get("place") != place:
            self._state["place"] = place
            self._tell_state(State.QUEUED)

    def _tell_state(self, state: State) -> None:
        self._state["state"] = state.value
        self._publish()
        self.on_state(self._state)

    def _publish(self) -> None:
        try:
            self._directory.write_state(self._state)
        except OSError:  # a full disk must not keep a run from being stopped
            pass

    def _signal(self, number: int) -> bool:
        """Signal the run's process group; return False if there is no process."""
        if self._tree is not None:
            self._tree.signal(number)
        return self._tree is not None

    def _look(self) -> None:
        self._woken = True

    def _write_all(self, now: float) -> bool:
        """Append what the command wrote so far; return False if there is none."""
        if self._tree is not None:
            self._pump.drain(now)
            self._pump.flush_all()
        return self._tree is not None

    def _take_word(self, request: dict[str, Any], now: float) -> None:
        if request["op"] == "progress":
            self._progress.take(masked_progress(self._masks, progress_of(request)))
            return
        self._write_all(now)
        self._notes.add(request.get("text"))

    def _resize(self, columns: int, rows: int, now: float) -> dict[str, Any]:
        """Give the terminal another size, recorded behind all that was written for the old one."""
        terminal = self._stdio.terminal
        if terminal is None or not 0 < columns <= CELLS_MOST or not 0 < rows <= CELLS_MOST:
            return {"error": f"expected a terminal and 1 to {CELLS_MOST} cells, got {columns}x{rows}"}
        if self._write_all(now) and terminal.fd not in self._pump.pipes:
            return {"error": "its terminal is closed"}
        if (columns, rows) != terminal.size:
            with contextlib.suppress(OSError):  # a full disk must not keep it from its size
                self._directory.add_size(TerminalSize(self._log.tail, columns, rows, time.time()))
            terminal.resize(columns, rows)
            if self._tree is not None and self._request["tty"] == "stdout":  # the kernel signals nobody
                self._tree.signal(signal.SIGWINCH)
        return {"ok": True}

    def _stop(self, reason: Reason, number: int, grace: float, now: float, cause: Cause = NO_CAUSE) -> None:
        if self._ending is None:  # no command: nothing needs a signal, or a grace
            if self._stopped is None:
                self._stopped, self._cause = reason, cause
        else:
            self._ending.stop(reason, number, grace, now, cause)

    def _close(self) -> None:
        """Close the log, which publishes the end, and then whatever else is open."""
        self._pump.close_all()
        self._progress.flush()
        if self._ending is not None:
            self._ending.keep_files(self._loop)
        outcome = self._outcome if self._ending is None else self._ending.outcome
        try:
            if outcome is not None:
                self._log.close(outcome)
        finally:
            for place in self._places:
                place.leave()
            self._stdin.close()
            if self._tree is not None:
                self._tree.close()
            if self._control is not None:
                self._control.close()
