"""A terminal at a run, from its first key to its last: what is typed goes there, its output comes here.

Owns the session of one terminal. The main thread reads the keyboard and takes signals; all that may wait,
for a program, a server or a terminal, has threads of its own, so that the keys that detach always work. No
signal handler raises. The run goes on when a session ends, for whatever reason: the terminal is given back,
and a message tells how to come back.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from runcast.cli.detach_keys import HOLD_SECONDS, DetachKeys
from runcast.cli.keyboard import Keyboard
from runcast.cli.raw_terminal import RawTerminal
from runcast.cli.screen import Screen
from runcast.cli.terminal import OutputClosed, OutputFailed
from runcast.errors import RuncastError
from runcast.escapes.queries import without_replies
from runcast.own_thread import Background, begin

if TYPE_CHECKING:
    from runcast.cli.any_runs import AnyRun

__all__ = ["Session"]

_STDIN: Final = 0
_READ_BYTES: Final = 64 * 1024
_WAITING_BYTES: Final = 1024 * 1024  # of what was typed and is not taken yet; with more, nothing is read
_LEAVE: Final = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_SIGNALS: Final = (*_LEAVE, signal.SIGINT, signal.SIGTSTP, signal.SIGCONT, signal.SIGWINCH)
_LAST_SECONDS: Final = 2.0  # for what was typed before the keys that detach
_REPLY_SECONDS: Final = 0.05  # a reply of the terminal comes at once; Alt and a letter look like a beginning
_CTRL_C: Final = b"\x03"
_NEWS: Final = b"\0"  # among the numbers of signals: a thread has something to tell


class Session:
    """One terminal at a run. Signals are taken from `with` on, which comes before a run is started.

    Args:
        terminal: the terminal.
        keys: those that detach.
    """

    def __init__(self, terminal: RawTerminal, keys: DetachKeys) -> None:
        self._terminal, self._keys = terminal, keys
        self._screen = Screen(terminal)
        self._replies = without_replies()
        self._problems: deque[str] = deque()
        self._ended = False  # nothing more is shown
        self._failure: Exception | None = None  # why, unless the log was closed
        self._signals, self._news = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._before: dict[int, object] = {}

    def __enter__(self) -> Session:
        signal.set_wakeup_fd(self._news, warn_on_full_buffer=False)
        for number in _SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, lambda *_: None)
        return self

    def __exit__(self, *_: object) -> None:
        self._screen.stop()
        signal.set_wakeup_fd(-1)
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal() gave

    def stay(self, run: AnyRun, *, attached: bool = False) -> int | None:
        """Connect the terminal and the run until one of them ends.

        Args:
            run: the run.
            attached: it went on before: the last of its output is shown first.

        Returns:
            the number of the signal that ends the session; 0 if the user detached; None if the run ended.

        Raises:
            OutputClosed, OutputFailed: the terminal is gone.
            RuncastError: see `Run.follow`.
        """
        self._keyboard = Keyboard(run, lambda: self._terminal.size, self._changed)
        self._terminal.take()
        present = self._draw if attached else None
        begin(Background(self._show, "runcast shows", (run, present)))
        if not attached:
            self._keyboard.resize()  # it may have changed meanwhile
        poll = select.poll()
        poll.register(self._signals, select.POLLIN)
        while not self._ended:
            ready = self._keyboard.waiting < _WAITING_BYTES
            poll.register(_STDIN, select.POLLIN if ready else 0)
            events = poll.poll(self._patience())
            if not events and self._forward(self._replies.flush() if self._replies.held else b""):
                self._send_last()
                return 0
            for fd, _ in events:
                number = self._type() if fd == _STDIN else self._take_signals()
                if number is not None:
                    if number == 0:
                        self._send_last()
                    return number
        if self._failure is not None:
            raise self._failure
        return None

    def _send_last(self) -> None:
        """Wait until what was typed is taken, unless the program does not read."""
        until = time.monotonic() + _LAST_SECONDS
        poll = select.poll()
        poll.register(self._signals, select.POLLIN)
        while self._keyboard.waiting and (left := until - time.monotonic()) > 0:
            if poll.poll(left * 1000):
                os.read(self._signals, _READ_BYTES)

    def _draw(self, full: bool) -> None:
        """Give the run the size of this terminal; have a program with the whole screen draw it anew."""
        self._keyboard.resize(redraw=full)

    def _show(self, run: AnyRun, present: Callable[[bool], object] | None) -> None:
        try:
            self._screen.show(run, present)
        except (OutputClosed, OutputFailed, RuncastError, OSError) as error:
            self._failure = error
        finally:
            self._ended = True
            self._tell()

    def _changed(self, problem: str) -> None:
        if problem:
            self._problems.append(problem)
        self._tell()

    def _tell(self) -> None:
        with contextlib.suppress(OSError):  # full, or the session is over
            os.write(self._news, _NEWS)

    def _type(self) -> int | None:
        """Take what was typed; return what ends the session."""
        try:
            data = os.read(_STDIN, _READ_BYTES)
        except OSError:  # EIO: the terminal is gone
            data = b""
        if not data:
            return int(signal.SIGHUP)
        return 0 if self._forward(self._replies.feed(data)) else None

    def _patience(self) -> float | None:
        """Return after how many milliseconds without a key what is held back is sent."""
        if self._replies.held:
            return _REPLY_SECONDS * 1000
        return HOLD_SECONDS * 1000 if self._keys.held else None

    def _forward(self, data: bytes) -> bool:
        """Send what was typed, or without anything what is held; return whether it detaches."""
        data, detach = self._keys.feed(data) if data else (self._keys.release(), False)
        if data:
            self._keyboard.type(data)
        return detach

    def _take_signals(self) -> int | None:
        """Do what signals demand, and show what threads have to tell; return what ends the session."""
        numbers = set(os.read(self._signals, _READ_BYTES))
        while self._problems:
            self._screen.say(self._problems.popleft())
        for number in _LEAVE:
            if number in numbers:
                return int(number)
        if signal.SIGINT in numbers:  # sent by somebody, since no key does it
            self._keyboard.type(_CTRL_C)
        if signal.SIGTSTP in numbers:
            self._terminal.give_back()
            os.kill(os.getpid(), signal.SIGSTOP)
        if numbers & {signal.SIGTSTP, signal.SIGCONT}:
            self._terminal.take()
            self._screen.redo()
            self._keyboard.resize(redraw=True)
        if signal.SIGWINCH in numbers:
            self._keyboard.resize()
        return None
