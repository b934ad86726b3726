"""What can be known of a run of this machine without waiting for it.

Owns identity, state, outcome and size, as the run's files have them. The steps of what waits are in
local.py; starting is the store's.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from functools import cached_property
from typing import Any, Literal, cast

from runcast.errors import RuncastError, RunElsewhere, RunNotFound, SegmentAway, StreamNotFound
from runcast.log import FileLog, Log
from runcast.model import Outcome, Reason, State, TerminalSize, Usage, Waiting, rfc3339
from runcast.offsets import format_offset
from runcast.readers import drive, until
from runcast.run.beside import RunBeside
from runcast.run.silence import hint_of
from runcast.run.used import used_so_far
from runcast.run.wanting import Wanting
from runcast.store.end_hooks import hooks_in
from runcast.store.mirrors import on_unheard
from runcast.store.run_files import RunFiles
from runcast.supervisor.agents import see_to_agent
from runcast.supervisor.owner import tell
from runcast.supervisor.recover import is_settling, recover, recover_rest
from runcast.trace_context import trace_id_in
from runcast.who import Who, who_in

__all__ = ["RunBase", "files_of"]

_START_SECONDS = 5.0

on_unheard(see_to_agent)


class RunBase(RunBeside):
    """What can be known of a run without waiting. Use `Run` or `runcast.aio.AsyncRun`.

    A run may be removed at any time, also by another process. From then on every property raises
    `RunNotFound`, except the id and what had been read before.
    """

    def __init__(self, path: str, *, check: bool = False, lazy: bool | None = None) -> None:
        self._files = RunFiles(path)
        self._check = check
        if lazy is not None:  # else it is read from run.json, which takes as long as reading a chunk
            self._lazy = lazy

    @property
    def id(self) -> str:
        """The id: sortable by time, unguessable."""
        return self._files.id

    def __repr__(self) -> str:
        try:
            state: object = self.outcome or self.state
        except (RunNotFound, StreamNotFound):
            state = "removed"
        return f"<{type(self).__name__} {self.id} {state}>"

    def _removed(self) -> RunNotFound | StreamNotFound:
        store = os.path.dirname(self._files.path)
        return RunNotFound(self.id, f"the store {store}: it was removed, or moved with its store")

    def _check_there(self) -> None:
        """Raise `RunNotFound` if the run was removed: an empty answer would be wrong."""
        if not self._files.exists:
            raise self._removed()

    @cached_property
    def _described(self) -> tuple[dict[str, Any], str | None]:
        try:
            return self._files.described()
        except FileNotFoundError:
            raise self._removed() from None

    @property
    def request(self) -> dict[str, Any]:
        """The request, as in `run.json`; of a damaged file, what can be read."""
        return self._described[0]

    @property
    def damaged(self) -> str | None:
        """What is wrong with its files, in one sentence; None if nothing is.

        A damaged run shows what can be read of it, its log above all, and it can be removed.
        """
        problem = self._described[1] or self._files.problem(self.outcome)
        if problem is None:
            log = self.log()
            problem = self._measured(lambda: (log.tail_offset, 0))[1]
            log.close()
        return problem

    def _measured(self, measure: Callable[[], tuple[int, int]]) -> tuple[tuple[int, int], str | None]:
        """Return the numbers of a log, and why it cannot be read, if it cannot."""
        try:
            return measure(), None
        except SegmentAway:  # of a mirror, which is nothing wrong: what needs bytes that are not here yet
            return (self.tail_offset, self._files.state().get("lines_so_far", 0)), None
        except (OSError, RuncastError) as error:
            self._check_there()
            why = str(error) if isinstance(error, RuncastError) else (error.strerror or str(error)).lower()
            return (0, 0), why.removeprefix(f"{self._files.path}/")

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
        """When its start was requested, in seconds since the epoch."""
        return float(self.request["created_at"])

    @property
    def pid(self) -> int | None:
        """The process id of the command; None if there is none. Waits some ms for a start, not for a slot."""
        started = until(self._files, self._started, _START_SECONDS)
        return (next(drive(started), None) or {}).get("pid")

    def _started(self) -> dict[str, Any] | None:
        """Return the state once it has a process id; empty if there will be none, None while it starts."""
        state = self._state()
        if "pid" in state or state.get("state") == State.QUEUED:
            return state
        return {} if self._settled() is not None else None

    def _state(self) -> dict[str, Any]:
        """Return the last state that the supervisor wrote; empty before the first."""
        state = self._files.state()
        if not state:
            self._check_there()
        return state

    @property
    def started_by(self) -> Who | None:
        """Who started it; None of a run of an earlier version."""
        return who_in(self.request, "started_by")

    @property
    def started_at(self) -> float | None:
        """When the command started, in seconds since the epoch."""
        return self._state().get("started_at")

    @property
    def outcome(self) -> Outcome | None:
        """How it ended; None while it goes on. Reading it completes the recovery of a lost run."""
        outcome = self._files.outcome()
        if outcome is not None and outcome.reason is Reason.LOST and self._files.unsettled:
            outcome = self._files.outcome() if recover_rest(self._files.path) else outcome
        if outcome is None:
            self._check_there()
            return None
        return outcome._replace(started_at=self._state().get("started_at") or 0.0)

    @property
    def state(self) -> State:
        """Where it is in its life. Reading it recovers a run whose supervisor died; see `elsewhere`.

        In an event loop the recovery goes on in the background: the run is lost at once, and has its
        outcome later.
        """
        try:
            outcome = self._settled()
        except RunElsewhere:  # its last state
            outcome = None
        if outcome is None and is_settling(self._files.path):
            return State.LOST
        if outcome is None:
            return State(self._state().get("state", State.STARTING))
        return State.LOST if outcome.reason is Reason.LOST else State.EXITED

    @property
    def elsewhere(self) -> str | None:
        """The name of the host that it belongs to, where that is another one, unreachable from here."""
        try:
            self._settled()
        except RunElsewhere as error:
            return error.host
        return None

    @property
    def progress(self) -> dict[str, Any] | None:
        """The last progress: `done`, `total`, `text`, `time`; `status`, where it is that of its output."""
        progress = self._files.progress()
        if progress is None:
            self._check_there()
        return progress

    @property
    def waiting(self) -> Waiting | None:
        """What it may be waiting for, as far as its processes show; None for nothing."""
        return self._waiting_in(self.state)

    def _waiting_in(self, state: State) -> Waiting | None:
        if state not in (State.RUNNING, State.STOPPING):
            return None
        waiting = self._state().get("waiting")
        return None if waiting is None else Waiting.from_json(waiting)

    @property
    def params(self) -> dict[str, Any]:
        """The values of its parameters, where it was started as a named command that has some."""
        return dict(self.request.get("params") or {})

    @property
    def trace_id(self) -> str | None:
        """The id of the trace that it is a step of, 32 hexadecimal digits; None for none."""
        return trace_id_in(self.request)

    @property
    def queue(self) -> str | None:
        """The queue that it waits in, or waited in; None for none."""
        return cast("str | None", self.request.get("queue"))

    @property
    def place(self) -> int | None:
        """Its place among those that wait in its queue, 1 for the next; None once it has its turn."""
        return self._place_in(self.state)

    def _place_in(self, state: State) -> int | None:
        return self._state().get("place") if state is State.QUEUED else None

    @property
    def hooks(self) -> list[dict[str, Any]]:
        """What became of the hooks that it was started with, in their order; empty where it has none."""
        return hooks_in(self._files.path, self.request)

    @property
    def tty(self) -> bool | Literal["stdout"]:
        """Whether it has a terminal of its own, or `"stdout"` where only its stdout is one."""
        return cast('bool | Literal["stdout"]', self.request.get("tty", False))

    @property
    def size(self) -> TerminalSize | None:
        """The present size of its terminal; None where it has none."""
        sizes = self.sizes
        return sizes[-1] if sizes else None

    @property
    def sizes(self) -> list[TerminalSize]:
        """The sizes of its terminal, each with the offset at which it begins; empty where it has none."""
        if not self.tty:
            return []
        first = TerminalSize(0, self.request.get("columns", 80), self.request.get("rows", 24))
        return [first, *self._files.sizes()]

    @property
    def hint(self) -> str | None:
        """Why it may have been silent for some seconds, and what to do; None where nothing is known.

        One sentence in plain text, without a full stop, such as "grep holds its lines back …". It is
        looked for anew each time, among the processes that the run has now.
        """
        if self.outcome is not None:
            return None
        origin = self.request.get("origin") or {}
        return hint_of(self._files, self._state(), origin, lambda: self.tail_offset)

    @property
    def disk_bytes(self) -> int | None:
        """How much disk it takes, in bytes, its log above all."""
        taken = self._files.disk_bytes()
        self._check_there()  # else it may be that of a half
        return taken

    @property
    def usage(self) -> Usage | None:
        """What its processes used, so far or in all; None where that is not known.

        While it goes on that is looked up anew each time, of all processes that there are, and the peak of
        memory is the highest of one that lives.
        """
        if (outcome := self.outcome) is not None:
            return outcome.usage
        return used_so_far(self._files, self._state(), self.request.get("origin") or {})

    @property
    def pinned(self) -> bool:
        """Whether it is kept until somebody unpins it."""
        pinned = self._files.pinned
        if not pinned:
            self._check_there()
        return pinned

    @property
    def closed(self) -> bool:
        """Whether no more output will ever come."""
        closed = self.log().closed
        if not closed:
            self._check_there()
        return closed

    @property
    def tail_offset(self) -> int:
        """How many bytes of output there are: the offset just past the last."""
        return self.log().tail_offset

    def log(self) -> Log:
        """Return the log, for reading at offsets."""
        return FileLog(self._files.path)

    def to_json(self) -> dict[str, Any]:
        """Return everything that is known of it, as JSON values; times are RFC 3339, in UTC."""
        log, state, outcome = self.log(), self.state, self.outcome
        (tail, lines), unreadable = self._measured(lambda: (log.tail_offset, log.lines))
        problem = self._described[1] or self._files.problem(outcome) or unreadable
        waiting = self._waiting_in(state)
        ended = None
        if outcome is not None:
            times = {"ended_at": rfc3339(outcome.ended_at), "started_at": rfc3339(outcome.started_at)}
            ended = outcome.to_json() | times
        return {
            "id": self.id,
            "name": self.name,
            "source": self.request["source"],
            "command": self.command,
            "state": state.value,
            "pid": self._state().get("pid"),
            "outcome": ended,
            "progress": self.progress,
            **self._beside_json(),
            "waiting": waiting and waiting.to_json(),
            "params": self.params,
            "queue": self.queue,
            "place": self._place_in(state),
            "hooks": self.hooks,
            **self._terminal_json(),
            "created_at": rfc3339(self.created_at),
            "started_by": self.request.get("started_by"),
            "started_at": rfc3339(self.started_at),
            "ended_at": ended and ended["ended_at"],
            "tail_offset": format_offset(tail),
            "lines": lines,
            "closed": self.closed,
            "pinned": self.pinned,
            **({} if self.trace_id is None else {"trace_id": self.trace_id}),
            **({} if problem is None else {"damaged": problem}),
            **({} if outcome or (host := self.elsewhere) is None else {"elsewhere": host}),
        }

    def _terminal_json(self) -> dict[str, Any]:
        size = self.size
        return {"tty": self.tty} | ({"columns": size.columns, "rows": size.rows} if size else {})

    @cached_property
    def _mirrors(self) -> bool:
        """Whether it is another host's, and brought here by the store's agent."""
        return self._files.is_mirror

    @cached_property
    def _lazy(self) -> bool:
        try:
            return bool(self.request.get("lazy"))
        except (RunNotFound, StreamNotFound):  # the next read raises it
            return False

    @cached_property
    def _wanting(self) -> Wanting:
        return Wanting(self._files.path)

    def want(self, offset: int) -> None:
        """Signal that a reader waits for more at an offset: this is what advances a lazy generator."""
        if self._mirrors:
            self._wanting.want(offset, always=self._lazy)
        elif self._lazy:
            request = {"op": "want", "run": self.id, "offset": offset}
            with contextlib.suppress(OSError):  # it is over or lost, as will show soon
                tell(self._files.path, self._files.control_path, request)

    def settle(self) -> None:
        """Check that the supervisor lives; recover a run that has lost it, which is over then."""
        self._settled()

    def _settled(self) -> Outcome | None:
        outcome = self.outcome
        if outcome is not None:
            return outcome
        if self._mirrors and see_to_agent(os.path.dirname(self._files.path)):
            return None  # as long as somebody looks, its agent brings it up to date
        return self.outcome if recover(self._files.path) else None


def files_of(run: RunBase) -> RunFiles:
    """Return the files of a run, for rooms that need of it what its users do not."""
    return run._files
