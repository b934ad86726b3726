"""The prints of a run, appended to its log in order, from any thread and at any time.

A print puts its text into a queue, and the thread that finds the lock free appends the queue for all.
No print waits for a lock that a frame below it on the stack may hold, so prints in signal handlers
and in `__del__` work like any other. `print("x")` makes two writes, so an unfinished line is held
briefly and appended together with its end; a thread appends lines that stay unfinished. A forked child
writes into a pipe, since a log has one writer. Must not know which streams are captured (capture.py)
or what a run is.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import io
import itertools
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from functools import partial
from threading import get_ident

from runcast.errors import LogClosed, RunNotFound, StoreUnusable
from runcast.model import Channel
from runcast.shortages import TOO_MANY_PROCESSES
from runcast.sources.child_lines import ChildLines, flush_at_exit
from runcast.sources.flusher import Flusher
from runcast.sources.pipe import CapturePipe
from runcast.sources.run_context import Identity, current
from runcast.sysio.forks import at_fork
from runcast.utf8 import encode

__all__ = ["Printer"]

_HOLD_BYTES = 4096  # a longer line gains nothing by being held
_HOLD_PIECES = 64  # the same, in writes
_QUEUE_PIECES = 1000  # beyond this length a print waits for the thread that appends
_WAIT_MS = 1000  # for at most so long: the printing thread may hold what the appending one waits for
_LEFTOVER_WAIT = 0.05
_LF = ord("\n")
_REFUSED = (OSError, LogClosed, RunNotFound, StoreUnusable)  # refusals of a log; others reach the caller


class Printer:
    """Appends the prints of one run to its log. Close it before the log.

    Args:
        append: appends bytes; called by one thread at a time, and never recursively.
        check: called before each write by the run's own code; the print raises its exceptions.
        folder: for temporary files, when descriptors are written to faster than it is appended.
    """

    def __init__(
        self,
        append: Callable[[Channel, bytes], object],
        check: Callable[[], None] | None = None,
        folder: str | None = None,
    ) -> None:
        self.owner: object = None  # the run whose prints these are
        self.starter: Identity | None = None
        self._append = append
        self._check = check
        self._folder = folder
        self._pipes: dict[Channel, CapturePipe] = {}
        self._direct = True  # false once closed, and in a forked child
        self._closed = False
        self._child: ChildLines | None = None  # in a forked child
        self._begin()
        _printers.add(self)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        # The thread that holds it, set right after it is taken and until it is released: a finalizer
        # may print at any call in between, and would otherwise wait for its own thread.
        self._holder = 0
        self._queue: deque[tuple[Channel | None, int, bytes]] = deque()
        self._tickets = itertools.count(1)  # number flushes in the queue, in place of a thread
        self._passed = 0
        # The rest is protected by the lock. One unfinished line per thread: lines of other threads do
        # not break it up, and what the thread prints to its other channel comes behind it.
        self._held: dict[int, tuple[Channel, bytes, int]] = {}
        self._armed = False  # the flusher will look here

    @property
    def closed(self) -> bool:
        """Whether writes are refused."""
        return self._closed

    def write(self, channel: Channel, text: str | bytes) -> bool:
        """Append text or bytes; return False, without any effect, once closed."""
        if not self._direct:
            return bool(self._child and not self._closed and self._child.write(channel, encode(text)))
        if self._check is not None:
            self._check()
        queue = self._queue
        try:
            whole = "\n" in text  # faster on text than on bytes
            data = text.encode()  # type: ignore[union-attr]
        except (TypeError, AttributeError, UnicodeEncodeError):
            data = encode(text)
            whole = data.find(b"\n") >= 0
        thread = get_ident()
        queue.append((channel, thread, data))
        if (
            not whole
            and (self._armed or self._arm())
            and len(queue) < _HOLD_PIECES
            and len(data) < _HOLD_BYTES
        ):
            return True
        # Empty the queue, unless another thread already does. `with` may wait if the lock is taken
        # meanwhile, but it alone is safe against an exception from a signal handler between taking
        # and releasing the lock.
        lock = self._lock
        while queue and not lock.locked():
            with lock:
                self._holder = thread
                try:
                    self._empty()
                finally:
                    self._holder = 0
        if queue and len(queue) > _QUEUE_PIECES:
            self._wait()
        return True

    def flush(self) -> None:
        """Append everything held, before anything that will be written to a descriptor."""
        if self._child is not None:
            self._child.flush()
        if self._direct and (self._queue or self._held or self._pipes):
            ticket = next(self._tickets)
            self._queue.append((None, ticket, b""))
            self._drain()
            if self._pipes:
                self._pass(ticket)

    def fileno(self, channel: Channel) -> int:
        """Return a descriptor for code that needs one: the writing end of a pipe into the log.

        Raises:
            UnsupportedOperation: the printer is closed, or belongs to the parent of a forked
                child and had no pipe then.
        """
        pipe = self._pipes.get(channel)
        if pipe is None and self._direct:
            made = CapturePipe(channel, self._folder)
            pipe = self._pipes.setdefault(channel, made)
            if pipe is made:
                self._follow(pipe)
            else:  # another thread was faster
                made.close()
        if pipe is None or self._closed:
            raise io.UnsupportedOperation("expected a run that goes on, this one's output is closed: fileno")
        self.flush()
        return pipe.number()

    def _follow(self, pipe: CapturePipe) -> None:
        """Have a pipe read by a new thread, or by the flusher until one can be started."""
        if not pipe.follow(self._take) and not _flusher.over and not self._arm():
            raise BlockingIOError(errno.EAGAIN, f"{TOO_MANY_PROCESSES.what}: nobody could read this pipe")

    def between(self, do: Callable[[], object]) -> None:
        """Call a function between two appends, such as one that closes the log's files for a while."""
        if self._holder == get_ident():
            raise RuntimeError(
                "expected to be called from anywhere but an append, which would wait for itself"
            )
        self._alone(do)
        self._drain()

    def end(self) -> bool:
        """Append all prints, then refuse more; return whether programs still have descriptors."""
        if self._closed:
            return False
        self._direct, self._closed = False, True
        if (
            self._child is not None or self._holder == get_ident()
        ):  # a parent's; or an append is below us on the stack, and continues
            return False
        self._alone(self._finish)
        return sum(pipe.is_left() for pipe in list(self._pipes.values())) > 0  # all of them hear

    def drain_leftovers(self, until: float, enough: Callable[[], bool]) -> None:
        """Append what programs write to descriptors after the end, while some have one.

        Args:
            until: the deadline, in monotonic seconds.
            enough: polled; returns whether to stop waiting.
        """
        while not enough() and (seconds := until - time.monotonic()) > 0:
            left = [pipe for pipe in list(self._pipes.values()) if pipe.is_left()]
            self._alone(self._read_pipes)
            if not left:
                return
            left[0].wait(min(seconds, _LEFTOVER_WAIT))

    def close(self) -> None:
        """Append all prints, then refuse more. A second close does nothing."""
        self.end()
        if self._child is not None or self._holder == get_ident():
            return
        self._alone(partial(self._read_pipes, last=True))
        pipes = list(self._pipes.values())
        self._alone(self._pipes.clear)  # with the lock, so that no thread is reading them
        for pipe in pipes:
            pipe.close()

    def _finish(self) -> None:
        self._empty()
        self._let_go()
        for pipe in self._pipes.values():
            pipe.end()
        self._read_pipes()

    def _alone(self, do: Callable[[], object]) -> None:
        """Call something with the lock."""
        thread = get_ident()
        with self._lock:
            self._holder = thread
            try:
                do()
            finally:
                self._holder = 0

    def _drain(self) -> None:
        while self._queue and not self._lock.locked():
            self._alone(self._empty)

    def _pass(self, ticket: int) -> None:
        """Wait until the appending thread has passed a position of the queue: it may be reading a pipe."""
        for _ in range(_WAIT_MS):
            if self._passed >= ticket or self._holder == get_ident():
                return
            time.sleep(0.001)
            self._drain()

    def _wait(self) -> None:
        if self._holder == get_ident():
            return
        for _ in range(_WAIT_MS):
            if len(self._queue) <= _QUEUE_PIECES:
                return
            time.sleep(0.001)
        self._drain()

    def _empty(self) -> None:
        """Append the queue, except unfinished lines. The caller has the lock."""
        queue, held, append = self._queue, self._held, self._append
        while queue:
            channel, thread, data = queue.popleft()
            if channel is None:
                self._passed = max(self._passed, thread)
                self._let_go()
                self._read_pipes()
                continue
            if held and thread in held:
                begun, start, _ = held.pop(thread)
                if begun is channel:
                    data = start + data
                else:
                    self._put(begun, start)
            elif queue:
                following, author, more = queue[0]
                if author == thread and following is channel:  # `print`: its text, its end
                    data += more
                    queue.popleft()
            if data and data[-1] != _LF:
                end = data.rfind(b"\n") + 1
                if len(data) - end < _HOLD_BYTES and (self._armed or self._arm()):
                    held[thread] = (channel, data[end:], _flusher.tick)
                    if not end:
                        self._read_pipes()  # the held text comes before what is written there from now on
                        continue
                    data = data[:end]
            if self._pipes:  # bytes in the pipes were written before this print
                self._read_pipes()
                if channel in self._pipes and self._pipes[channel].divert(data):
                    continue
            try:
                append(channel, data)
            except _REFUSED as error:
                self._rescue(channel, data, error)

    def _put(self, channel: Channel, data: bytes) -> None:
        try:
            self._append(channel, data)
        except _REFUSED as error:
            self._rescue(channel, data, error)

    def _rescue(self, channel: Channel, data: bytes, error: Exception) -> None:
        """Write what the log refused (it was closed, or its folder is gone) to the process's own streams."""
        if isinstance(error, OSError) and error.errno is None:
            raise error  # not a system error, but such as the TimeoutError of a signal handler
        with contextlib.suppress(OSError):
            os.write(2 if channel is Channel.STDERR else 1, data)

    def _let_go(self, before: int | None = None) -> None:
        """Append the unfinished lines, or those held before a tick of the flusher. Needs the lock."""
        for thread, (channel, data, tick) in list(self._held.items()):
            if before is None or tick < before:
                del self._held[thread]
                self._put(channel, data)

    def _arm(self) -> bool:
        """Have the flusher call `let_go` soon; return whether there is a flusher."""
        self._armed = True
        self._armed = _flusher.expect(self)
        return self._armed

    def let_go(self, tick: int) -> None:
        """Append lines that were unfinished for long enough. Called by the flusher's thread."""
        self._armed = False
        if self._child is not None:
            if self._child.tick():
                self._arm()
            return

        def look() -> None:
            self._empty()
            self._let_go(tick)
            self._follow_later()
            if self._held and not self._armed and not self._arm():
                self._let_go()

        self._alone(look)
        self._drain()

    def _follow_later(self) -> None:
        """Read the pipes that have no thread, and try again to start one. Needs the lock."""
        alone = [pipe for pipe in self._pipes.values() if not pipe.followed]
        if alone and not self._closed:
            self._read_pipes()
            if not all(pipe.follow(self._take) for pipe in alone):
                self._arm()

    def _take(self) -> bool:
        """Append what came through the pipes; return whether more may come. Called by a pipe's thread."""
        if self._closed:  # the thread that closes reads the rest
            return False
        self._alone(self._empty)
        self._alone(self._read_pipes)
        self._drain()
        return True

    def _read_pipes(self, *, last: bool = False) -> None:
        """Append what was written to descriptors before the call, not what a busy program adds meanwhile.

        The last time each pipe is read once at least, which tells of bytes that were dropped just before.
        """
        for channel, pipe in list(self._pipes.items()):
            rest = pipe.unread or last
            while rest > 0:
                data = pipe.read()
                if not data:
                    break
                self._put(channel, data)
                rest -= len(data)

    def leave(self, *, keep: bool) -> None:
        """Detach from the log in a forked child: the log and the queue belong to the parent.

        Code of the run keeps the pipes. Other code must not: the run would seem to have left programs.
        """
        self._begin()
        self._direct = False
        self._child = ChildLines(self._pipes, lambda: self._armed or self._arm())
        for pipe in self._pipes.values():
            pipe.leave(keep=keep)


_printers: weakref.WeakSet[Printer] = weakref.WeakSet()
_flusher = Flusher()


def _end() -> None:
    _flusher.over = True
    deadline = time.monotonic() + _WAIT_MS / 1000
    for printer in list(_printers):
        printer.flush()
        # A daemon thread within an append is about to be frozen: let it finish that append.
        while printer._lock.locked() and time.monotonic() < deadline:
            time.sleep(0.001)


def _in_child() -> None:
    global _flusher
    _flusher = Flusher()
    for printer in list(_printers):
        printer.leave(keep=printer is current.get())
    flush_at_exit(_end)


atexit.register(_end)
at_fork(_in_child)
