"""Functions as runs: called in a thread of this process, their prints captured.

Owns how a call ends: a return value, an exception, a stop. A thread cannot be killed. A function can
poll for a stop (`should_stop`); otherwise an exception is raised at its next print or progress, and
after the grace wherever it is. A thread that is blocked in C code stays there, and its run is recorded
as over without it.
"""

from __future__ import annotations

import ctypes
import inspect
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextvars import copy_context
from functools import partial
from typing import Any

from runcast.errors import RunStopped, UsageError
from runcast.model import Outcome
from runcast.own_thread import Background, begin
from runcast.sources.kinds import name_of
from runcast.sources.recording import Recording
from runcast.sources.returned import as_value

__all__ = ["Inside", "call_here"]


def call_here(
    recording: Recording, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> None:
    """Call a function in a new thread, which is the run, with a copy of the caller's context."""
    call = _Call(recording, function, args, kwargs)
    context = copy_context()
    thread = Background(target=context.run, args=(call.run,), name=f"run {recording.id}")
    recording.force_stop = partial(call.inside.force_stop, recording.acknowledge_stop)
    begin(thread)


class Inside:
    """The part of a thread that runs the run's own code: a stop can be raised there, and only there."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # of those who stop: the thread itself must not need it, see `call`
        self._raising = False
        self._thread: int | None = None
        self._forced = False

    def call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call a function; a forced stop is raised from here, and never later.

        This is not a context manager: the exception could interrupt the first step of its `__exit__`,
        and the thread would count as inside for good.
        """
        self._forced = came = returned = False
        self._thread = threading.get_ident()
        try:
            value = function(*args, **kwargs)
            returned = True
        finally:
            self._thread = None  # a single step: from here on nobody begins to raise
            while True:
                try:
                    # Who has begun comes to its end first. No lock: CPython 3.14 raises also between taking
                    # a lock and the body of its `with`, and nobody could ever take it again.
                    while self._raising:
                        time.sleep(0)
                    # A pending exception is raised at one of these steps. It is not cleared instead:
                    # CPython would then check for it at every call from now on.
                    for _ in range(2):
                        pass
                    break
                except RunStopped:
                    came = True
            if self._forced and (returned or came):
                raise RunStopped
        return value

    def force_stop(self, note: Callable[[int], object] = lambda thread: None) -> None:
        """Raise `RunStopped` in the thread, at its next step in Python.

        Args:
            note: called with the thread, before that: its cleanup may print, and gets no other one there.
        """
        with self._lock:
            self._raising = True
            try:
                thread = self._thread
                if thread is not None:
                    self._forced = True
                    note(thread)
                    ctypes.pythonapi.PyThreadState_SetAsyncExc(
                        ctypes.c_ulong(thread), ctypes.py_object(RunStopped)
                    )
            finally:
                self._raising = False


class _Call:
    """A call in a thread."""

    def __init__(
        self,
        recording: Recording,
        function: Callable[..., Any],
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
    ) -> None:
        self._recording = recording
        self._what = function, args, kwargs
        self.inside = Inside()

    def run(self) -> None:
        recording = self._recording
        outcome: Outcome | None = None
        try:
            function, args, kwargs = self._what
            del self._what  # no reference here keeps the arguments alive
            with recording.recording():
                try:
                    value = self.inside.call(function, *args, **kwargs)
                    _refuse_unstarted(function, value)
                    outcome = recording.outcome(0, value=as_value(value))
                except BaseException as error:
                    outcome = recording.failed(error, skip=2)
        except BaseException as error:  # before or behind the call: a fault of ours, and to be seen
            outcome = outcome or recording.failed(error)
        finally:
            recording.finish(outcome or recording.outcome(None))


def _refuse_unstarted(function: Callable[..., Any], value: object) -> None:
    """Refuse a result that does its work only when it is iterated or awaited, which nobody would do."""
    if inspect.isgenerator(value) or inspect.iscoroutine(value) or inspect.isasyncgen(value):
        if not inspect.isasyncgen(value):
            value.close()
        raise UsageError(
            f"expected a function that does its work when it is called, {name_of(function)} only returned a "
            f"{type(value).__name__.replace('_', ' ')}: start that, as in start({name_of(function)}(...))"
        )
