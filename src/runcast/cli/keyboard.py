"""What a terminal sends to the run that it is at: what is typed, and its size.

Owns two threads, since a program may not read what is typed for long, and its size must reach it all the
same. What cannot be sent, because a server restarts or a line is too long, is lost, for nobody wants to have
it typed some time later. A message says so once, until something arrives again. A line that is too long is
lost to its end, however many pieces it comes in: else its end would have a program read the half of it.

Several terminals may be at one run, which has the size of the one that was typed in last; to attach and
to change a window's size count as typing. That needs no list of terminals, none waits for another, and one
that has vanished keeps no other one small.
"""

from __future__ import annotations

import contextlib
import queue
import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from runcast.errors import RuncastError, RunFinished, UsageError
from runcast.own_thread import Background, begin

if TYPE_CHECKING:
    from runcast.cli.any_runs import AnyRun

__all__ = ["Keyboard", "behind_line"]

_REDRAW_SECONDS: Final = 0.1  # between two sizes, so that a program sees each of them
_END: Final = re.compile(rb"\r\n|[\r\n]")
_KEY: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")  # ends a line, edits it, or stops a program


class Keyboard:
    """Sends to a run.

    Args:
        run: the run.
        size: returns the columns and rows of the terminal.
        changed: called when `waiting` falls; with a sentence where what was typed, or a size, is lost.
    """

    def __init__(
        self, run: AnyRun, size: Callable[[], tuple[int, int]], changed: Callable[[str], object]
    ) -> None:
        self._accepted = self._taken = 0  # bytes; each is counted in one thread alone
        self._run, self._size, self._changed = run, size, changed
        self._typed: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._resizes: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._reported = False  # that something was lost
        self._refused = False  # a line whose end has not come
        begin(Background(self._send, "runcast types"))
        begin(Background(self._resize, "runcast resizes"))

    def type(self, data: bytes) -> None:
        """Send what was typed, some time."""
        self._accepted += len(data)
        self._typed.put(data)

    @property
    def waiting(self) -> int:
        """How many bytes were typed and are not taken yet."""
        return self._accepted - self._taken

    def resize(self, *, redraw: bool = False) -> None:
        """Give the run the size of this terminal; with `redraw` the program draws anew in any case."""
        self._resizes.put(redraw)

    def _send(self) -> None:
        while True:
            data = self._next()
            size, problem = len(data), ""
            if self._refused:
                rest = behind_line(data)
                data, self._refused = rest or b"", rest is None
            try:
                with contextlib.suppress(RuncastError):  # who may not resize it may send
                    self._set_size()
                if data:
                    self._run.send(data)
                    self._reported = False
            except RunFinished:
                return
            except UsageError as error:
                self._refused = not data.endswith((b"\r", b"\n"))
                problem = self._once(str(error))
            except RuncastError as error:  # before OSError, which some of them are
                problem = self._once(f"what was typed may be lost: {error}")
            except OSError:  # the terminal is gone
                return
            self._taken += size
            self._changed(problem)

    def _once(self, problem: str) -> str:
        """Return a problem to report; empty where one was reported since something arrived last."""
        before, self._reported = self._reported, True
        return "" if before else problem

    def _next(self) -> bytes:
        """Return what was typed since, as soon as there is anything."""
        parts = [self._typed.get()]
        with contextlib.suppress(queue.Empty):
            while True:
                parts.append(self._typed.get_nowait())
        return b"".join(parts)

    def _resize(self) -> None:
        while True:
            redraw = self._resizes.get()
            try:
                if not self._set_size() and redraw:
                    columns, rows = self._size()
                    self._run.resize(columns, rows - 1 or 2)
                    time.sleep(_REDRAW_SECONDS)
                    self._run.resize(columns, rows)
            except RunFinished:
                return
            except RuncastError as error:
                self._changed(self._once(f"the run does not have the size of this terminal: {error}"))
            except OSError:  # the terminal is gone
                return

    def _set_size(self) -> bool:
        """Give the run the size of this terminal; return whether it had another."""
        size, known = self._size(), self._run.size
        if known is not None and (known.columns, known.rows) == size:
            return False
        self._run.resize(*size)
        return True


def behind_line(data: bytes) -> bytes | None:
    """Return what was typed behind the line that it begins within; None if it is all of that line.

    A key that does something, such as Ctrl-U, ends the passing over, too, and counts.
    """
    found = _KEY.search(data)
    if found is None:
        return None
    end = _END.match(data, found.start())
    return data[found.start() if end is None else end.end() :]
