"""What a run prints, in order, into its log, whoever prints it and whenever.

Whoever prints puts a piece into a queue, and whoever finds the lock free empties the queue for
all: nobody waits for a lock that the code below it on the stack may hold, so a print in a signal
handler or in `__del__` is as good as any other. `print("x")` makes two writes, so an unfinished
line is held for a moment and costs one append with its end; a thread of the process lets go of
what stays unfinished. A forked child writes into a pipe, for a log has one writer.
Must not know which streams are captured (capture.py) or what a run is.
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
import traceback
import weakref
from _thread import start_new_thread  # takes no lock, waits for nobody, and is never joined at the exit
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from threading import get_ident

from runcast.errors import LogClosed, StoreUnusable
from runcast.model import Channel
from runcast.shortages import TOO_MANY_PROCESSES
from runcast.sources.pipe import Pipe

__all__ = ["Printer", "encoded"]

_HOLD_SECONDS = 0.005  # so long an unfinished line waits for its end: nobody sees the delay
_HOLD_BYTES = 4096  # a line that is longer has nothing to gain by waiting
_HOLD_PIECES = 64  # the same, in writes
_QUEUE_PIECES = 1000  # beyond it who prints waits for who appends
_PATIENCE = 1000  # milliseconds, and then goes on: it may hold what the one who appends waits for
_PIPE_READS = 32  # at once: a program that never pauses must not keep a print from returning

_LF = ord("\n")
_REFUSED = (OSError, LogClosed, StoreUnusable)  # how a log says no; anything else is for who prints


class Printer:
    """Puts what one run prints into its log. Close it before the log.

    Args:
        append: takes the bytes; called by one thread at a time, and never while it is being called.
        check: called before each write by the run's own code; what it raises comes out of the print.
    """

    def __init__(
        self, append: Callable[[Channel, bytes], object], check: Callable[[], None] | None = None
    ) -> None:
        self.owner: object = None  # for whoever wants to know whose prints these are
        self._append = append
        self._check = check
        self._pipes: dict[Channel, Pipe] = {}
        self._direct = True  # false once closed, and in a forked child
        self._closed = self._remote = False
        self._begin()
        _printers.add(self)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._holder = 0  # the thread that has it
        self._queue: deque[tuple[Channel | None, int, bytes]] = deque()
        self._tickets = itertools.count(1)  # of those who flush, in the place of a thread
        self._passed = 0
        # The rest belongs to whoever has the lock. One unfinished line a thread: lines of others
        # do not fall into it, and what the thread prints to its other channel comes behind it.
        self._held: dict[int, tuple[Channel, bytes, int]] = {}
        self._armed = False  # the flusher will look here

    @property
    def closed(self) -> bool:
        """Whether nothing is taken any more."""
        return self._closed

    def write(self, channel: Channel, text: str | bytes) -> bool:
        """Put text or bytes at the end; return False, having done nothing, once closed."""
        if not self._direct:
            return self._remote and self._write_remote(channel, encoded(text))
        if self._check is not None:
            self._check()
        queue = self._queue
        try:
            whole = "\n" in text  # of bytes that asks is slower than to ask of text
            data = text.encode()  # type: ignore[union-attr]
        except (TypeError, AttributeError, UnicodeEncodeError):
            data = encoded(text)
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
        # Emptied by us, unless somebody does so already: then that one does it for us too. A free
        # lock is taken by `with` although it may be taken meanwhile: only `with` lets no exception
        # from a signal handler come between the taking and the giving back.
        lock = self._lock
        while queue and not lock.locked():
            with lock:
                self._empty(thread)
        if len(queue) > _QUEUE_PIECES:
            self._wait()
        return True

    def flush(self) -> None:
        """Append what is held now, before what will be written to a descriptor."""
        if self._direct and (self._queue or self._held or self._pipes):
            ticket = next(self._tickets)
            self._queue.append((None, ticket, b""))
            self._drain()
            if self._pipes:
                self._pass(ticket)

    def fileno(self, channel: Channel) -> int:
        """Return a descriptor for what writes to descriptors: the writing end of a pipe into the log.

        Raises:
            UnsupportedOperation: the printer is closed, or belongs to the parent of a forked
                child and had no pipe then.
        """
        pipe = self._pipes.get(channel)
        if pipe is None and self._direct:
            made = Pipe()
            pipe = self._pipes.setdefault(channel, made)
            if pipe is made:
                self._follow(pipe)
            else:  # another thread was faster
                made.close()
        if pipe is None or self._closed:
            raise io.UnsupportedOperation("expected a run that goes on, this one's output is closed: fileno")
        self.flush()
        return pipe.writer

    def _follow(self, pipe: Pipe) -> None:
        """Have somebody read a pipe: a thread of its own, else the flusher until there can be one."""
        if not pipe.follow(self._take) and not _flusher.over and not self._arm():
            raise BlockingIOError(errno.EAGAIN, f"{TOO_MANY_PROCESSES.what}: nobody could read this pipe")

    def between(self, do: Callable[[], object]) -> None:
        """Call something between two appends, as what closes the log's files for a while must be."""
        if self._holder == get_ident():
            raise RuntimeError(
                "expected to be called from anywhere but an append, which would wait for itself"
            )
        with self._lock:
            do()
        self._drain()

    def close(self) -> None:
        """Append all that was printed, then take nothing more. A second close does nothing."""
        if self._closed:
            return
        self._direct, self._closed = False, True
        if self._remote or self._holder == get_ident():  # not ours; or below us on the stack: it goes on
            return
        with self._lock:
            self._empty()
            self._let_go()
            self._read_pipes()
        for pipe in self._pipes.values():
            pipe.close()

    def _drain(self) -> None:
        while self._queue and not self._lock.locked():
            with self._lock:
                self._empty()

    def _pass(self, ticket: int) -> None:
        """Wait until whoever appends has passed a place in the queue: it may be reading a pipe by now."""
        for _ in range(_PATIENCE):
            if self._passed >= ticket or self._holder == get_ident():
                return
            time.sleep(0.001)
            self._drain()

    def _wait(self) -> None:
        if self._holder == get_ident():
            return
        for _ in range(_PATIENCE):
            if len(self._queue) <= _QUEUE_PIECES:
                return
            time.sleep(0.001)
        self._drain()

    def _empty(self, holder: int = 0) -> None:
        """Append what is in the queue, but for unfinished lines. Whoever calls this has the lock."""
        self._holder = holder or get_ident()
        queue, held, append = self._queue, self._held, self._append
        try:
            while queue:
                channel, thread, data = queue.popleft()
                if channel is None:
                    self._passed = max(self._passed, thread)
                    self._let_go()
                    self._read_pipes()
                    continue
                if thread in held:
                    begun, start, _ = held.pop(thread)
                    if begun is channel:
                        data = start + data
                    else:
                        self._put(begun, start)
                elif queue and queue[0][1] == thread and queue[0][0] is channel:  # `print`: its text, its end
                    data += queue.popleft()[2]
                if data and data[-1] != _LF:
                    end = data.rfind(b"\n") + 1
                    if len(data) - end < _HOLD_BYTES and (self._armed or self._arm()):
                        held[thread] = (channel, data[end:], _flusher.tick)
                        if not end:
                            continue
                        data = data[:end]
                if self._pipes:  # what was written there was written before
                    self._read_pipes()
                try:
                    append(channel, data)
                except _REFUSED as error:
                    self._rescue(channel, data, error)
        finally:
            self._holder = 0

    def _put(self, channel: Channel, data: bytes) -> None:
        try:
            self._append(channel, data)
        except _REFUSED as error:
            self._rescue(channel, data, error)

    def _rescue(self, channel: Channel, data: bytes, error: Exception) -> None:
        """Write what the log did not take (closed first, its folder gone) where it is not lost silently."""
        if isinstance(error, OSError) and error.errno is None:
            raise error  # not the system's: the TimeoutError of a signal handler, say
        with contextlib.suppress(OSError):
            os.write(2 if channel is Channel.STDERR else 1, data)

    def _let_go(self, before: int | None = None) -> None:
        """Append the unfinished lines, or those held before a tick of the flusher. Needs the lock."""
        for thread, (channel, data, tick) in list(self._held.items()):
            if before is None or tick < before:
                del self._held[thread]
                self._put(channel, data)

    def _arm(self) -> bool:
        """Have the flusher look here soon; return whether there is one."""
        self._armed = True
        self._armed = _flusher.expect(self)
        return self._armed

    def _tick(self, tick: int) -> None:
        """Let go of lines that were unfinished for long enough; the flusher's thread calls this."""
        self._armed = False
        with self._lock:
            self._empty()
            self._let_go(tick)
            self._follow_later()
            if self._held and not self._armed and not self._arm():
                self._let_go()
        self._drain()

    def _follow_later(self) -> None:
        """Read the pipes for which there was no thread, and look for one again. Needs the lock."""
        alone = [pipe for pipe in self._pipes.values() if not pipe.followed]
        if alone and not self._closed:
            self._read_pipes()
            if not all(pipe.follow(self._take) for pipe in alone):
                self._arm()

    def _take(self) -> bool:
        """Append what came through the pipes; return whether more may come. A pipe's thread calls this."""
        with self._lock:
            if self._closed:
                return False
            self._empty()
            self._read_pipes()
        self._drain()
        return True

    def _read_pipes(self) -> None:
        for channel, pipe in list(self._pipes.items()):
            for _ in range(_PIPE_READS):
                data = pipe.read()
                if not data:
                    break
                self._put(channel, data)

    def _write_remote(self, channel: Channel, data: bytes) -> bool:
        pipe = self._pipes.get(channel)
        return pipe is not None and not self._closed and pipe.write(data)

    def _leave(self) -> None:
        """In a forked child: the log and what is not yet in it are the parent's, the pipes are for us."""
        self._begin()
        self._direct, self._remote = False, True
        for pipe in self._pipes.values():
            pipe.leave()


def encoded(text: str | bytes) -> bytes:
    """Return what is printed as bytes; nothing that a `str` can hold is an error."""
    if not isinstance(text, str):
        return bytes(memoryview(text))  # a copy: whoever prints may change it afterwards
    try:
        return text.encode("utf-8", "surrogateescape")  # names of files that are not UTF-8 get their bytes
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace")  # half of a pair


class _Flusher:
    """One thread a process that looks after unfinished lines; asleep while there are none."""

    def __init__(self) -> None:
        self.tick = 0
        self.over = False  # the interpreter is about to end: no thread will come back here
        self._expecting: deque[Printer] = deque()
        self._started = threading.Lock()  # taken once, for good
        self._bell: SimpleQueue[None] = SimpleQueue()  # no Event: a signal handler may ring while we do
        self._awake = False

    def expect(self, printer: Printer) -> bool:
        """Look at a printer some milliseconds from now; return False where nobody can."""
        if self.over:
            return False
        if not self._started.locked() and self._started.acquire(blocking=False):
            try:
                start_new_thread(self._run, ())
            except RuntimeError:  # no more threads, or no more interpreter
                self._started.release()
                return False
        self._expecting.append(printer)
        if not self._awake:  # while lines come it stays awake, and none of them has to ring
            self._bell.put(None)
        return True

    def _run(self) -> None:
        idle = 0
        while not self.over:
            if self._expecting:
                idle = 0
            elif (idle := idle + 1) > 1:
                self._awake = False
                if not self._expecting:
                    self._bell.get()
                idle = 0
            self._awake = True
            time.sleep(_HOLD_SECONDS)
            self.tick += 1
            for _ in range(len(self._expecting)):
                try:
                    self._expecting.popleft()._tick(self.tick)
                except Exception:  # one log's fault is not the end of all unfinished lines
                    traceback.print_exc()

    def end(self) -> None:
        """Append all that is held and hold nothing from now on."""
        self.over = True
        deadline = time.monotonic() + _PATIENCE / 1000
        for printer in list(_printers):
            printer.flush()
            # A daemon thread in the midst of an append is frozen soon: let it finish that one.
            while printer._lock.locked() and time.monotonic() < deadline:
                time.sleep(0.001)


_printers: weakref.WeakSet[Printer] = weakref.WeakSet()
_flusher = _Flusher()


def _end() -> None:
    _flusher.end()


def _in_child() -> None:
    global _flusher
    _flusher = _Flusher()
    for printer in list(_printers):
        printer._leave()


atexit.register(_end)
os.register_at_fork(after_in_child=_in_child)
