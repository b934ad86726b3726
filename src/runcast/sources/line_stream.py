"""The stdout and stderr of a process of a run's own: text in whole lines, in few writes, soon.

Owns the streams that replace Python's own there. On a pipe those are either buffered, which delays
output, or unbuffered, with a write for each piece of a print, which tears the lines of several
workers. Here text is buffered as in Python's own streams, and a thread writes whole lines after some
milliseconds; no write exceeds the size that the kernel writes atomically. The buffer is flushed before
anything else may write to the descriptors (a child, `os.write`, stderr). Processes that
multiprocessing or joblib starts from here get the same streams.
"""

from __future__ import annotations

import atexit
import contextlib
import io
import os
import select
import sys
import threading
import time
from _thread import start_new_thread
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from runcast.sysio.forks import at_fork

__all__ = ["hear", "install", "postpone"]

_TICK_SECONDS = 0.005  # how long text is held: an unnoticeable delay
_IDLE_SECONDS = 0.025  # the same, after a while without output
_IDLE_TICKS = 200
_REST_TICKS = 8  # how long an unfinished line is held: on a busy machine a print may take a while
_CHUNK_CHARACTERS = 64 * 1024  # that the wrapper joins to one piece
_MOST_PIECES = 64  # held while the pipe is full
_ATOMIC_BYTES = select.PIPE_BUF  # writes up to this size are atomic on a pipe
_own_write = os.write
_OTHERS = {"os.system", "subprocess.Popen", "os.posix_spawn", "os.exec", "os.fork", "os.forkpty"}


class _LineBuffer(io.BufferedIOBase):
    """A buffer before a descriptor: whole lines are written, an unfinished one is held.

    `write` is a method in C, which no other thread or signal handler can interrupt: a text stream whose
    buffer is implemented in Python loses bytes of concurrent prints (fixed in Python 3.12.4, gh-119506).
    """

    def __init__(self, fd: int, name: str, before: Callable[[], None] | None = None) -> None:
        self.name = name
        self.raw = io.FileIO(fd, "wb", closefd=False)
        self.begin()
        self._before = before
        self._pieces: deque[bytes] = deque()
        self.write = self._pieces.append  # type: ignore[assignment]
        self._poll = select.poll()
        self._poll.register(fd, select.POLLOUT)
        self._rest = 0  # bytes of an unfinished line
        self._came = False  # whether there was output since the last tick
        self._ticks = 0  # since the last output
        self.crowded: Callable[[], None] = lambda: None  # called while the buffer is over its limit
        self.heard: Callable[[bytes], object] | None = None  # called with what is about to be written

    def begin(self) -> None:
        """Replace the lock in a forked process: a thread of the parent may have held it."""
        self.lock = threading.RLock()
        self.whole = False  # whether a flush must write whole lines only

    @property
    def waiting(self) -> int:
        """The number of buffered pieces."""
        return len(self._pieces)

    def writable(self) -> bool:
        """Return True."""
        return True

    def fileno(self) -> int:
        """Return the descriptor."""
        return self.raw.fileno()

    def isatty(self) -> bool:
        """Return whether it is a terminal's."""
        return self.raw.isatty()

    def flush(self) -> None:
        """Write the whole buffer; only whole lines if the flush is internal."""
        with self.lock:
            self._put(rest=not self.whole)
        _settle()

    def let_go(self) -> bool:
        """Write an unfinished line if it was held for long; return whether there was output since."""
        with self.lock:
            came, self._came = self._came, False
            self._ticks = 0 if came else self._ticks + 1
            if self._ticks == _REST_TICKS:
                self._put(rest=True)
        return came

    def _put(self, *, rest: bool) -> None:
        data = b"".join(self._pieces.popleft() for _ in range(len(self._pieces)))
        self._came = self._came or len(data) > self._rest
        end = len(data) if rest else data.rfind(b"\n") + 1
        self._rest = len(data) - end
        if self._rest:
            self._pieces.appendleft(data[end:])
        if end and self._before is not None:
            self._before()
        if end and self.heard is not None:
            self.heard(data[:end])
        at = 0
        while at < end:
            to = min(end, at + _ATOMIC_BYTES)
            if to < end:
                to = data.rfind(b"\n", at, to) + 1 or to
            self.crowded()
            if not self._poll.poll(_TICK_SECONDS * 1000):
                continue
            with contextlib.suppress(BlockingIOError):
                at += _own_write(self.raw.fileno(), data[at:to])


class _ByteBuffer(io.BufferedIOBase):
    """`sys.stdout.buffer`: writes bytes behind the text that was printed before."""

    def __init__(self, text: _Text, lines: _LineBuffer) -> None:
        self._text, self._lines = text, lines
        self.name, self.raw = lines.name, lines.raw

    def writable(self) -> bool:
        """Return True."""
        return True

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._lines.fileno()

    def isatty(self) -> bool:
        """Return whether it is a terminal's."""
        return self._lines.isatty()

    def write(self, data: Any, /) -> int:
        """Write bytes."""
        piece = bytes(data)
        self._text.push()
        self._text.room()
        self._lines.write(piece)
        return len(piece)

    def flush(self) -> None:
        """Write all that is there."""
        self._text.flush()


class _Text(io.TextIOWrapper):
    """A text stream in C, as Python's own; a thread flushes it."""

    closed = False  # read by the wrapper at each write, and faster than its own property

    def __init__(self, lines: _LineBuffer, like: Any, *, line_buffering: bool) -> None:
        super().__init__(lines, like.encoding, like.errors, "\n", line_buffering)
        self._lines = lines
        self._bytes = _ByteBuffer(self, lines)
        self.mode = "w"  # type: ignore[misc]
        self._CHUNK_SIZE = _CHUNK_CHARACTERS
        lines.crowded = self._crowd

    def close(self) -> None:
        """Write the whole buffer, then refuse writes. The descriptor stays open."""
        if not self.closed:
            self.flush()
            self.closed = True

    @property
    def buffer(self) -> Any:
        """The binary stream."""
        return self._bytes

    def hear(self, call: Callable[[bytes], object]) -> None:
        """Call something with all that is written from now on, before it is."""
        self._lines.heard = call

    def begin(self) -> None:
        """Reset in a forked process."""
        self._lines.begin()
        self._calm()

    def is_mine(self) -> bool:
        """Whether this thread is writing."""
        return self._lines.lock._is_owned()  # type: ignore[attr-defined, no-any-return]

    def push(self) -> None:
        """Write the whole lines."""
        with self._lines.lock:
            self._lines.whole = True
            try:
                self.flush()
            finally:
                self._lines.whole = False
        _settle()

    def tick(self) -> bool:
        """Write the whole lines, and an old unfinished one; return whether there was output meanwhile."""
        self.push()
        if self._lines.waiting < _MOST_PIECES:
            self._calm()
        return self._lines.let_go()

    def room(self) -> None:
        """Wait until there is room, if the buffer is over its limit."""
        while self._lines.waiting >= _MOST_PIECES and not self.is_mine():
            time.sleep(_TICK_SECONDS)

    def _crowd(self) -> None:
        """Make prints wait, by a method in place of the one in C, because the pipe is full."""
        if self._lines.waiting >= _MOST_PIECES:
            vars(self)["write"] = self._write_slowly

    def _calm(self) -> None:
        vars(self).pop("write", None)

    def _write_slowly(self, text: str, /) -> int:
        self.room()
        return super().write(text)


_streams: list[_Text] = []
_looking = threading.Lock()  # held while the thread flushes the streams
_over = False
_postponed: Callable[[], None] | None = None


def install() -> None:
    """Replace this process's streams, for good. A second call does nothing."""
    if _streams or sys.stdout is None or sys.stderr is None:
        return
    _push_all((sys.stdout, sys.stderr))
    _streams.append(_Text(_LineBuffer(1, "<stdout>"), sys.stdout, line_buffering=False))
    before = partial(_push_all, _streams[:1])  # in the order of the prints
    _streams.append(_Text(_LineBuffer(2, "<stderr>", before), sys.stderr, line_buffering=True))
    sys.stdout = sys.__stdout__ = _streams[0]  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = _streams[1]  # type: ignore[misc]
    os.write = _after_prints(os.write)
    os._exit = _after_prints(os._exit)
    sys.addaudithook(_audit)
    at_fork(_begin)
    atexit.register(_end)
    _begin()
    _hand_on()


def hear(listener: Callable[[], Callable[[bytes], object]]) -> None:
    """Have what each of the streams writes heard by a listener of its own."""
    for stream in _streams:
        stream.hear(listener())


def postpone(call: Callable[[], None]) -> bool:
    """Defer a call, which may raise, until this thread has finished its present write.

    Returns False if it is not writing. For signal handlers, in the main thread.
    """
    global _postponed
    if not any(stream.is_mine() for stream in _streams):
        return False
    _postponed = call
    return True


def _settle() -> None:
    global _postponed
    if _postponed is not None and threading.current_thread() is threading.main_thread():
        call = _postponed
        if not postpone(call):
            _postponed = None
            call()


def _push_all(streams: Iterable[Any]) -> None:
    for stream in streams:
        with contextlib.suppress(OSError, ValueError):  # the pipe has no reader; the stream is closed
            stream.flush()


def _begin() -> None:
    """Start the thread that flushes the streams, in this process."""
    global _looking
    _looking = threading.Lock()
    for stream in _streams:
        stream.begin()
    try:
        start_new_thread(_look, ())
    except RuntimeError:  # no more threads
        _write_at_once()


def _look() -> None:
    idle = 0
    while True:
        time.sleep(_TICK_SECONDS if idle < _IDLE_TICKS else _IDLE_SECONDS)
        idle += 1
        with _looking:
            if _over:
                return
            for stream in _streams:
                with contextlib.suppress(OSError, ValueError):
                    if stream.tick():
                        idle = 0


def _end() -> None:
    """Stop the thread before the interpreter ends, which would freeze it with the lock held."""
    global _over
    with _looking:
        _over = True
    _write_at_once()


def _write_at_once() -> None:
    """Flush after each line, since there is no thread to do it."""
    for stream in _streams:
        with contextlib.suppress(ValueError):
            stream.reconfigure(line_buffering=True)


def _audit(event: str, _: object) -> None:
    if event in _OTHERS:
        _push_all(_streams)


def _after_prints(own: Callable[..., Any]) -> Callable[..., Any]:
    def function(number: int, *data: Any) -> Any:
        if not data or number in (1, 2):  # `os._exit`; or a descriptor of the streams
            _push_all(_streams)
        return own(number, *data)

    return function


def _before_results(own: Callable[..., Any]) -> Callable[..., Any]:
    def _send_bytes(self: Any, data: Any) -> Any:
        _push_all(_streams)
        return own(self, data)

    return _send_bytes


class _Installed:
    """Is pickled along with a process of multiprocessing, and installs the streams there."""

    def __reduce__(self) -> Any:
        return install, ()


def _hand_on() -> None:
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

    # A pool ends its workers once it has their results: flush before sending those.
    Connection._send_bytes = _before_results(Connection._send_bytes)  # type: ignore[attr-defined]

    own = BaseProcess.start

    def start(self: BaseProcess) -> None:
        vars(self).setdefault("_runcast", _Installed())
        own(self)

    BaseProcess.start = start  # type: ignore[method-assign]
