"""The steps of a run of this machine: read its log, wait for its end, tell its supervisor, pin it.

Owns the actions of these steps: to wait for a log, and to make a call that blocks, for some
milliseconds or as long as a program does not read its stdin. `sync.py` and `aio.py` perform them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Mapping
from functools import partial as bound
from typing import Any, NamedTuple, TypeVar

from runcast.acting import acting_who
from runcast.errors import HostUnreachable, RunActive, RunFinished, SegmentAway, SupervisorLost, UsageError
from runcast.model import Chunk, Outcome
from runcast.readers import Cursor, Followed, Lines, Wait, begin, fetched, follow, until
from runcast.readers.follow import Steps
from runcast.run.arguments import Channels, Place, channels_of, check_place
from runcast.run.artifacts import read_artifact
from runcast.run.base import RunBase
from runcast.run.steps import Routine, RunSteps
from runcast.store.audit import audit_once, audited
from runcast.store.folder import unwritable
from runcast.supervisor.control import PartTaken, ask

__all__ = ["Blocking", "LocalAction", "LocalSteps", "follow_runs"]

_OFTEN = {"stdin": "send", "resize": "resize"}  # what comes many times a second, as the audit has it
_CONTROL_SECONDS = 5.0  # a run that just started may not listen yet
_LEAST_SECONDS = 0.1  # … for one that began to listen at the last moment


class Blocking(NamedTuple):
    """Make a call that blocks.

    Attributes:
        call: without arguments.
        own_thread: whether it may last, so that it must not occupy a thread of the loop's pool.
    """

    call: Callable[[], object]
    own_thread: bool = False


LocalAction = Wait | Blocking


class LocalSteps(RunBase, RunSteps[LocalAction]):
    """A run of this machine without a face. Use `Run` or `runcast.AsyncRun`."""

    def _chunk_steps(self, timeout: float | None, channel: Channels, place: Place) -> Steps[Chunk | None]:
        check_place(place)
        log, channels = self.log(), channels_of(channel)
        cursor = Cursor(log, 0, channels)
        chunks = _chunks(Followed(self, cursor, self.settle, self.want), timeout)
        try:
            cursor.offset = begin(log, channels=channels, **place)
        except SegmentAway:
            return _once_fetched(cursor, place, chunks)
        return chunks

    def _line_steps(
        self, timeout: float | None, channel: Channels, partial: bool, progress: bool, place: Place
    ) -> Steps[str | None]:
        return _lines(self._chunk_steps(timeout, channel, place), partial, progress)

    def _wait_steps(self, timeout: float | None) -> Routine[LocalAction, Outcome | None]:
        if self._lazy:  # waiting for the end of a generator reads it
            log = self.log()
            steps = until(log, self._settled, timeout, lambda: self.want(log.tail_offset))
        else:
            steps = until(self._files, self._settled, timeout)
        for step in steps:
            if not isinstance(step, Wait):
                return step
            yield step
        return None

    def _control_steps(self, verb: str, params: Mapping[str, Any]) -> Routine[LocalAction, None]:
        yield Blocking(bound(self._control, {"op": verb, **params}))

    def _send_steps(self, data: bytes, eof: bool) -> Routine[LocalAction, None]:
        yield Blocking(bound(self._control, {"op": "stdin", "eof": eof}, data), own_thread=True)

    def _artifact_steps(self, name: str, offset: int, most: int) -> Routine[LocalAction, bytes]:
        parts: list[bytes] = []
        yield Blocking(lambda: parts.append(read_artifact(self, name, offset, most)))
        return parts[0]

    def _artifact_names_steps(self) -> Routine[LocalAction, list[str]]:
        yield from ()
        return [one.name for one in self.artifacts]

    def _pin_steps(self, pinned: bool) -> Routine[LocalAction, None]:
        yield Blocking(bound(self._pin, pinned))

    def _pin(self, pinned: bool) -> None:
        self._check_there()
        with audited(self._store, "pin" if pinned else "unpin", self.id, self.name):
            try:
                self._files.pin() if pinned else self._files.unpin()
            except OSError as error:
                self._check_there()
                raise unwritable(self._store, error) from None

    @property
    def _store(self) -> str:
        return os.path.dirname(self._files.path)

    def _control(self, request: dict[str, Any], data: bytes = b"") -> None:
        if (verb := _OFTEN.get(request["op"])) is not None:
            audit_once(self._store, verb, self.id, self.name)
            self._ask(request, data)
            return
        with audited(self._store, request["op"], self.id, self.name):
            self._ask(request | {"by": acting_who().to_json()}, data)

    def _ask(self, request: dict[str, Any], data: bytes) -> None:
        deadline = time.monotonic() + _CONTROL_SECONDS
        timed = request["op"] != "stdin"
        sent = request | {"run": self.id} | ({"until": deadline} if timed and self._mirrors else {})
        while True:
            left = max(deadline - time.monotonic(), _LEAST_SECONDS) if timed else None
            if (outcome := self._settled()) is not None and (self.closed or self._mirrors):
                raise RunFinished(f"run {self.id} has ended ({outcome}): expected one that still goes on")
            try:
                answer = ask(self._files.control_path, sent, data, timeout=left)
            except OSError as error:
                if isinstance(error, PartTaken) and (outcome := self._settled()) is not None:
                    raise RunFinished(f"run {self.id} has ended ({outcome}): {error}") from None
                if isinstance(error, PartTaken) or time.monotonic() > deadline:
                    if self._mirrors:
                        raise HostUnreachable(
                            f"run {self.id} is on another host, and the agent of this store, which speaks "
                            f"to that, does not answer: {error}: look there whether it was done"
                        ) from None
                    raise SupervisorLost(
                        f"the supervisor of run {self.id} does not answer: {error}"
                    ) from None
                time.sleep(0.01)
                continue
            if "error" in answer:
                refused = RunActive if answer.get("queued") else RunFinished
                if answer.get("unreachable"):
                    raise HostUnreachable(f"run {self.id}: {answer['error']}")
                if answer.get("unusable"):
                    raise UsageError(f"run {self.id}: {answer['error']}")
                raise refused(f"run {self.id}: {answer['error']}")
            return


def _chunks(followed: Followed[LocalSteps], timeout: float | None) -> Steps[Chunk | None]:
    for step in follow([followed], timeout):
        yield step if step is None or isinstance(step, Wait) else step[1]


def _lines(steps: Steps[Chunk | None], partial: bool, progress: bool) -> Steps[str | None]:
    lines = Lines(partial=partial, progress=progress)
    for step in steps:
        if isinstance(step, Chunk):
            for _channel, line in lines.feed(step):
                yield line
        if partial:  # also where another channel never rests
            for _channel, line in lines.rested():
                yield line
        if isinstance(step, Wait) and (due := lines.due) is not None:
            yield Wait(step.seen, min(step.timeout, max(due - time.monotonic(), 0.0)))
        elif not isinstance(step, Chunk):
            yield step
    for _channel, line in lines.flush():
        yield line


def _once_fetched(cursor: Cursor, place: Place, chunks: Steps[Chunk | None]) -> Steps[Chunk | None]:
    """Yield chunks from a place on that cannot be found before some of the log is brought to this disk."""
    log, channels = cursor.log, cursor.channels
    cursor.offset = yield from fetched(log, lambda: begin(log, channels=channels, **place))
    yield from chunks


Any_Run = TypeVar("Any_Run", bound=RunBase)


def follow_runs(
    runs: Collection[Any_Run], timeout: float | None, channel: Channels
) -> Steps[tuple[Any_Run, str] | None]:
    """Give (run, line) of several runs as they come, until all are closed; None after each silence."""
    channels = channels_of(channel)
    lines = {id(run): Lines() for run in runs}
    followed = [Followed(run, Cursor(run.log(), 0, channels), run.settle, run.want) for run in runs]
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
