"""Follow logs: read, wait for more, until closed. One implementation for threads and for tasks.

Owns the order of steps (read, check for the close, read once more, wait), which makes sure that the
last bytes arrive. Bytes that are not on this disk are requested, and waited for like those that are not
written yet. `follow` and `until` never block: they yield a `Wait`, for which `drive` blocks a thread and
`drive_async` suspends a task. Several logs are one wait.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from runcast import loggers
from runcast.errors import OffsetBeyondTail, SegmentAway
from runcast.log import Log
from runcast.log.fetch import Fetch
from runcast.model import Chunk
from runcast.readers.cursor import Cursor
from runcast.readers.hub import Seen, Watch, hub
from runcast.readers.task_waits import TaskWaits

if TYPE_CHECKING:
    from runcast.readers.sources import Watchable

__all__ = ["Followed", "Steps", "Wait", "drive", "drive_async", "fetched", "follow", "until"]

_LOOK_EVERY = 1.0  # seconds between checks that the writer is alive, at most

Key = TypeVar("Key")
Value = TypeVar("Value")


class Wait(NamedTuple):
    """Yielded by a generator of steps where it would wait; `timeout` in seconds.

    `away`: for bytes that are not on this disk, so not at the tail, whose wait readers may share.
    """

    seen: Seen
    timeout: float
    away: bool = False


Steps = Generator["Value | Wait", None, None]


def drive(steps: Steps[Value]) -> Iterator[Value]:
    """Yield the values of the steps, blocking this thread wherever they would wait."""
    with closing(steps):
        for step in steps:
            if isinstance(step, Wait):
                hub().wait(step.seen, step.timeout)
            else:
                yield step


async def drive_async(steps: Steps[Value]) -> AsyncIterator[Value]:
    """Yield the values of the steps, suspending this task wherever they would wait."""
    with closing(steps), closing(TaskWaits()) as waits:
        for step in steps:
            if isinstance(step, Wait):
                await waits.wait(step.seen, step.timeout)
            else:
                yield step


@dataclass
class Followed(Generic[Key]):
    """One log that is followed, among others.

    Attributes:
        key: yielded with each of its chunks.
        cursor: its read position.
        look: called when there is nothing to read, to check that the writer is alive.
        demand: called before a wait with the offset at which the reader waits.
    """

    key: Key
    cursor: Cursor
    look: Callable[[], object] = lambda: None
    demand: Callable[[int], object] = lambda offset: None
    watch: Watch | None = field(default=None, init=False)
    ending: bool = field(default=False, init=False)
    checked: int = field(default=-1, init=False)  # the folder's changes when the log was seen to be open
    away: SegmentAway | None = field(default=None, init=False)  # what the last read lacked
    fetch: Fetch | None = field(default=None, init=False)


def follow(followed: list[Followed[Key]], timeout: float | None = None) -> Steps[tuple[Key, Chunk] | None]:
    """Yield chunks as they are appended, until all logs are closed.

    Args:
        followed: the logs, each with its cursor, which is moved.
        timeout: yield None after each so many seconds without a chunk.
    """
    active = list(followed)
    heard = time.monotonic()
    woken = False  # a wait has ended, and nothing was read since
    try:
        for one in active:
            one.watch = hub().watch(one.cursor.log)
            loggers.debug("readers", "a reader of %r joins at %s", one.key, one.cursor.offset)
        while active:
            seen = [(one.watch, one.watch.version) for one in active if one.watch]
            moved = False
            for one in active:
                before = one.cursor.offset
                for chunk in _read(one):
                    yield one.key, chunk
                    heard = time.monotonic()
                moved = moved or one.cursor.offset != before
            if moved:
                woken = False
                if timeout is not None and time.monotonic() - heard >= timeout:  # all of it was filtered out
                    yield None
                    heard = time.monotonic()
                if not all(map(_had_all, active)):
                    continue
                for one in active:
                    one.demand(one.cursor.offset)
                left = _LOOK_EVERY if timeout is None else timeout - (time.monotonic() - heard)
                yield Wait(seen, max(0.0, min(left, _LOOK_EVERY)))
                continue
            ended = [one for one in active if one.ending and one.away is None]
            for one in active:
                if woken:
                    one.look()
                changes = -1 if one.watch is None else one.watch.folder_changes()
                one.ending = one.away is None and (one.ending or one.cursor.log.closed)
                one.checked = -1 if one.ending or one.away else changes
            for one in ended:
                active.remove(one)
                if one.watch:
                    one.watch.close()
            if any(one.ending for one in active) or not active:
                continue  # the last bytes may have come between the read and the close
            wait = _LOOK_EVERY
            if timeout is not None:
                silent = time.monotonic() - heard
                if silent >= timeout:
                    yield None
                    heard = time.monotonic()
                    continue
                wait = min(wait, timeout - silent)
            for one in active:
                if one.away is None:
                    one.demand(one.cursor.offset)
                else:
                    one.fetch = one.fetch or Fetch(one.cursor.log, follows=True)
                    wait = min(wait, one.fetch.ask(one.away))
            yield Wait(seen, wait)
            woken = True
    finally:
        for one in followed:
            if one.watch:
                one.watch.close()
                loggers.debug("readers", "a reader of %r leaves at %s", one.key, one.cursor.offset)


def _had_all(one: Followed[Key]) -> bool:
    """Return whether the read just now had all that there is of an open log: the next change is news.

    So a line costs one read, and neither a second one that finds nothing nor a look at the run's files.
    """
    if one.away is not None or one.watch is None or one.checked != one.watch.folder_changes():
        return False
    return one.cursor.log.had_all(one.cursor.offset)


def _read(one: Followed[Key]) -> list[Chunk]:
    one.away = None
    try:
        return one.cursor.read()
    except SegmentAway as away:  # nothing yet
        one.away = away
        return []
    except OffsetBeyondTail:
        one.look()  # most likely it was removed: then this raises a better error
        raise


def fetched(
    log: Log,
    call: Callable[[], Value],
    stopping: Callable[[], bool] = lambda: False,
    *,
    until: float | None = None,
) -> Generator[Wait, None, Value]:
    """Return what a call that reads a log returns, once the segments that it needs are on this disk.

    Args:
        log: the log.
        call: reads it; called again after each wait.
        stopping: returns whether to wait no more.
        until: in monotonic seconds, from when on not to wait either; None for the bounds of `Fetch` alone.

    Raises:
        SegmentAway: nothing brings them, or not in time.
    """
    try:
        return call()
    except SegmentAway:
        pass
    fetch, watch = Fetch(log), hub().watch(log)
    try:
        while True:
            seen = [(watch, watch.version)]
            try:
                return call()
            except SegmentAway as away:
                wait = fetch.ask(away)
                left = wait if until is None else min(wait, until - time.monotonic())
                if left <= 0 or stopping():
                    raise
                yield Wait(seen, left, away=True)
    finally:
        watch.close()


def until(
    watched: Watchable,
    ready: Callable[[], Value | None],
    timeout: float | None = None,
    demand: Callable[[], object] = lambda: None,
) -> Steps[Value | None]:
    """Yield the result of `ready` as soon as it is not None; None if `timeout` seconds pass first.

    `demand` is called before each wait.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    watch = hub().watch(watched)
    try:
        while True:
            seen = [(watch, watch.version)]
            value = ready()
            left = _LOOK_EVERY if deadline is None else deadline - time.monotonic()
            if value is not None or left <= 0:
                yield value
                return
            demand()
            yield Wait(seen, min(left, _LOOK_EVERY))
    finally:
        watch.close()
