"""The wake-up hub: one per process, for threads and asyncio tasks, over all logs they follow.

Rules. There is no hub thread. One of the waiting threads, the leader, polls the source of events for
all, and passes that role on when it returns; an event loop polls with its own reader. So a fork leaves
nothing behind, nothing runs while nothing waits, and under gevent the only blocking call is
`select.poll`, which it patches. The hub never reads logs: each watch has a version that every change
increments, and a waiter compares versions before and after its read, so no wake-up is lost. The file
that grows is watched from the first wait on: a reader that has not reached the tail costs the writer
nothing. Starting to watch counts as a change, too, since earlier changes caused no event. Where the
source cannot watch, a wait returns ten times a second. Which source it is, its caller decides
(sources.py). Knows logs by the paths that they name only. The asyncio part imports asyncio on first
use: commands that never await should not pay for it (40 ms).
"""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from runcast.readers.inotify import Inotify
from runcast.readers.loop_waiter import LoopWaiter, Waiter
from runcast.sysio.forks import at_fork

if TYPE_CHECKING:
    import asyncio

    from runcast.readers.sources import Source, Watchable

__all__ = ["Hub", "Watch", "hub"]

_POLL = 0.1  # seconds between checks, where there are no events


class Watch:
    """One log that is being followed.

    Attributes:
        version: incremented with every change.
        polled: there are no events, so a waiter must poll.
        waiters: who waits for it now, so that a change costs what those take, however many others wait.
    """

    def __init__(self, owner: Hub, log: Watchable) -> None:
        self._hub = owner
        self.version = 0
        self._folder_changes = 0
        self.polled = False
        self.waiters: set[Waiter | LoopWaiter] = set()
        self._unseen = 1  # for a polled watch: 1 until its first wait, which returns at once
        self._log: Watchable | None = log
        self._numbers: list[int] = []
        self._growing: object = None  # the file that is watched, if any, and its number
        self._file: int | None = None
        self._unsubscribe = log.subscribe(self._news)
        if self._unsubscribe is None:
            try:
                for path in log.watch_paths():
                    self._numbers.append(owner._add(_new_files if self._numbers else _changes, path, self))
            except OSError:
                self.polled = True

    def _arm(self) -> None:
        """Watch the file that grows now. If it is another one than before, the log must be read again."""
        if self._log is None or self._unsubscribe is not None:
            return
        if self.polled:
            self.version += self._unseen  # it may have been removed before it was watched: read first
            self._unseen = 0
            return
        try:
            found = self._log.growing()
            if found is None or found[0] is self._growing:
                return
            number = self._hub._add(_growth, f"/proc/self/fd/{found[1]}", self)
        except OSError:
            self.polled = True
            return
        if self._file is not None and self._file != number:
            self._hub._remove(self._file, self)
        self._growing, self._file = found[0], number
        self.version += 1

    def _news(self) -> None:
        self._folder_changes += 1
        self._hub._wake({self})

    def folder_changes(self) -> int:
        """Return a count of changes in the first folder, a run's, which output does not change.

        So a follower of a program that prints a lot need not check at each append whether it has
        ended. A polled watch counts each call as a change.
        """
        if self.polled:
            self._folder_changes += 1
        return self._folder_changes

    def _note_events(self, numbers: set[int]) -> None:
        if self._numbers and self._numbers[0] in numbers:
            self._folder_changes += 1

    def close(self) -> None:
        """Stop watching. A second close does nothing."""
        if self._log is not None:
            self._log = self._growing = (
                None  # a cancelled task's traceback may keep this object: free the files
            )
            if self._unsubscribe is not None:
                self._unsubscribe()
            for number in self._numbers if self._file is None else [*self._numbers, self._file]:
                self._hub._remove(number, self)


Seen = Sequence[tuple[Watch, int]]
"""Watches with the version that was seen before the log was read."""


class Hub:
    """Wakes followers. Use `hub()`: there is one per process.

    Args:
        open_source: opens the source of events, when the first folder is watched.
    """

    def __init__(self, open_source: Callable[[], Source]) -> None:
        self._open_source = open_source
        self._lock = threading.RLock()  # a signal handler may print while it is held
        self._source: Source | None = None
        self._by_number: dict[int, set[Watch]] = {}
        self._waiters: set[Waiter | LoopWaiter] = set()
        self._leader: Waiter | None = None
        self._loops: weakref.WeakSet[asyncio.AbstractEventLoop] = weakref.WeakSet()
        self._bell: tuple[int, int] | None = None  # a pipe that gets the leader out of its poll

    def watch(self, log: Watchable) -> Watch:
        """Begin to watch a log. Close the watch when done."""
        return Watch(self, log)

    def _add(self, add: Callable[[Source, str], int], path: str, watch: Watch) -> int:
        with self._lock:
            if self._source is None:
                self._source = self._open_source()
                if self._leader is not None:  # it polls without the source: have it start again
                    self._leader.wake()
            number = add(self._source, path)
            self._by_number.setdefault(number, set()).add(watch)
            return number

    def _remove(self, number: int, watch: Watch) -> None:
        with self._lock:
            watches = self._by_number.get(number, set())
            watches.discard(watch)
            if not watches and self._by_number.pop(number, None) is not None and self._source is not None:
                self._source.remove(number)

    def _drain(self, loop: asyncio.AbstractEventLoop | None = None, caller: Waiter | None = None) -> None:
        """Read the events and wake the waiters concerned.

        Args:
            loop: the calling one, if any.
            caller: the waiter that calls, if any: it is awake, and looks for itself.
        """
        if self._source is None:
            return
        numbers = self._source.drain()
        if not numbers:
            return
        with self._lock:
            if -1 in numbers:  # the kernel's queue overflowed: anything may have changed
                numbers.update(self._by_number)
            watches = {watch for number in numbers for watch in self._by_number.get(number, ())}
            for watch in watches:
                watch._note_events(numbers)
            called = [waiter for waiter in self._count(watches) if waiter is not caller]
        self._call(called, loop)

    def _wake(self, watches: set[Watch]) -> None:
        with self._lock:
            called = self._count(watches)
        self._call(called, None)

    def _count(self, watches: set[Watch]) -> list[Waiter | LoopWaiter]:
        """Count a change of some watches; return who waits for any. The caller holds the lock."""
        called: set[Waiter | LoopWaiter] = set()
        for watch in watches:
            watch.version += 1
            called |= watch.waiters
        return [*called]

    def _begin(self, waiter: Waiter | LoopWaiter) -> None:
        """Note that a waiter waits for its watches. The caller holds the lock."""
        self._waiters.add(waiter)
        for watch in waiter.watches:
            watch.waiters.add(waiter)

    def _end(self, waiter: Waiter | LoopWaiter) -> None:
        """Note that it does not any more. The caller holds the lock."""
        self._waiters.discard(waiter)
        for watch in waiter.watches:
            watch.waiters.discard(waiter)

    @staticmethod
    def _call(called: list[Waiter | LoopWaiter], loop: asyncio.AbstractEventLoop | None) -> None:
        for waiter in called:
            if loop is not None and isinstance(waiter, LoopWaiter) and waiter.loop is loop:
                waiter.finish()  # directly, in its own loop; `wake` would cost one more iteration
            else:
                waiter.wake()

    def wake_all(self) -> None:
        """Wake all waiters: something beside the logs has changed. Signal handlers may call this."""
        with self._lock:
            watches = {watch for group in self._by_number.values() for watch in group}
            watches.update(watch for waiter in self._waiters for watch in waiter.watches)
        self._wake(watches)

    def wait(self, seen: Seen, timeout: float | None) -> bool:
        """Block this thread until there is, or may be, a change; return False after `timeout` seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        polled = _arm(seen)
        while not _changed(seen):
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                return False
            if polled:
                self._wait_once(seen, _POLL if left is None else min(left, _POLL))
                return True
            self._wait_once(seen, left)
        return True

    def _wait_once(self, seen: Seen, timeout: float | None) -> None:
        called = threading.Event()
        waiter = Waiter([watch for watch, _ in seen], called.set)
        with self._lock:
            if _changed(seen):
                return
            bell = self._bell = self._bell or os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
            leads = self._leader is None
            if leads:
                self._leader = waiter
                waiter.wake = lambda: _ring(bell[1])
            self._begin(waiter)
        try:
            if leads:
                self._lead(bell[0], timeout, waiter)
            else:
                called.wait(timeout)
        finally:
            with self._lock:
                self._end(waiter)
                if self._leader is waiter:
                    self._leader = None
                heir = None
                if self._leader is None:
                    heir = next((other for other in self._waiters if not isinstance(other, LoopWaiter)), None)
            if heir is not None:
                heir.wake()  # it finds no change, waits again and so becomes the leader

    def _lead(self, bell: int, timeout: float | None, waiter: Waiter) -> None:
        """Poll for all waiters until there is a change (for any of them) or the time is up."""
        poller = select.poll()
        poller.register(bell, select.POLLIN)
        if self._source is not None:
            poller.register(self._source.fd, select.POLLIN)
        for fd, _event in poller.poll(None if timeout is None else max(timeout * 1000, 0)):
            if fd == bell:
                _silence(bell)
            else:
                self._drain(caller=waiter)

    async def wait_async(self, seen: Seen, timeout: float | None) -> bool:
        """Suspend this task until there is, or may be, a change; return False after `timeout` seconds."""
        import asyncio

        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        waiter = self.waiter(loop, lambda: None if future.done() else future.set_result(None))
        polled = self.begin(waiter, seen, timeout)
        try:
            await future
        finally:
            waiter.close()
        return polled or _changed(seen)

    def waiter(self, loop: asyncio.AbstractEventLoop, call: Callable[[], object]) -> LoopWaiter:
        """Return what waits again and again without a task, and calls a function in the loop each time."""
        return LoopWaiter(loop, call, self._forget_waiter)

    def begin(self, waiter: LoopWaiter, seen: Seen, timeout: float | None) -> bool:
        """Have a waiter call when there is, or may be, a change, or after `timeout` seconds.

        Returns:
            Whether some watch is polled, so that the call says nothing.
        """
        polled = _arm(seen)
        if polled:
            timeout = _POLL if timeout is None else min(timeout, _POLL)
        waiter.begin([watch for watch, _ in seen])
        with self._lock:
            self._listen(waiter.loop)
            if not (changed := _changed(seen)):
                self._begin(waiter)
        waiter.end_in(0 if changed else timeout)
        return polled

    def _forget_waiter(self, waiter: LoopWaiter) -> None:
        with self._lock:
            self._end(waiter)

    def _listen(self, loop: asyncio.AbstractEventLoop) -> None:
        """Have an event loop poll, unless it does already. The caller holds the lock."""
        if self._source is not None and loop not in self._loops:
            loop.add_reader(self._source.fd, self._drain, loop)
            self._loops.add(loop)

    def _abandon(self) -> None:
        """Close the parent's descriptors in a forked child; its watches are polled from now on."""
        self._lock = threading.RLock()
        for watch in {watch for watches in self._by_number.values() for watch in watches}:
            watch.polled = True
            watch.waiters.clear()
        self._by_number.clear()
        self._waiters.clear()
        self._leader = None
        fds = [self._source.fd] if self._source else []
        for fd in [*fds, *(self._bell or ())]:
            with contextlib.suppress(OSError):
                os.close(fd)
        self._source = self._bell = None


def _changes(source: Source, folder: str) -> int:
    return source.add_changes(folder)


def _new_files(source: Source, folder: str) -> int:
    return source.add_new_files(folder)


def _growth(source: Source, file: str) -> int:
    return source.add_growth(file)


def _arm(seen: Seen) -> bool:
    """Watch all files that grow; return whether some watch must be polled."""
    for watch, _ in seen:
        watch._arm()
    return any(watch.polled for watch, _ in seen)


def _changed(seen: Seen) -> bool:
    return any(watch.version != version for watch, version in seen)


def _ring(fd: int) -> None:
    with contextlib.suppress(BlockingIOError):  # the pipe is full: the leader wakes anyway
        os.write(fd, b"!")


def _silence(fd: int) -> None:
    with contextlib.suppress(BlockingIOError):
        os.read(fd, 4096)


_hub: Hub | None = None
_hub_lock = threading.Lock()


def hub() -> Hub:
    """Return this process's hub, created at the first call and again after a fork."""
    global _hub
    with _hub_lock:
        if _hub is None:
            _hub = Hub(Inotify)
        return _hub


def _forget() -> None:
    global _hub, _hub_lock
    old, _hub, _hub_lock = _hub, None, threading.Lock()
    if old is not None:
        old._abandon()


at_fork(_forget)
