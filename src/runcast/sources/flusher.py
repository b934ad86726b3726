"""A timer for lines that stay unfinished: one thread, for all runs of a process.

Owns the intervals, and sleeps while there are no such lines. Must not know what a printer does then.
"""

from __future__ import annotations

import threading
import time
from _thread import start_new_thread  # takes no lock, waits for nobody, and is never joined at the exit
from collections import deque
from queue import SimpleQueue
from typing import Protocol

from runcast import loggers

__all__ = ["Flusher", "Held"]

_HOLD_SECONDS = 0.005  # how long an unfinished line is held: an unnoticeable delay


class Held(Protocol):
    """Something that holds unfinished lines."""

    def let_go(self, tick: int) -> None:
        """Append those that were held before a tick."""


class Flusher:
    """One thread per process that flushes unfinished lines; asleep while there are none.

    Attributes:
        tick: the number of intervals so far.
        over: whether the interpreter is about to end: the thread will not run again.
    """

    def __init__(self) -> None:
        self.tick = 0
        self.over = False
        self._expecting: deque[Held] = deque()
        self._started = threading.Lock()  # taken once, for good
        self._bell: SimpleQueue[None] = SimpleQueue()  # reentrant for signal handlers, unlike Event
        self._awake = False

    def expect(self, printer: Held) -> bool:
        """Schedule a call of `let_go` in some milliseconds; return False if that is impossible."""
        if self.over:
            return False
        if not self._started.locked() and self._started.acquire(blocking=False):
            try:
                start_new_thread(self._run, ())
            except RuntimeError:  # no more threads, or no more interpreter
                self._started.release()
                return False
        self._expecting.append(printer)
        if not self._awake:  # while lines keep coming it stays awake, and need not be woken
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
                    self._expecting.popleft().let_go(self.tick)
                except Exception as error:  # a fault of one log must not affect the others
                    loggers.error("threads", "an unfinished line cannot be appended", failure=error)
