"""What can be asked of a run without waiting, and the steps of what waits.

Owns what the two faces of a run share: `runcast.run.Run` drives the steps by blocking,
`runcast.aio.AsyncRun` by awaiting. Starting is the store's.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Collection
from functools import cached_property
from signal import valid_signals
from typing import Any, TypedDict, TypeVar, Unpack

from runcast.errors import (
    RuncastError,
    RunElsewhere,
    RunFailed,
    RunFinished,
    RunNotFound,
    StartFailed,
    SupervisorLost,
    UsageError,
    WaitTimeout,
)
from runcast.log import FileLog, RunDirectory
from runcast.model import Channel, Chunk, Outcome, Reason, State, format_offset, rfc3339
from runcast.readers import Cursor, Followed, Lines, Steps, Wait, begin, drive, follow, until
from runcast.supervisor.control import PartTaken, ask
from runcast.supervisor.owner import tell
from runcast.supervisor.recover import recover, recover_rest

__all__ = ["Channels", "Place", "RunBase", "follow_runs"]

Channels = Channel | str | Collection[Channel | str] | None
_START_SECONDS = 5.0
_CONTROL_SECONDS = 5.0  # a run that just started may not listen yet


class Place(TypedDict, total=False):
    """Where to begin to read; at most one of them.

    Attributes:
        offset: at this offset (bytes).
        tail: so many lines before the end.
        tail_bytes: so many bytes before the end.
        line: at this line, counted from 1.
        since: with what came at this time (seconds since the epoch) or later.
    """

    offset: int | None
    tail: int | None
    tail_bytes: int | None
    line: int | None
    since: float | None


def _channels(asked: Channels) -> frozenset[Channel] | None:
    if asked is None:
        return None
    try:
        return frozenset(map(Channel, [asked] if isinstance(asked, str) else asked))
    except ValueError:
        raise UsageError(f"expected channels among stdout, stderr and data, got {asked!r}") from None


class RunBase:
    """What can be known of a run without waiting. Use `Run` or `runcast.aio.AsyncRun`."""

    def __init__(self, path: str, *, check: bool = False) -> None:
        self.directory = RunDirectory(path)
        self._check = check

    @property
    def id(self) -> str:
        """The id: sortable by time, unguessable."""
        return os.path.basename(self.directory.path)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id} {self.outcome or self.state}>"

    @cached_property
    def _described(self) -> tuple[dict[str, Any], str | None]:
        return self.directory.described()

    @property
    def request(self) -> dict[str, Any]:
        """What was asked, as `run.json` has it; of a damaged one what can be read of it."""
        return self._described[0]

    @property
    def damaged(self) -> str | None:
        """What is wrong with its files, in one sentence; None if nothing is.

        What can be read of a damaged run can be looked at, its log above all, and it can be removed.
        """
        problem = self._described[1] or self.directory.problem(self.outcome)
        if problem is None:
            log = self.open_log()
            problem = self._measured(lambda: (log.tail_offset, 0))[1]
            log.close()
        return problem

    def _measured(self, measure: Callable[[], tuple[int, int]]) -> tuple[tuple[int, int], str | None]:
        """Return what a log measures, and what keeps it from being read, if anything."""
        try:
            return measure(), None
        except (OSError, RuncastError) as error:
            if not os.path.isdir(self.directory.path):
                raise
            said = str(error) if isinstance(error, RuncastError) else (error.strerror or str(error)).lower()
            return (0, 0), said.removeprefix(f"{self.directory.path}/")

    @property
    def name(self) -> str:
        """The name it was given; else that of its program."""
        return str(self.request["name"])

    @property
    def command(self) -> list[str]:
        """The arguments, program first."""
        return list(self.request["command"])

    @property
    def created_at(self) -> float:
        """When it was asked for, in seconds since the epoch."""
        return float(self.request["created_at"])

    @property
    def pid(self) -> int | None:
        """The process id of the command; None if it could not be started. Waits out the start, some ms."""
        told = until(self.directory, self._start_told, _START_SECONDS)
        return (next(drive(told), None) or {}).get("pid")

    def _start_told(self) -> dict[str, Any] | None:
        """Return what the supervisor told of the start; empty if there will be nothing, None if not yet."""
        state = self.directory.state()
        if "pid" in state:
            return state
        return {} if self._ended() is not None else None

    @property
    def started_at(self) -> float | None:
        """When the command started, in seconds since the epoch."""
        return self.directory.state().get("started_at")

    @property
    def outcome(self) -> Outcome | None:
        """How it ended; None while it goes on. Looking finishes what settled a lost run and could not."""
        outcome = self.directory.outcome()
        if outcome is not None and outcome.reason is Reason.LOST and self.directory.unsettled:
            return self.directory.outcome() if recover_rest(self.directory.path) else outcome
        return outcome

    @property
    def state(self) -> State:
        """Where it is in its life. Looking settles a run whose supervisor died; see `elsewhere`."""
        try:
            outcome = self._settled()
        except RunElsewhere:  # its last word
            outcome = None
        if outcome is None:
            return State(self.directory.state().get("state", State.STARTING))
        return State.LOST if outcome.reason is Reason.LOST else State.EXITED

    @property
    def elsewhere(self) -> str | None:
        """The name of the host that it belongs to, where that is another one and tells nothing here."""
        try:
            self._settled()
        except RunElsewhere as error:
            return error.host
        return None

    @property
    def progress(self) -> dict[str, Any] | None:
        """What a function last told of its progress: `done`, `total`, `text`, `time`."""
        return self.directory.progress()

    @property
    def closed(self) -> bool:
        """Whether no more output will ever come."""
        return self.open_log().closed

    @property
    def tail_offset(self) -> int:
        """How many bytes of output there are: the offset just past the last."""
        return self.open_log().tail_offset

    def open_log(self) -> FileLog:
        """Return the log, for reading at offsets."""
        return FileLog(self.directory.path)

    def to_json(self) -> dict[str, Any]:
        """Return what there is to know, as JSON values; times are RFC 3339, in UTC."""
        log, state, outcome = self.open_log(), self.state, self.outcome
        (tail, lines), unreadable = self._measured(lambda: (log.tail_offset, log.lines))
        problem = self._described[1] or self.directory.problem(outcome) or unreadable
        ended = outcome and outcome.to_json() | {"ended_at": rfc3339(outcome.ended_at)}
        return {
            "id": self.id,
            "name": self.name,
            "source": self.request["source"],
            "command": self.command,
            "state": state.value,
            "pid": self.directory.state().get("pid"),
            "outcome": ended,
            "progress": self.progress,
            "created_at": rfc3339(self.created_at),
            "started_at": rfc3339(self.started_at),
            "ended_at": ended and ended["ended_at"],
            "tail_offset": format_offset(tail),
            "lines": lines,
            "closed": log.closed,
            **({} if problem is None else {"damaged": problem}),
            **({} if outcome or (host := self.elsewhere) is None else {"elsewhere": host}),
        }

    @cached_property
    def _lazy(self) -> bool:
        try:
            return bool(self.request.get("lazy"))
        except OSError:  # it is gone: whoever needs it says so
            return False

    def want(self, offset: int) -> None:
        """Tell that somebody waits at an offset for more: that is what advances a lazy generator."""
        if self._lazy:
            request = {"op": "want", "run": self.id, "offset": offset}
            with contextlib.suppress(OSError):  # if nobody hears it, the run is lost or over, as is seen soon
                tell(self.directory.path, self.directory.control_path, request)

    def settle(self) -> None:
        """Find out whether the supervisor still lives; a run that lost it is over then."""
        self._ended()

    def _follow_steps(
        self, timeout: float | None, channel: Channels, **place: Unpack[Place]
    ) -> Steps[Chunk | None]:
        """Find the place now, so that a wrong one is told at once, and return the steps from there."""
        if unknown := sorted(place.keys() - Place.__annotations__.keys()):
            raise TypeError(f"got an unexpected keyword argument {unknown[0]!r}")
        log, channels = self.open_log(), _channels(channel)
        cursor = Cursor(log, begin(log, channels=channels, **place), channels)
        return self._chunks(Followed(self, cursor, self.settle, self.want), timeout)

    @staticmethod
    def _chunks(followed: Followed[RunBase], timeout: float | None) -> Steps[Chunk | None]:
        for step in follow([followed], timeout):
            yield step if step is None or isinstance(step, Wait) else step[1]

    @staticmethod
    def _line_steps(steps: Steps[Chunk | None]) -> Steps[str | None]:
        lines = Lines()
        for step in steps:
            if isinstance(step, Chunk):
                for _channel, line in lines.feed(step):
                    yield line
            else:
                yield step
        for _channel, line in lines.flush():
            yield line

    def _settled(self) -> Outcome | None:
        outcome = self.outcome
        return self.outcome if outcome is None and recover(self.directory.path) else outcome

    def _ended(self) -> Outcome | None:
        outcome = self._settled()
        if outcome is None and not os.path.isdir(self.directory.path):  # there never will be one
            raise RunNotFound(self.id, f"the store {os.path.dirname(self.directory.path)}: it was removed")
        return outcome

    def _wait_steps(self, timeout: float | None) -> Steps[Outcome | None]:
        if not self._lazy:
            return until(self.directory, self._ended, timeout)
        log = self.open_log()  # who waits for the end of a generator reads it
        return until(log, self._ended, timeout, lambda: self.want(log.tail_offset))

    def _judge(self, outcome: Outcome | None, timeout: float | None, check: bool | None) -> Outcome:
        if outcome is None:
            raise WaitTimeout(f"run {self.id} is still {self.state} after {timeout:g} s; it goes on")
        if (self._check if check is None else check) and not outcome.ok:
            raise (StartFailed if outcome.reason is Reason.FAILED_TO_START else RunFailed)(self.id, outcome)
        return outcome

    def _control(self, request: dict[str, Any], data: bytes = b"") -> None:
        deadline = time.monotonic() + _CONTROL_SECONDS
        timeout = None if request["op"] == "stdin" else _CONTROL_SECONDS
        while True:
            if (outcome := self._ended()) is not None and self.closed:
                raise RunFinished(f"run {self.id} has ended ({outcome}): expected one that still goes on")
            try:
                answer = ask(self.directory.control_path, request | {"run": self.id}, data, timeout=timeout)
            except OSError as error:
                if isinstance(error, PartTaken) and (outcome := self._ended()) is not None:
                    raise RunFinished(f"run {self.id} has ended ({outcome}): {error}") from None
                if isinstance(error, PartTaken) or time.monotonic() > deadline:
                    raise SupervisorLost(
                        f"the supervisor of run {self.id} does not answer: {error}"
                    ) from None
                time.sleep(0.01)
                continue
            if "error" in answer:
                raise RunFinished(f"run {self.id}: {answer['error']}")
            return

    @staticmethod
    def _signal_request(number: int) -> dict[str, Any]:
        if number not in valid_signals():
            raise UsageError(f"expected the number of a signal, such as signal.SIGTERM, got {number!r}")
        return {"op": "signal", "signal": int(number)}

    def _stop_request(self, grace: float, number: int) -> dict[str, Any]:
        if not grace >= 0:
            raise UsageError(f"expected a grace of 0 seconds or more, got {grace}")
        return self._signal_request(number) | {"op": "stop", "grace": grace}


Any_Run = TypeVar("Any_Run", bound=RunBase)


def follow_runs(
    runs: Collection[Any_Run], timeout: float | None, channel: Channels
) -> Steps[tuple[Any_Run, str] | None]:
    """Give (run, line) of several runs as they come, until all are closed; None after silence."""
    channels = _channels(channel)
    lines = {id(run): Lines() for run in runs}
    followed = [Followed(run, Cursor(run.open_log(), 0, channels), run.settle, run.want) for run in runs]
    for step in follow(followed, timeout):
        if step is None or isinstance(step, Wait):
            yield step
        else:
            run, chunk = step
            for _channel, line in lines[id(run)].feed(chunk):
                yield run, line
    for run in runs:
        for _channel, line in lines[id(run)].flush():
            yield run, line
