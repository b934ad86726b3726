"""How a run ends: it is stopped or exits, its pipes are read empty, its outcome is known.

Owns that order and its deadlines: the signal, the grace and the kill; the exit of the first
process; and where a grandchild still holds a pipe, the outcome that is written at once while the
log stays open for a while. Knows neither clients nor the loop. Times are monotonic seconds.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from runcast.json_objects import read_json
from runcast.log import LogWriter
from runcast.model import Channel, Outcome, Reason
from runcast.store.run_files import RunFiles
from runcast.supervisor.births import Begin
from runcast.supervisor.loop import Loop
from runcast.supervisor.masked import masked_outcome
from runcast.supervisor.oom import OUT_OF_MEMORY, OomWatch
from runcast.supervisor.pump import Pump
from runcast.supervisor.tree import Tree
from runcast.who import Who, who_in

if TYPE_CHECKING:
    from runcast.masking.masks import Masks

__all__ = ["NOT_STARTED", "NO_CAUSE", "STOP_GRACE", "Cause", "Ending"]

DRAIN_SECONDS = 5.0  # how long the log stays open for grandchildren that hold a pipe
STOP_GRACE = 5.0  # between a timeout's SIGTERM and its SIGKILL
NOT_STARTED = "its command was not started"
KILL_SECONDS = 10.0  # a process in uninterruptible sleep (state D) may not die; it is named then


class Cause(NamedTuple):
    """What is known of a stop.

    Attributes:
        why: it is, where somebody said that.
        by: who had the run stopped; None where nobody had.
    """

    why: str = ""
    by: Who | None = None

    @classmethod
    def of(cls, request: Mapping[str, Any]) -> Cause:
        """Return what a request of the control socket says."""
        return cls(str(request.get("why", "")), who_in(request, "by"))

    def not_started(self, reason: Reason) -> Outcome:
        """Return the outcome of a run that was stopped before it had a command."""
        message = f"{NOT_STARTED}: {self.why}" if self.why else NOT_STARTED
        return Outcome(reason, message=message, ended_at=time.time(), stopped_by=self.by)


NO_CAUSE = Cause()


class Ending:
    """The end of one run whose command was spawned.

    Args:
        request: `drain` in seconds; `result`, the file in which a function leaves what it returned;
            `artifacts`, patterns of files to keep.
        directory: of the run.
        log: gets the outcome as soon as it is known, if it is not closed at the same moment.
        tree: the processes of the run.
        pump: has the pipes that are read empty.
        oom: what this process knows of memory running out.
        stopping: called when the run begins to be stopped.
        masks: what the outcome must not show.

    Attributes:
        reason: why it is being stopped, if it is.
        outcome: how it ended; None while its first process lives.
        hurried: whether it was stopped once more behind that, while its files are kept.
    """

    def __init__(
        self,
        request: Mapping[str, Any],
        directory: RunFiles,
        log: LogWriter,
        tree: Tree,
        pump: Pump,
        oom: OomWatch,
        stopping: Callable[[], object],
        masks: Masks | None = None,
    ) -> None:
        self.reason: Reason | None = None
        self.outcome: Outcome | None = None
        self.hurried = False
        self._request, self._directory = request, directory
        self._log, self._tree, self._pump, self._oom = log, tree, pump, oom
        self._stopping, self._masks = stopping, masks
        if tree.group is not None:
            oom.follow(tree.group.memory)
        self._cause = NO_CAUSE  # of the stop
        self._begin = Begin()
        self._kill_at: float | None = None
        self._drain_until: float | None = None

    @property
    def begun(self) -> bool:
        """Whether it is being stopped or has exited."""
        return self.reason is not None or self.outcome is not None

    def due(self) -> float | None:
        """Return when `expire` has something to do."""
        if self._kill_at is None or self._drain_until is None:
            return self._kill_at if self._drain_until is None else self._drain_until
        return min(self._kill_at, self._drain_until)

    def over(self, now: float) -> bool:
        """Return whether the log can be closed."""
        if self.outcome is None or self._kill_at is not None:
            return False
        return not self._pump.pipes or (self._drain_until is not None and now >= self._drain_until)

    def stop(self, reason: Reason, number: int, grace: float, now: float, cause: Cause = NO_CAUSE) -> None:
        """Signal the run, and kill whatever is left of it when the grace (seconds) is over."""
        if self.outcome is not None:
            self.hurried = True
        if self.outcome is None:
            if self.reason is None:
                self.reason, self._cause = reason, cause
            self._stopping()
        elif self._tree.collect():  # it ended in this very moment: there is nothing to wait for
            return
        if grace > 0:
            self._tree.signal(number)
        self._kill_at = now + grace if self._kill_at is None else min(self._kill_at, now + grace)

    def expire(self, now: float) -> None:
        """Kill what is left of the run if the grace is over."""
        if self._kill_at is None or now < self._kill_at:
            return
        self._kill_at = None
        if not self._tree.kill(KILL_SECONDS):
            self._log.append(Channel.STDERR, b"runcast: some processes of this run cannot be killed\n")
        if self.outcome is None:
            self._exited(now)
        else:  # stopped while the log was open for those that the first process left behind
            self._pump.drain(now)
            self._drain_until = now

    def reap(self, now: float) -> None:
        """Collect the processes that have ended; a stopped run ends with the last, others with the first."""
        had_status = self._tree.status is not None
        nothing_left = self._tree.collect()
        if self._tree.status is None:
            return
        if self.outcome is not None and nothing_left:
            self._kill_at = None
        if self._kill_at is not None and not nothing_left:
            if not had_status:  # being stopped: what the first one left behind gets its signal, too
                self._tree.signal_rest(signal.SIGTERM)
            return
        self._exited(now)

    def _exited(self, now: float) -> None:
        """Read what the run wrote, and decide how it ended."""
        if self.outcome is not None:
            return
        self._pump.let_go()
        self._pump.drain(now)
        self._kill_at = None if self._tree.status is not None else self._kill_at
        self.outcome = masked_outcome(self._masks, self._judge())
        if self._pump.pipes:  # other processes hold them
            self._pump.flush_all()
            self._log.set_outcome(self.outcome)
            self._drain_until = now + float(self._request.get("drain", DRAIN_SECONDS))

    def keep_files(self, loop: Loop) -> None:
        """Keep the files that the request names, before the end is published."""
        if self.outcome is not None and self._request.get("artifacts"):
            from runcast.supervisor.artifacts import keep_artifacts

            self.hurried = False
            keep_artifacts(self._directory, self._request, self._masks, loop, lambda: self.hurried)

    def _judge(self) -> Outcome:
        status = self._tree.status
        code = number = None
        message, value, traceback = "", None, ""
        if status is None:
            message = f"process {self._tree.pid} cannot be killed"
        elif os.WIFSIGNALED(status):
            number = os.WTERMSIG(status)
        else:
            code = os.WEXITSTATUS(status)
            message, value, traceback = self._result()
        story = self._oom.story(status) if self.reason is None and status is not None else ""
        message = message or story
        message = message or self._cause.why
        ended = number is not None or self.reason is Reason.STOPPED
        if ended and not message and self._directory.removed:  # and put back: else there is no place for this
            message = "its folder, or the lock in it, was removed while it went on"
        reason = self.reason or (Reason.EXITED if number is None else Reason.SIGNALED)
        if story.startswith(OUT_OF_MEMORY):
            reason, message = Reason.OUT_OF_MEMORY, message.removeprefix(OUT_OF_MEMORY).removeprefix(": ")
        return Outcome(
            reason,
            code,
            number,
            message,
            value,
            dropped=self._log.dropped,
            truncated=self._log.truncated,
            ended_at=self._begin.end(),
            traceback=traceback,
            usage=self._tree.usage(),
            stopped_by=self._cause.by,
        )

    def _result(self) -> tuple[str, Any, str]:
        """Return what a function in a process of its own left: why it failed, or what it returned."""
        if "result" in self._request:
            with contextlib.suppress(OSError, KeyError):
                found = read_json(f"{self._directory.locate().path}/{self._request['result']}")
                return str(found["message"]), found["value"], str(found["traceback"])
        return "", None, ""
