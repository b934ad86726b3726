"""A run that is recorded in this process: its log, its state, its end.

Owns what functions, generators and recorded blocks have in common: the printer for their prints,
limits, stopping (requested, then forced), progress, the outcome. Does not know the producer of the
output, which sets `interrupt` and `force_stop`, and calls `finish` at its end.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from runcast import loggers
from runcast.errors import RunFailed, RunNotFound, RunStopped
from runcast.log import FileLogWriter
from runcast.model import Channel, Outcome, Reason, State
from runcast.own_thread import Background
from runcast.sources.capture import capturing, current, forget
from runcast.sources.console import Console
from runcast.sources.failures import error_report
from runcast.sources.masked_output import MaskedOutput
from runcast.sources.printer import Printer
from runcast.sources.run_context import is_guest
from runcast.sources.said import Said
from runcast.sources.spool import IN_MEMORY
from runcast.store.run_files import RunFiles
from runcast.supervisor.births import Begin
from runcast.supervisor.end_hooks import begin_hooks, hooks_of
from runcast.supervisor.limits import Limits
from runcast.supervisor.masked import masked_outcome
from runcast.supervisor.owner import owner_of
from runcast.sysio.forks import at_fork
from runcast.who import Who, who_in

if TYPE_CHECKING:
    from runcast.masking.masks import Masks

__all__ = ["Recording", "current_recording"]

LEFT_SECONDS = 5.0  # for programs that a run leaves behind to end, before its log is closed
STOP_GRACE = 5.0  # between the request to stop and force, where a limit stops a run
_LOST = "its process ended before it did"
_FORCE_SECONDS = 1.0  # after which a run that does not end is recorded as over all the same

_recordings: weakref.WeakSet[Recording] = weakref.WeakSet()


class Recording:
    """One run that this process records. Created from the folder of a run that has no name yet.

    Args:
        new: that folder.
        path: the name that it gets.
        request: what `run.json` has, and `tee`.
        masks: what its log and its record must not show; None for nothing.

    Attributes:
        id: of the run.
        stopping: why it is being stopped, if it is.
        raises: whether a stop is raised in its code at the next print; if not, `interrupt` alone stops it.
        interrupt: requests the producer of the output to end; called once.
        force_stop: ends it by force, as far as that is possible; called when the grace is over.
        loop: the event loop that its code runs in, if any.
        on_demand: called with the offset at which a reader waits for more.
    """

    def __init__(self, new: str, path: str, request: Mapping[str, Any], masks: Masks | None = None) -> None:
        store, self.id = os.path.split(path)
        self.stopping: Reason | None = None
        self._stopped_by: Who | None = None
        self._why_stopped = ""
        self.raises = True
        self.loop: object | None = None
        self.interrupt: Callable[[], object] = lambda: None
        self.force_stop: Callable[[], object] = lambda: None
        self.on_demand: Callable[[int], object] = lambda offset: None
        self._name = request["name"]
        self._shows_tracebacks = request["traceback"]
        self._console = Console() if request["tee"] else None
        self._masked = (
            None
            if masks is None
            else MaskedOutput(masks, self._append, lambda when: self._call_at(when, self._let_go_masked))
        )
        self._masks = masks
        self._failure: BaseException | None = None  # to be logged at the end
        self._cap = request["cap"]
        self._hooks = hooks_of(request)
        self._hears = request["idle_timeout"] is not None
        self._log: FileLogWriter | None = None
        self._notified: dict[int, None] = {}  # a set would take 152 bytes more
        self._lock = threading.RLock()
        self._ended = self._hurried = self._unsynced = False
        self._said: Said | None = None
        self._owner = owner_of(store, self)
        files = RunFiles(new)
        files.own(self._owner.name, self._owner.lock_fd)
        self._files = files.publish(path)
        self._begin = Begin()
        self._state: dict[str, Any] = {"pid": os.getpid(), **self._begin.state()}
        self._publish_state(State.RUNNING)
        append, spool = (self._append, path) if self._masked is None else (self._masked.append, IN_MEMORY)
        self.printer = Printer(append, self.check, spool)
        self.printer.owner = self
        _recordings.add(self)
        self._limits = Limits(request, self._files.watched, time.monotonic())
        self._watch_limits()

    @property
    def path(self) -> str:
        """Its folder."""
        return self._files.locate().path

    def _publish_state(self, state: State) -> None:
        self._state["state"] = state.value
        with contextlib.suppress(OSError):
            self._files.write_state(self._state)

    def _append(self, channel: Channel, data: bytes) -> None:
        log = self._log
        if log is None:
            log = self._log = FileLogWriter(self._files, cap_bytes=self._cap)
            self._files.reserve_outcome()  # only now: a generator without readers takes no space
        log.append(channel, data)
        if self._console is not None:
            self._console.write(channel, data)
        if self._hears:
            self._limits.heard(time.monotonic())
        if not self._unsynced:
            self._unsynced = True
            self._owner.syncer.note(self)

    def _let_go_masked(self) -> None:
        if self._masked is not None:
            self.printer.between(self._masked.expire)

    def append(self, channel: Channel, data: bytes) -> int:
        """Append bytes behind everything that was printed; return the tail offset."""
        thread = threading.get_ident()
        notified = thread in self._notified
        self._notified[thread] = None  # a stop must be raised in the run's own code, not here
        self.printer.write(channel, data)
        self.printer.flush()
        if not notified:
            self._notified.pop(thread, None)
        return 0 if self._log is None else self._log.tail

    def park(self) -> None:
        """Close the log's files until there is more output: a waiting run needs no descriptor."""
        self.printer.flush()
        if self._log is not None:
            self.printer.between(self._log.park)

    def check(self) -> None:
        """Raise `RunStopped` in the run's own code: once in each thread, so that cleanup may print."""
        if self.stopping is not None and self.raises and not self._ended and not is_guest.get():
            thread = threading.get_ident()
            if thread not in self._notified:
                self._notified[thread] = None
                raise RunStopped(f"run {self.id} is being stopped")

    def acknowledge_stop(self, thread: int | None = None) -> None:
        """Note that the code in a thread, this one by default, knows of the stop: it may print."""
        self._notified[threading.get_ident() if thread is None else thread] = None

    @contextlib.contextmanager
    def recording(self) -> Iterator[None]:
        """Make this the current run of the context, and capture its prints."""
        capture = capturing(self.printer)
        capture.__enter__()
        try:
            yield
        finally:
            # A generator or a coroutine may be closed in another context.
            with contextlib.suppress(ValueError):
                capture.__exit__(None, None, None)

    # -- requests from its owner

    def handle(self, request: dict[str, Any]) -> str | dict[str, Any] | None:
        """Handle a request: stop, signal, or produce output beyond the offset at which a reader waits."""
        operation = request["op"]
        if operation == "want":
            self.on_demand(int(request["offset"]))
        elif operation == "stop":
            self.stop(Reason.STOPPED, float(request.get("grace", STOP_GRACE)), who_in(request, "by"))
        elif operation == "signal":
            if int(request["signal"]) not in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL):
                return "it runs in a thread, which takes no signals: only stop and kill reach it"
            grace = 0 if request["signal"] == signal.SIGKILL else STOP_GRACE
            self.stop(Reason.STOPPED, grace, who_in(request, "by"))
        elif operation in ("progress", "note"):
            return self._say().handle(request)
        elif operation == "stdin":
            return "it reads no stdin: only commands do"
        else:
            return f"expected op stop, signal, progress, note or want, got {operation!r}"
        return None

    def _say(self) -> Said:
        with self._lock:
            self._said = self._said or Said(self._files, self._masks, self._call_at, self._place)
            return self._said

    def _place(self) -> tuple[int, int]:
        """Return the offset behind its output so far, and the number of the line there."""
        self.printer.flush()
        return (0, 1) if self._log is None else (self._log.tail, self._log.lines + 1)

    def stop(self, reason: Reason, grace: float, by: Who | None = None) -> None:
        """Request the run to end, and force it after the grace (seconds). Does not wait."""
        self._hurried = True
        with self._lock:
            if self._ended:
                return
            first = self.stopping is None
            if first:
                self.stopping, self._stopped_by = reason, by
            self._limits.end()
            if first:
                self._files.locate()
                self._publish_state(State.STOPPING)
        if first:
            self.interrupt()
        self._call_at(time.monotonic() + grace, self._force_stop)

    def _force_stop(self) -> None:
        if not self._ended:
            self._notified.clear()
            self.force_stop()
            self._call_at(time.monotonic() + _FORCE_SECONDS, self._give_up)

    def _give_up(self) -> None:
        self.finish(self.outcome(None, "its code does not end; a thread cannot be killed"))

    def shutdown(self) -> None:
        """Request the run to end, because the process does."""
        if self.stopping is None:
            self._why_stopped = "its process ended"
        self.stop(Reason.STOPPED, _FORCE_SECONDS)

    def mark_lost(self) -> None:
        """Record that the process ended before the run did."""
        self.finish(Outcome(Reason.LOST, message=_LOST, ended_at=self._begin.end()))

    def sync(self) -> None:
        """Sync the log so far to the disk."""
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
        """Have the owner call a method, unless this object is gone by then: it may be hours."""
        method_if_any = weakref.WeakMethod(method)

        def call() -> None:
            if (method := method_if_any()) is not None:
                method()

        self._owner.call_at(when, call)

    # -- progress

    def progress(self, value: dict[str, Any]) -> None:
        """Publish progress. Readers may miss values, but always see the last one."""
        self.check()
        if not self._ended:  # else it was given up, but its code continues
            self._say().progress(value)

    # -- the end

    def outcome(self, code: int | None, message: str = "", value: object = None) -> Outcome:
        """Return the outcome of a run that ends now with this exit code."""
        reason = self.stopping or Reason.EXITED
        by, why = self._stopped_by, message or self._why_stopped
        return Outcome(reason, code, message=why, value=value, ended_at=self._begin.end(), stopped_by=by)

    def failed(self, error: BaseException, *, skip: int = 1, raises: bool = False) -> Outcome:
        """Return the outcome of an error, and print its traceback to stderr if this run shows tracebacks.

        SystemExit has its usual meaning. Any other error is logged at the end, for the operator of this
        process.

        Args:
            error: the exception that ended the run.
            skip: how many frames of the traceback belong to runcast, and are omitted.
            raises: the caller raises the error, too, so it is not logged here.
        """
        if isinstance(error, RunStopped):
            return self.outcome(None)
        end = error_report(error, skip, self.id, shown=self._shows_tracebacks)
        if end.text:
            self._write_stderr(end.text)
        if not raises and not isinstance(error, SystemExit):
            self._failure = error
        return self.outcome(end.code, end.message)._replace(traceback=end.traceback)

    def _write_stderr(self, text: str) -> None:
        """Write to stderr, even if the run is being stopped."""
        self.acknowledge_stop()
        self.printer.write(Channel.STDERR, text)

    def finish(self, outcome: Outcome) -> None:
        """End the run, once: append the last output, set the outcome, close the log."""
        with self._lock:
            if self._ended:
                return
            self._ended = True
            self.interrupt = self.force_stop = lambda: None  # they keep the function and its arguments alive
            self.on_demand = lambda offset: None
        forget(self.printer)
        if self.printer.end() and not self._hurried:
            with contextlib.suppress(RuntimeError):  # no thread can be started: end it in this one
                name = f"end of {self.id}"
                Background(target=self._drain_leftovers, args=(outcome,), name=name).start()
                return
        self._close(outcome)

    def _drain_leftovers(self, outcome: Outcome) -> None:
        """Read the output of programs that the run left behind, as long as for a command."""
        self.printer.drain_leftovers(time.monotonic() + LEFT_SECONDS, lambda: self._hurried)
        self._close(outcome)

    def _close(self, outcome: Outcome) -> None:
        self.printer.close()
        if self._masked is not None:
            with contextlib.suppress(RuntimeError):  # an append is below us on the stack
                self.printer.between(self._masked.end)
        outcome = masked_outcome(self._masks, outcome)
        if self._said is not None:
            self._said.flush()
        failure, self._failure = self._failure, None
        if failure is not None and self._masks is None:
            loggers.error("runs", "run %s of %s failed", self.id, self._name, failure=failure)
        elif failure is not None:  # not as it is: reporters send its text, and the variables of its frames
            masked = RunFailed(self.id, outcome)
            named = self.id, self._name, outcome.traceback
            loggers.error("runs", "run %s of %s failed\n%s", *named, failure=masked)
        try:
            log = self._log or FileLogWriter(self._files, cap_bytes=self._cap)
            self._write_outcome(log, outcome._replace(dropped=log.dropped, truncated=log.truncated))
        except (OSError, RunNotFound) as error:  # must not break the code that was recorded
            gone = not self._files.locate().exists
            why = "its folder was removed while it went on" if gone else str(error)
            loggers.warning("runs", "run %s: its end could not be kept: %s", self.id, why)
        else:
            loggers.debug("runs", "run %s of %s ended: %s", self.id, self._name, outcome)
            if self._hooks:
                begin_hooks(self.path, self._hooks)
        finally:
            self._owner.forget(self)

    def _write_outcome(self, log: FileLogWriter, outcome: Outcome) -> None:
        try:
            log.set_outcome(outcome)
        except OSError as error:  # there is room for an outcome, but not for the returned value
            message = f"its value could not be kept: {(error.strerror or str(error)).lower()}"
            kept = outcome._replace(value=None, message=outcome.message or message, traceback="")
            self._files.write_outcome(kept)
        finally:
            log.close(outcome)

    def finish_soon(self, outcome: Outcome) -> None:
        """End the run without waiting for the disk: in a thread, while threads can be started."""
        try:
            Background(target=self.finish, args=(outcome,), name=f"end of {self.id}", daemon=False).start()
        except RuntimeError:  # the interpreter ends
            self.finish(outcome)


def current_recording() -> Recording | None:
    """Return the run that this code belongs to: the one that captures its prints, unless it has ended."""
    recording = getattr(current.get(), "owner", None)
    return recording if isinstance(recording, Recording) and not recording._ended else None


def _forget() -> None:
    """Drop all recordings in a forked child: they belong to the parent, with their descriptors."""
    for recording in list(_recordings):
        recording._ended = True
        recording._log = None


at_fork(_forget)
