"""What becomes of runs in processes of their own, logged by the process that started them.

Owns one thread, which watches the runs that this process started until they have ended. Nothing waits
for this thread: a start only puts the run's folder into a queue. It reads one small file per run, once
a second at most.
"""

from __future__ import annotations

import queue
import threading
import time
from contextvars import Context
from typing import NamedTuple, Protocol

from runcast import loggers
from runcast.errors import RunFailed, StartFailed
from runcast.model import Reason
from runcast.own_thread import Background, begin
from runcast.store.run_files import RunFiles
from runcast.sysio.forks import at_fork

__all__ = ["look_after", "look_after_run"]

_FIRST_LOOK = 0.2  # seconds: by then nearly every command runs, and needs no further check
_LOOK_EVERY = 1.0
_LOOK_AT_COMMANDS = 5.0  # that run: what is left to log of them is less urgent


class _Looked(Protocol):
    """What is looked at until it needs that no longer."""

    def look(self) -> float | None:
        """Return after how many seconds to look again, None for never."""


class _StartedRun(NamedTuple):
    path: str
    name: str
    is_call: bool  # of a function; else it is a command

    def look(self) -> float | None:
        """Log how it ended, if it has; return after how many seconds to look again, None for never."""
        directory = RunFiles(self.path)
        outcome = directory.outcome()
        if outcome is None:
            if not directory.exists:
                return None
            return _LOOK_EVERY if self.is_call or "pid" not in directory.state() else _LOOK_AT_COMMANDS
        run_id = directory.id
        named = run_id, self.name
        if outcome.reason is Reason.FAILED_TO_START:
            failure = StartFailed(run_id, outcome)
            loggers.error("runs", "run %s of %s could not be started", *named, failure=failure)
        elif outcome.reason is Reason.LOST:
            loggers.warning_once("runs", "run %s is lost: %s", run_id, outcome.message)
        elif self.is_call and outcome.traceback:
            failed = RunFailed(run_id, outcome)
            loggers.error("runs", "run %s of %s failed\n%s", *named, outcome.traceback, failure=failed)
        if outcome.dropped:
            loggers.warning(
                "runs", "run %s of %s: there was no room for %s bytes of its output", *named, outcome.dropped
            )
        loggers.debug("runs", "run %s of %s ended: %s", *named, outcome)
        return None


_new: queue.SimpleQueue[_Looked] = queue.SimpleQueue()
_thread: threading.Thread | None = None
_lock = threading.Lock()


def look_after(path: str, name: str, *, is_call: bool) -> None:
    """Have the end of a run that was just started logged. Does not wait.

    Args:
        path: its folder.
        name: for people.
        is_call: it calls a function; else it is a command.
    """
    look_after_run(_StartedRun(path, name, is_call))


def look_after_run(run: _Looked) -> None:
    """Have something looked at, in the thread that does so. Does not wait."""
    global _thread
    _new.put(run)
    if _thread is None:
        with _lock:
            if _thread is None:
                thread = Background(target=_look, name="runcast failures")
                try:
                    Context().run(begin, thread)
                except Exception:  # no thread can be started: the next start tries again
                    return
                _thread = thread


def _look() -> None:
    runs: list[tuple[float, _Looked]] = []
    while True:
        now = time.monotonic()
        due = min((at for at, _ in runs), default=None)
        try:
            runs.append((now + _FIRST_LOOK, _new.get(timeout=None if due is None else max(due - now, 0))))
            continue
        except queue.Empty:
            pass
        now = time.monotonic()
        still = []
        for at, run in runs:
            if at > now:
                still.append((at, run))
            elif (again := run.look()) is not None:
                still.append((now + again, run))
        runs = still


def _forget() -> None:
    """Drop thread and queue in a forked child: they belong to the parent."""
    global _thread, _new, _lock
    _thread, _new, _lock = None, queue.SimpleQueue(), threading.Lock()


at_fork(_forget)
