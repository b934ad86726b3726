"""A run that is recorded in this process: its log, its state, its end.

Owns what functions, generators and recorded blocks have in common: the printer that their prints
go to, limits, stopping (asked for, then insisted upon), progress, the outcome. Does not know what
produces the output: that sets `interrupt` and `insist`, and calls `finish` at its end.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time
import traceback
import weakref
from collections.abc import Callable, Iterator
from typing import Any

from runcast.errors import RunStopped
from runcast.log import FileLogWriter, RunDirectory
from runcast.model import Channel, Outcome, Reason, State
from runcast.sources.capture import capturing, current
from runcast.sources.printer import Printer
from runcast.supervisor.limits import Limits
from runcast.supervisor.owner import owner_of
from runcast.sysio import parse_object

__all__ = ["PROGRESS_SECONDS", "Recording", "as_value", "current_recording", "ending"]

STOP_GRACE = 5.0  # between asking and insisting, where a limit stops a run
_INSIST_SECONDS = 1.0  # after which a run that will not end is said to be over all the same
PROGRESS_SECONDS = 0.05  # progress is written at most so often; the last is always written
_VALUE_BYTES = 1024 * 1024

_recordings: weakref.WeakSet[Recording] = weakref.WeakSet()


class Recording:
    """One run that this process records. Made from the folder of a run that has no name yet.

    Attributes:
        id: of the run.
        path: its folder.
        stopping: why it is being stopped, if it is.
        raises: whether a stop is raised in its code at the next print; else `interrupt` is all there is.
        interrupt: asks what produces the output to end; called once.
        insist: makes it end, as far as that is possible; called when the grace is over.
        loop: the event loop that its code runs in, if it is one's.
        wanted: told the offset at which a reader waits for more.
    """

    def __init__(self, new: str, path: str, asked: dict[str, Any]) -> None:
        store, self.id = os.path.split(path)
        self.path = path
        self.stopping: Reason | None = None
        self.raises = True
        self.loop: object | None = None
        self.interrupt: Callable[[], object] = lambda: None
        self.insist: Callable[[], object] = lambda: None
        self.wanted: Callable[[int], object] = lambda offset: None
        self._cap = asked["cap"]
        self._hears = asked["idle_timeout"] is not None
        self._unsynced = False
        self._log: FileLogWriter | None = None
        self._told: set[int] = set()
        self._lock = threading.RLock()
        self._ended = False
        self._progress: dict[str, Any] | None = None
        self._progress_at = 0.0
        self._progress_late = False
        self._owner = owner_of(store, self)
        directory = RunDirectory(new)
        directory.own(self._owner.name)
        os.rename(new, path)
        self.directory = directory.moved(path)
        self._state: dict[str, Any] = {"pid": os.getpid(), "started_at": time.time()}
        self._tell_state(State.RUNNING)
        self.printer = Printer(self._append, self.check)
        self.printer.owner = self
        _recordings.add(self)
        self._limits = Limits(asked, self.directory.watched, time.monotonic())
        self._watch_limits()

    def _tell_state(self, state: State) -> None:
        self._state["state"] = state.value
        with contextlib.suppress(OSError):
            self.directory.write_state(self._state)

    def _append(self, channel: Channel, data: bytes) -> None:
        log = self._log
        if log is None:
            log = self._log = FileLogWriter(self.directory, cap_bytes=self._cap)
            self.directory.reserve_outcome()  # not before: a generator that nobody reads takes no room
        log.append(channel, data)
        if self._hears:
            self._limits.heard(time.monotonic())
        if not self._unsynced:
            self._unsynced = True
            self._owner.syncer.note(self)

    def append(self, channel: Channel, data: bytes) -> int:
        """Append bytes behind everything that was printed; return the tail offset."""
        thread = threading.get_ident()
        told = thread in self._told
        self._told.add(thread)  # a stop is for the run's own code, not for ours
        self.printer.write(channel, data)
        self.printer.flush()
        if not told:
            self._told.discard(thread)
        return 0 if self._log is None else self._log.tail

    def park(self) -> None:
        """Close the log's files until there is more: who waits needs no descriptor."""
        self.printer.flush()
        if self._log is not None:
            self.printer.between(self._log.park)

    def check(self) -> None:
        """Raise what stops the run's own code: once in each of its threads, so that cleaning up may print."""
        if self.stopping is not None and self.raises and not self._ended:
            thread = threading.get_ident()
            if thread not in self._told:
                self._told.add(thread)
                raise RunStopped(f"run {self.id} is being stopped")

    def told(self) -> None:
        """Note that this thread knows of the stop: nothing more is raised in it."""
        self._told.add(threading.get_ident())

    @contextlib.contextmanager
    def recording(self) -> Iterator[None]:
        """Have this context's prints go to the run, and be the current run."""
        capture = capturing(self.printer)
        capture.__enter__()
        try:
            yield
        finally:
            # Another context where a generator or a coroutine is cleaned up by somebody else.
            with contextlib.suppress(ValueError):
                capture.__exit__(None, None, None)

    # -- what its owner asks

    def handle(self, request: dict[str, Any]) -> str | None:
        """Do what is asked: stop, signal, or go on to an offset that somebody waits at."""
        operation = request["op"]
        if operation == "want":
            self.wanted(int(request["offset"]))
        elif operation == "stop":
            self.stop(Reason.STOPPED, float(request.get("grace", STOP_GRACE)))
        elif operation == "signal":
            if int(request["signal"]) not in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL):
                return "it runs in a thread, which takes no signals: only stop and kill reach it"
            self.stop(Reason.STOPPED, 0 if request["signal"] == signal.SIGKILL else STOP_GRACE)
        elif operation == "stdin":
            return "it reads no stdin: only commands do"
        else:
            return f"expected op stop, signal or want, got {operation!r}"
        return None

    def stop(self, reason: Reason, grace: float) -> None:
        """Ask the run to end, and insist when the grace (seconds) is over. Does not wait."""
        with self._lock:
            if self._ended:
                return
            first = self.stopping is None
            self.stopping = self.stopping or reason
            self._limits.end()
            if first:
                self._tell_state(State.STOPPING)
        if first:
            self.interrupt()
        self._call_at(time.monotonic() + grace, self._insist)

    def _insist(self) -> None:
        if not self._ended:
            self._told.clear()
            self.insist()
            self._call_at(time.monotonic() + _INSIST_SECONDS, self._give_up)

    def _give_up(self) -> None:
        self.finish(self.outcome(None, "its code does not end; a thread cannot be killed"))

    def leave(self) -> None:
        """The process ends: ask the run to end."""
        self.stop(Reason.STOPPED, _INSIST_SECONDS)

    def lose(self) -> None:
        """The process ends, and the run has not."""
        self.finish(Outcome(Reason.LOST, message="its process ended before it did", ended_at=time.time()))

    def sync(self) -> None:
        """Have the log so far survive a power loss."""
        self._unsynced = False
        if self._log is not None and not self._ended:
            self._log.sync()

    def _watch_limits(self) -> None:
        if self._ended or self.stopping is not None:
            return
        now = time.monotonic()
        reason = self._limits.exceeded(now)
        if reason is not None:
            self.stop(reason, STOP_GRACE)
        elif (due := self._limits.due()) is not None:
            self._call_at(max(due, now + 0.001), self._watch_limits)

    def _call_at(self, when: float, method: Callable[[], object]) -> None:
        """Have the owner call a method of ours, unless we are gone by then: it may be hours."""
        method_if_any = weakref.WeakMethod(method)

        def call() -> None:
            if (method := method_if_any()) is not None:
                method()

        self._owner.call_at(when, call)

    # -- progress

    def progress(self, value: dict[str, Any]) -> None:
        """Note how far it is; readers see the latest, the last for certain."""
        self.check()
        with self._lock:
            if self._ended:  # it was given up, and its code goes on
                return
            self._progress = value
            now = time.monotonic()
            if now - self._progress_at >= PROGRESS_SECONDS:
                self._write_progress()
            elif not self._progress_late:
                self._progress_late = True
                self._call_at(self._progress_at + PROGRESS_SECONDS, self._write_progress)

    def _write_progress(self) -> None:
        with self._lock:
            self._progress_late = False
            value, self._progress = self._progress, None
            if value is not None:
                self._progress_at = time.monotonic()
                self.directory.write_progress(value)

    # -- the end

    def outcome(self, code: int | None, message: str = "", value: object = None) -> Outcome:
        """Return the outcome of a run that ends now with this exit code."""
        reason = self.stopping or Reason.EXITED
        return Outcome(reason, code, message=message, value=value, ended_at=time.time())

    def failed(self, error: BaseException, *, skip: int = 1) -> Outcome:
        """Return the outcome of an error, its traceback on stderr (`skip` frames of ours left out).

        SystemExit means what it means to an interpreter.
        """
        if isinstance(error, RunStopped):
            return self.outcome(None)
        code, said, message = ending(error, skip)
        if said:
            self._say(said)
        return self.outcome(code, message)

    def _say(self, text: str) -> None:
        """Write to stderr, also where the run is being stopped."""
        self.told()
        self.printer.write(Channel.STDERR, text)

    def finish(self, outcome: Outcome) -> None:
        """End the run, once: the last words, then the outcome, then nothing more."""
        with self._lock:
            if self._ended:
                return
            self._ended = True
            self.interrupt = self.insist = lambda: None  # they hold on to what the run was made of
            self.wanted = lambda offset: None
        self.printer.close()
        self._write_progress()
        try:
            log = self._log or FileLogWriter(self.directory, cap_bytes=self._cap)
            self._tell(log, outcome._replace(dropped=log.dropped, truncated=log.truncated))
        finally:
            self._owner.forget(self)

    def _tell(self, log: FileLogWriter, outcome: Outcome) -> None:
        try:
            log.tell(outcome)
        except OSError as error:  # there is room for an outcome, but not for what was returned
            message = f"its value could not be kept: {(error.strerror or str(error)).lower()}"
            self.directory.write_outcome(outcome._replace(value=None, message=outcome.message or message))
        finally:
            log.close(outcome)

    def finish_soon(self, outcome: Outcome) -> None:
        """End the run without waiting for the disk: in a thread, while threads can be started."""
        try:
            threading.Thread(target=self.finish, args=(outcome,), name=f"end of {self.id}").start()
        except RuntimeError:  # the interpreter ends
            self.finish(outcome)


def ending(error: BaseException, skip: int) -> tuple[int, str, str]:
    """Return what an interpreter makes of an error that nobody caught: exit code, what it says, the gist.

    `skip` frames of the traceback are ours, and left out.
    """
    if isinstance(error, SystemExit):
        if error.code is None or isinstance(error.code, int):
            return (error.code or 0) & 0xFF, "", ""
        return 1, f"{error.code}\n", ""
    trace = error.__traceback__
    for _ in range(skip):
        trace = trace.tb_next if trace is not None and trace.tb_next is not None else trace
    said = "".join(traceback.format_exception(type(error), error, trace))
    return 1, said, "".join(traceback.format_exception_only(error)).strip()[:500]


def current_recording() -> Recording | None:
    """Return the run that this code belongs to: the one that it prints to, if that goes on."""
    recording = getattr(current.get(), "owner", None)
    return recording if isinstance(recording, Recording) and not recording._ended else None


def _forget() -> None:
    """In a forked child: the runs are its parent's, and so are the descriptors that they use."""
    for recording in list(_recordings):
        recording._ended = True
        recording._log = None


os.register_at_fork(after_in_child=_forget)


def as_value(value: object) -> object:
    """Return what a function returned as JSON values; what is none, or too large, as its `repr`."""
    try:
        text = json.dumps(value, allow_nan=False)
    except Exception:  # also what the value's own methods raise
        text = ""
    if text and len(text) <= _VALUE_BYTES:
        with contextlib.suppress(ValueError):  # nested so deep that nobody reads it back
            return parse_object(b'{"value":' + text.encode() + b"}")["value"]
    try:
        return repr(value)[: _VALUE_BYTES // 4]
    except Exception as error:
        return f"<{type(value).__name__} whose repr fails: {error!r}>"
