"""Functions as runs: called in a thread of this process, their prints captured.

Owns how a call ends: a return value, an exception, a stop. A thread cannot be killed: a function
is asked (`should_stop`), then stopped by an exception at its next print or progress, and when the
grace is over by one wherever it is. What is caught in a call of C code stays there; the run is
then said to be over without it.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Mapping, Sequence
from contextvars import copy_context
from typing import Any

from runcast.errors import RunStopped
from runcast.model import Outcome
from runcast.sources.recording import Recording, as_value

__all__ = ["call_here"]


def call_here(
    recording: Recording, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> None:
    """Call a function in a thread of its own, which is the run; its context is the caller's."""
    call = _Call(recording, function, args, kwargs)
    context = copy_context()
    thread = threading.Thread(target=context.run, args=(call.run,), name=f"run {recording.id}", daemon=True)
    recording.insist = call.insist
    call.thread = thread
    thread.start()


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
        self._lock = threading.Lock()
        self._inside = False  # whether an exception may still be put into the thread
        self.thread: threading.Thread

    def run(self) -> None:
        recording = self._recording
        outcome: Outcome | None = None
        try:
            function, args, kwargs = self._what
            del self._what  # the arguments belong to the function alone
            with recording.recording():
                try:
                    self._inside = True
                    value = function(*args, **kwargs)
                    outcome = recording.outcome(0, value=as_value(value))
                except BaseException as error:
                    outcome = recording.failed(error)
                finally:
                    with self._lock:
                        self._inside = False
        except RunStopped:  # it was insisted upon in the moment of the end
            pass
        finally:
            recording.finish(outcome or recording.outcome(None))

    def insist(self) -> None:
        """Raise in the thread, at its next step."""
        with self._lock:
            if self._inside and self.thread.ident is not None:
                ctypes.pythonapi.PyThreadState_SetAsyncExc(
                    ctypes.c_ulong(self.thread.ident), ctypes.py_object(RunStopped)
                )
