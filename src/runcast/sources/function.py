"""Functions as runs: called in a thread of this process, their prints captured.

Owns how a call ends: a return value, an exception, a stop. A thread cannot be killed: a function
is asked (`should_stop`), then stopped by an exception at its next print or progress, and when the
grace is over by one wherever it is. What is caught in a call of C code stays there; the run is
then said to be over without it.
"""

from __future__ import annotations

import ctypes
import inspect
import threading
from collections.abc import Callable, Mapping, Sequence
from contextvars import copy_context
from typing import Any

from runcast.errors import RunStopped, UsageError
from runcast.model import Outcome
from runcast.own_thread import begin
from runcast.sources.kinds import name_of
from runcast.sources.recording import Recording, as_value

__all__ = ["Inside", "call_here"]


def call_here(
    recording: Recording, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> None:
    """Call a function in a thread of its own, which is the run; its context is the caller's."""
    call = _Call(recording, function, args, kwargs)
    context = copy_context()
    thread = threading.Thread(target=context.run, args=(call.run,), name=f"run {recording.id}", daemon=True)
    recording.insist = call.inside.insist
    begin(thread)


class Inside:
    """Where a thread runs the run's own code: an exception can be put into it there, and only there."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread: int | None = None
        self._asked = False

    def call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call a function; what is insisted upon meanwhile comes out of here, and nothing comes later.

        No context manager: one could be interrupted at the first step of its `__exit__`, and the
        thread would stay inside for good.
        """
        self._asked = came = returned = False
        self._thread = threading.get_ident()
        try:
            value = function(*args, **kwargs)
            returned = True
        finally:
            while self._thread is not None:
                try:
                    with self._lock:
                        self._thread = None
                    # What is put into the thread and did not come yet comes at one of these steps.
                    # It is not taken back: CPython would go on looking for it, at every call.
                    for _ in range(2):
                        pass
                except RunStopped:
                    came = True
            if self._asked and (returned or came):
                raise RunStopped
        return value

    def insist(self) -> None:
        """Raise `RunStopped` in the thread, at its next step in Python."""
        with self._lock:
            if self._thread is not None:
                self._asked = True
                ctypes.pythonapi.PyThreadState_SetAsyncExc(
                    ctypes.c_ulong(self._thread), ctypes.py_object(RunStopped)
                )


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
            del self._what  # the arguments belong to the function alone
            with recording.recording():
                try:
                    value = self.inside.call(function, *args, **kwargs)
                    _refuse_unstarted(function, value)
                    outcome = recording.outcome(0, value=as_value(value))
                except BaseException as error:
                    outcome = recording.failed(error, skip=2)
        finally:
            recording.finish(outcome or recording.outcome(None))


def _refuse_unstarted(function: Callable[..., Any], value: object) -> None:
    """Refuse what does its work only when somebody else goes on with it: nobody would."""
    if inspect.isgenerator(value) or inspect.iscoroutine(value) or inspect.isasyncgen(value):
        if not inspect.isasyncgen(value):
            value.close()
        raise UsageError(
            f"expected a function that does its work when it is called, {name_of(function)} only returned a "
            f"{type(value).__name__.replace('_', ' ')}: start that, as in start({name_of(function)}(...))"
        )
