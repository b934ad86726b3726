"""Follow logs: read, wait for more, until closed. Written once, waited for in two ways.

Owns the order of looking (read, then closed?, then read once more, then wait), which is what
makes the last words arrive. `follow` and `until` say when they would wait and never do; `drive`
blocks a thread there and `drive_async` suspends a task. Several logs at once are one wait.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

from runcast.errors import OffsetBeyondTail
from runcast.model import Chunk
from runcast.readers.cursor import Cursor
from runcast.readers.hub import Seen, Watch, Watchable, hub

__all__ = ["Followed", "Steps", "Wait", "drive", "drive_async", "follow", "until"]

_LOOK_EVERY = 1.0  # seconds: at least so often is asked whether the writer still lives

Key = TypeVar("Key")
Value = TypeVar("Value")


class Wait(NamedTuple):
    """What a generator of steps yields instead of waiting; `timeout` in seconds."""

    seen: Seen
    timeout: float


Steps = Generator["Value | Wait", None, None]


def drive(steps: Steps[Value]) -> Iterator[Value]:
    """Yield what the steps give, blocking this thread wherever they would wait."""
    with closing(steps):
        for step in steps:
            if isinstance(step, Wait):
                hub().wait(step.seen, step.timeout)
            else:
                yield step


async def drive_async(steps: Steps[Value]) -> AsyncIterator[Value]:
    """Yield what the steps give, suspending this task wherever they would wait."""
    with closing(steps):
        for step in steps:
            if isinstance(step, Wait):
                await hub().wait_async(step.seen, step.timeout)
            else:
                yield step


@dataclass
class Followed(Generic[Key]):
    """One log that is followed, among others.

    Attributes:
        key: what stands beside its chunks.
        cursor: where to read on.
        look: called when there is nothing to read, to find out whether the writer is gone.
        want: called with the offset at which is waited for more.
    """

    key: Key
    cursor: Cursor
    look: Callable[[], object] = lambda: None
    want: Callable[[int], object] = lambda offset: None
    watch: Watch | None = field(default=None, init=False)
    ending: bool = field(default=False, init=False)


def follow(followed: list[Followed[Key]], timeout: float | None = None) -> Steps[tuple[Key, Chunk] | None]:
    """Give chunks as they come, until all logs are closed.

    Args:
        followed: the logs, each with its cursor, which moves.
        timeout: None is given whenever nothing came for so many seconds.
    """
    active = list(followed)
    heard = time.monotonic()
    woken = False  # whether the last wait ended and nothing was read since
    try:
        for one in active:
            one.watch = hub().watch(one.cursor.log)
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
                if timeout is not None and time.monotonic() - heard >= timeout:  # a filter left all of it out
                    yield None
                    heard = time.monotonic()
                continue
            ended = [one for one in active if one.ending]
            for one in active:
                if woken:
                    one.look()
                one.ending = one.ending or one.cursor.log.closed
            for one in ended:
                active.remove(one)
                if one.watch:
                    one.watch.close()
            if any(one.ending for one in active) or not active:
                continue  # its last words may have come between the read and the end
            wait = _LOOK_EVERY
            if timeout is not None:
                silent = time.monotonic() - heard
                if silent >= timeout:
                    yield None
                    heard = time.monotonic()
                    continue
                wait = min(wait, timeout - silent)
            for one in active:
                one.want(one.cursor.offset)
            yield Wait(seen, wait)
            woken = True
    finally:
        for one in followed:
            if one.watch:
                one.watch.close()


def _read(one: Followed[Key]) -> list[Chunk]:
    try:
        return one.cursor.read()
    except (OffsetBeyondTail, FileNotFoundError):
        one.look()  # it was removed, most likely: that is a better error
        raise


def until(
    watched: Watchable,
    ready: Callable[[], Value | None],
    timeout: float | None = None,
    want: Callable[[], object] = lambda: None,
) -> Steps[Value | None]:
    """Give what `ready` returns as soon as that is not None; None when `timeout` seconds passed first.

    `want` is called before each wait.
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
            want()
            yield Wait(seen, min(left, _LOOK_EVERY))
    finally:
        watch.close()
