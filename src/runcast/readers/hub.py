"""The wake-up hub: one per process, for threads and asyncio tasks, over all logs they follow.

Rules. There is no hub thread: whoever waits takes part. Of the waiting threads one, the leader,
polls inotify for all and hands that on when it leaves; an event loop polls by its own reader.
So nothing is left behind by a fork, nothing runs while nobody waits, and under gevent the only
blocking call is `select.poll`, which it patches. Reading is never done here: a watch has a
version, news makes it grow, and who waits compares before and after, so no wake-up is lost.
Where inotify is missing or its limits are reached, a wait answers "look again" ten times a
second. Knows logs only by what they say must be watched. The asyncio part imports asyncio when
it is first used: commands that never await should not pay for it (40 ms).
"""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from runcast.readers.inotify import Inotify

if TYPE_CHECKING:
    import asyncio

__all__ = ["Hub", "Watch", "hub"]

_POLL = 0.1  # seconds between looks, where nothing tells us


class Watchable(Protocol):
    """What can be watched: a log, or anything else that says which folders mean news."""

    def subscribe(self, wake: Callable[[], None]) -> Callable[[], None] | None:
        """Have `wake` called at news, and return what ends that; None where folders tell."""

    def watch_paths(self) -> Sequence[str]:
        """Return the folders whose changes mean news; the first is the one that `Watch.told` is about."""


class Watch:
    """One log that somebody follows.

    Attributes:
        version: grows with every piece of news.
        polled: nothing tells; who waits looks again and again.
    """

    def __init__(self, owner: Hub, log: Watchable) -> None:
        self._hub = owner
        self.version = 0
        self._told = 0
        self.polled = False
        self._numbers: list[int] = []
        self._ended = False
        self._unsubscribe = log.subscribe(self._news)
        if self._unsubscribe is None:
            try:
                for path in log.watch_paths():
                    self._numbers.append(owner._add(path, self))
            except OSError:
                self.polled = True

    def _news(self) -> None:
        self._told += 1
        self._hub._wake({self})

    @property
    def told(self) -> int:
        """A number that grows with news of the first folder: a run's, which is not that of its output.

        So whoever follows a program that prints a lot need not ask at each append whether it has
        ended. Where nothing tells, each look is to be taken for news.
        """
        if self.polled:
            self._told += 1
        return self._told

    def _hear(self, numbers: set[int]) -> None:
        if self._numbers and self._numbers[0] in numbers:
            self._told += 1

    def close(self) -> None:
        """Stop watching. A second close does nothing."""
        if not self._ended:
            self._ended = True
            if self._unsubscribe is not None:
                self._unsubscribe()
            for number in self._numbers:
                self._hub._remove(number, self)


Seen = Sequence[tuple[Watch, int]]
"""Watches with the version that was seen before the log was read."""


class _Waiter:
    """One thread or task that waits for any of some watches."""

    def __init__(self, watches: Sequence[Watch], wake: Callable[[], None]) -> None:
        self.watches = watches
        self.wake = wake


class Hub:
    """Wakes who follows. Use `hub()`; one of these belongs to one process."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a print in a signal handler may come while it is held
        self._inotify: Inotify | None = None
        self._by_number: dict[int, set[Watch]] = {}
        self._waiters: set[_Waiter] = set()
        self._leader: _Waiter | None = None
        self._loops: weakref.WeakSet[asyncio.AbstractEventLoop] = weakref.WeakSet()
        self._bell: tuple[int, int] | None = None  # a pipe that gets the leader out of its poll

    def watch(self, log: Watchable) -> Watch:
        """Begin to watch a log. Close the watch when done."""
        return Watch(self, log)

    def _add(self, path: str, watch: Watch) -> int:
        with self._lock:
            if self._inotify is None:
                self._inotify = Inotify()
                if self._leader is not None:  # it polls without: have it begin anew
                    self._leader.wake()
            number = self._inotify.add(path)
            self._by_number.setdefault(number, set()).add(watch)
            return number

    def _remove(self, number: int, watch: Watch) -> None:
        with self._lock:
            watches = self._by_number.get(number, set())
            watches.discard(watch)
            if not watches and self._by_number.pop(number, None) is not None and self._inotify is not None:
                self._inotify.remove(number)

    def _drain(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        """Read what inotify has and wake whom it concerns; `loop` is the one that calls this."""
        if self._inotify is None:
            return
        numbers = self._inotify.drain()
        if not numbers:
            return
        with self._lock:
            if -1 in numbers:  # the kernel's queue ran over: anything may have happened
                numbers.update(self._by_number)
            watches = {watch for number in numbers for watch in self._by_number.get(number, ())}
            for watch in watches:
                watch._hear(numbers)
        self._wake(watches, loop)

    def _wake(self, watches: set[Watch], loop: asyncio.AbstractEventLoop | None = None) -> None:
        with self._lock:
            for watch in watches:
                watch.version += 1
            called = [waiter for waiter in tuple(self._waiters) if not watches.isdisjoint(waiter.watches)]
        for waiter in called:
            if loop is not None and isinstance(waiter, _Task) and waiter.loop is loop:
                waiter.finish()  # it is awake: to wake it as another thread must costs it a round
            else:
                waiter.wake()

    def wait(self, seen: Seen, timeout: float | None) -> bool:
        """Block this thread until there is news, or may be; return False when `timeout` seconds passed."""
        deadline = None if timeout is None else time.monotonic() + timeout
        polled = any(watch.polled for watch, _ in seen)
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
        waiter = _Waiter([watch for watch, _ in seen], called.set)
        with self._lock:
            if _changed(seen):
                return
            bell = self._bell = self._bell or os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
            leads = self._leader is None
            if leads:
                self._leader = waiter
                waiter.wake = lambda: _ring(bell[1])
            self._waiters.add(waiter)
        try:
            if leads:
                self._lead(bell[0], timeout)
            else:
                called.wait(timeout)
        finally:
            with self._lock:
                self._waiters.discard(waiter)
                if self._leader is waiter:
                    self._leader = None
                heir = None
                if self._leader is None:
                    heir = next((other for other in self._waiters if not isinstance(other, _Task)), None)
            if heir is not None:
                heir.wake()  # it finds no news, waits again and so becomes the leader

    def _lead(self, bell: int, timeout: float | None) -> None:
        """Poll for everybody until there is news (for whomever) or the time is up."""
        poller = select.poll()
        poller.register(bell, select.POLLIN)
        if self._inotify is not None:
            poller.register(self._inotify.fd, select.POLLIN)
        for fd, _event in poller.poll(None if timeout is None else max(timeout * 1000, 0)):
            if fd == bell:
                _silence(bell)
            else:
                self._drain()

    async def wait_async(self, seen: Seen, timeout: float | None) -> bool:
        """Suspend this task until there is news, or may be; return False when `timeout` seconds passed."""
        import asyncio

        loop = asyncio.get_running_loop()
        polled = any(watch.polled for watch, _ in seen)
        if polled:
            timeout = _POLL if timeout is None else min(timeout, _POLL)
        future: asyncio.Future[None] = loop.create_future()
        waiter = _Task([watch for watch, _ in seen], loop, future)
        with self._lock:
            self._listen(loop)
            if _changed(seen):
                return True
            self._waiters.add(waiter)
        timer = None if timeout is None else loop.call_later(timeout, waiter.finish)
        try:
            await future
        finally:
            if timer is not None:
                timer.cancel()
            with self._lock:
                self._waiters.discard(waiter)
        return polled or _changed(seen)

    def _listen(self, loop: asyncio.AbstractEventLoop) -> None:
        """Have an event loop poll, unless it does already; the lock is held."""
        if self._inotify is not None and loop not in self._loops:
            loop.add_reader(self._inotify.fd, self._drain, loop)
            self._loops.add(loop)

    def _abandon(self) -> None:
        """In a forked child: the parent's descriptors are not ours to read; its watches poll from now on."""
        self._lock = threading.RLock()
        for watch in {watch for watches in self._by_number.values() for watch in watches}:
            watch.polled = True
        self._by_number.clear()
        self._waiters.clear()
        self._leader = None
        fds = [self._inotify.fd] if self._inotify else []
        for fd in [*fds, *(self._bell or ())]:
            with contextlib.suppress(OSError):
                os.close(fd)
        self._inotify = self._bell = None


def _changed(seen: Seen) -> bool:
    return any(watch.version != version for watch, version in seen)


class _Task(_Waiter):
    """A task that waits; it may be woken from another thread."""

    def __init__(
        self,
        watches: Sequence[Watch],
        loop: asyncio.AbstractEventLoop,
        future: asyncio.Future[None],
    ) -> None:
        super().__init__(watches, self._call)
        self.loop, self._future = loop, future

    def _call(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits there any more
            self.loop.call_soon_threadsafe(self.finish)

    def finish(self) -> None:
        """Let the task go on, once."""
        if not self._future.done():
            self._future.set_result(None)


def _ring(fd: int) -> None:
    with contextlib.suppress(BlockingIOError):  # it rings already
        os.write(fd, b"!")


def _silence(fd: int) -> None:
    with contextlib.suppress(BlockingIOError):
        os.read(fd, 4096)


_hub: Hub | None = None
_hub_lock = threading.Lock()


def hub() -> Hub:
    """Return this process's hub, made at the first call and anew after a fork."""
    global _hub
    with _hub_lock:
        if _hub is None:
            _hub = Hub()
        return _hub


def _forget() -> None:
    global _hub, _hub_lock
    old, _hub, _hub_lock = _hub, None, threading.Lock()
    if old is not None:
        old._abandon()


os.register_at_fork(after_in_child=_forget)
