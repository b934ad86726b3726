"""Generators and iterables as runs: values, asked for one by one, become a log.

Owns laziness: a generator is advanced at most `ahead` values beyond the foremost reader, in
whichever process that is, and not at all while nobody reads. Who waits at the tail says so
(`want`), and that is all there is to know: a reader further back finds what is there. A `str` is
one line, `bytes` are raw output, anything else is a JSON value on channel data. While it waits a
generator has no thread and no descriptor.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextvars import copy_context
from typing import Any

from runcast.errors import UsageError
from runcast.model import Channel
from runcast.sources.function import Inside
from runcast.sources.printer import encoded
from runcast.sources.recording import Recording, as_value

__all__ = ["Demand", "encode", "run_iterator"]

_LINGER_SECONDS = 1.0  # a thread waits so long for somebody to want more, then it ends


def encode(value: object) -> tuple[Channel, bytes]:
    """Return a value as output.

    Raises:
        UsageError: it is none.
    """
    if isinstance(value, str):
        data = encoded(value)
        return Channel.STDOUT, data if data.endswith(b"\n") else data + b"\n"
    if isinstance(value, (bytes, bytearray, memoryview)):
        return Channel.STDOUT, bytes(value)
    try:
        return Channel.DATA, json.dumps(value, allow_nan=False, separators=(",", ":")).encode() + b"\n"
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(
            f"expected values that are str, bytes or JSON, got {value!r:.100}: {error}; yield str(value)?"
        ) from None


class Demand:
    """How far a generator may go. All calls come with its lock held, which is the caller's."""

    def __init__(self, ahead: int | None) -> None:
        self._ahead = ahead
        self._offset = -1  # where the foremost reader waits; -1: nobody ever did
        self._ends: deque[int] | None = None  # where values beyond it end; a deque is large: only if any

    def want(self, offset: int) -> None:
        """Note that somebody waits at an offset."""
        self._offset = max(self._offset, offset)
        while self._ends and self._ends[0] <= self._offset:
            self._ends.popleft()
        if not self._ends:
            self._ends = None

    def made(self, end: int) -> None:
        """Note that a value was made, which ends at an offset."""
        if self._ahead is not None and end > self._offset:
            self._ends = self._ends or deque()
            self._ends.append(end)

    @property
    def more(self) -> bool:
        """Whether the next value may be made."""
        return self._ahead is None or (self._offset >= 0 and len(self._ends or ()) < self._ahead)


def run_iterator(recording: Recording, iterable: Iterable[Any], ahead: int | None) -> None:
    """Have an iterable produce the output of a run, as far as it is wanted."""
    lazy = _Lazy(recording, iterable, ahead)
    recording.interrupt, recording.insist = lazy.stop, lazy.insist
    recording.wanted = lazy.want
    if ahead is None:
        lazy.want(0)


class _Lazy:
    """An iterator and the thread that advances it, while there is one."""

    def __init__(self, recording: Recording, iterable: Iterable[Any], ahead: int | None) -> None:
        self._recording = recording
        self._iterable = iterable
        self._iterator: Iterator[Any] | None = None
        self._context = copy_context()
        self._demand = Demand(ahead)
        self._lock = threading.RLock()
        self._news: threading.Condition | None = None  # what a thread waits for that has nothing to do
        self._busy = False  # whether a thread is at it, or it has ended
        self._inside = Inside()

    def want(self, offset: int) -> None:
        with self._lock:
            self._demand.want(offset)
            if self._demand.more:
                self._go()

    def stop(self) -> None:
        with self._lock:
            self._go()

    def insist(self) -> None:
        self._inside.insist()
        self.stop()

    def _go(self) -> None:
        if self._busy:
            if self._news is not None:
                self._news.notify()
            return
        self._busy = True
        name = f"run {self._recording.id}"
        try:
            threading.Thread(target=self._run, name=name, daemon=True).start()
        except RuntimeError:  # no thread can be started: there are too many, or the interpreter ends
            if self._recording.stopping is not None:
                self._run()
            else:
                self._busy = False  # whoever waits asks again

    def _run(self) -> None:
        while self._context.run(self._work):
            with self._lock:  # only now that the context is free another thread may be begun
                if not self._wanted():
                    self._busy = False
                    return

    def _work(self) -> bool:
        """Advance as far as is wanted; return False when it has ended."""
        recording = self._recording
        outcome = None
        rests = False
        try:
            with recording.recording():
                try:
                    self._iterator = self._iterator or iter(self._iterable)
                    while recording.stopping is None:
                        if self._demand.more or self._wait():
                            self._advance(self._iterator)
                        elif recording.stopping is None:
                            recording.park()  # no thread and no descriptor until somebody wants more
                            rests = True
                            return True
                    recording.told()  # by GeneratorExit
                    self._close(self._iterator)
                except StopIteration as end:
                    outcome = recording.outcome(0, value=as_value(end.value))
                except BaseException as error:
                    outcome = recording.failed(error, skip=3)
        finally:
            if not rests:
                self._iterable = self._iterator = None  # type: ignore[assignment]
                recording.finish(outcome or recording.outcome(None))
        return False

    def _advance(self, iterator: Iterator[Any]) -> None:
        value = self._inside.call(next, iterator)
        channel, data = encode(value)
        end = self._recording.append(channel, data)
        with self._lock:
            self._demand.made(end)

    def _wait(self) -> bool:
        """Wait a little for somebody to want more; return whether somebody does."""
        with self._lock:
            self._news = threading.Condition(self._lock)
            try:
                return self._news.wait_for(self._wanted, _LINGER_SECONDS) and self._demand.more
            finally:
                self._news = None

    def _wanted(self) -> bool:
        return self._demand.more or self._recording.stopping is not None

    def _close(self, iterator: Iterator[Any]) -> None:
        close: Callable[[], object] | None = getattr(iterator, "close", None)
        if close is not None:
            self._inside.call(close)
