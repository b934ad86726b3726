"""Generators and iterables as runs: their values, produced on demand, become a log.

Owns laziness: a generator is advanced at most `ahead` values beyond the foremost reader, in any
process, and not at all without readers. A reader that waits at the tail signals demand; a reader
further back needs none, since its values exist. A `str` is one line, `bytes` are raw output, anything
else is a JSON value on channel data. While a generator waits, it has no thread and no descriptor.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextvars import copy_context
from typing import Any

from runcast import utf8
from runcast.errors import UsageError
from runcast.model import Channel
from runcast.own_thread import Background
from runcast.sources.function import Inside
from runcast.sources.recording import Recording
from runcast.sources.returned import as_value

__all__ = ["Demand", "encode", "run_iterator"]

_IDLE_SECONDS = 1.0  # how long a thread waits for more demand before it ends


def encode(value: object) -> tuple[Channel, bytes]:
    """Encode a value as output.

    Raises:
        UsageError: it is not a str, bytes or a JSON value.
    """
    if isinstance(value, str):
        data = utf8.encode(value)
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
    """How far a generator may be advanced. The caller holds its own lock during all calls."""

    def __init__(self, ahead: int | None) -> None:
        self._ahead = ahead
        self._offset = -1  # where the foremost reader waits; -1: none has waited yet
        self._ends: deque[int] | None = None  # ends of values beyond it; None if empty, a deque is large

    def request(self, offset: int) -> None:
        """Note that a reader waits at an offset."""
        self._offset = max(self._offset, offset)
        while self._ends and self._ends[0] <= self._offset:
            self._ends.popleft()
        if not self._ends:
            self._ends = None

    def made(self, end: int) -> None:
        """Note that a value was produced, which ends at an offset."""
        if self._ahead is not None and end > self._offset:
            self._ends = self._ends or deque()
            self._ends.append(end)

    @property
    def more(self) -> bool:
        """Whether the next value may be produced."""
        return self._ahead is None or (self._offset >= 0 and len(self._ends or ()) < self._ahead)


def run_iterator(recording: Recording, iterable: Iterable[Any], ahead: int | None) -> None:
    """Have an iterable produce the output of a run, on demand."""
    lazy = _LazyIterator(recording, iterable, ahead)
    recording.interrupt, recording.force_stop = lazy.stop, lazy.force_stop
    recording.on_demand = lazy.request
    if ahead is None:
        lazy.request(0)


class _LazyIterator:
    """An iterator and the thread that advances it, while there is one."""

    def __init__(self, recording: Recording, iterable: Iterable[Any], ahead: int | None) -> None:
        self._recording = recording
        self._iterable = iterable
        self._iterator: Iterator[Any] | None = None
        self._context = copy_context()
        self._demand = Demand(ahead)
        self._lock = threading.RLock()
        self._news: threading.Condition | None = None  # set while an idle thread waits for demand
        self._busy = False  # a thread advances it, or it has ended
        self._inside = Inside()

    def request(self, offset: int) -> None:
        with self._lock:
            self._demand.request(offset)
            if self._demand.more:
                self._go()

    def stop(self) -> None:
        with self._lock:
            self._go()

    def force_stop(self) -> None:
        self._inside.force_stop(self._recording.acknowledge_stop)
        self.stop()

    def _go(self) -> None:
        if self._busy:
            if self._news is not None:
                self._news.notify()
            return
        self._busy = True
        name = f"run {self._recording.id}"
        try:
            Background(target=self._run, name=name).start()
        except RuntimeError:  # no thread can be started: there are too many, or the interpreter ends
            if self._recording.stopping is not None:
                self._run()
            else:
                self._busy = False  # a waiting reader repeats its demand

    def _run(self) -> None:
        while self._context.run(self._work):
            with self._lock:  # the context is free now, so another thread may be started
                if not self._has_work():
                    self._busy = False
                    return

    def _work(self) -> bool:
        """Advance as far as there is demand; return False when the iterator has ended."""
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
                            recording.park()  # no thread and no descriptor until there is more demand
                            rests = True
                            return True
                    recording.acknowledge_stop()  # by GeneratorExit
                    self._close(self._iterator)
                except StopIteration as end:
                    outcome = recording.outcome(0, value=as_value(end.value))
                except BaseException as error:
                    outcome = recording.failed(error, skip=3)
                    self._clean_up()
        except BaseException as error:  # before or behind the code: a fault of ours, and to be seen
            rests, outcome = False, outcome or recording.failed(error)
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
        """Wait briefly for more demand; return whether there is some."""
        with self._lock:
            self._news = threading.Condition(self._lock)
            try:
                return self._news.wait_for(self._has_work, _IDLE_SECONDS) and self._demand.more
            finally:
                self._news = None

    def _has_work(self) -> bool:
        return self._demand.more or self._recording.stopping is not None

    def _clean_up(self) -> None:
        """Close an iterator after one of its values was refused: it has not ended, and got no error."""
        if self._iterator is not None:
            with contextlib.suppress(BaseException):  # the run has already failed
                self._close(self._iterator)

    def _close(self, iterator: Iterator[Any]) -> None:
        close: Callable[[], object] | None = getattr(iterator, "close", None)
        if close is not None:
            self._inside.call(close)
