"""The API for code inside a run: progress, whether to stop, which run this is.

Owns `progress`, `should_stop` and the notion of the current run, in this process's threads and
tasks as well as in a process of a run's own. Outside any run all of it is allowed and has no effect,
so a function can be tested without a run.
"""

from __future__ import annotations

import functools
import math
import threading
import time
from typing import TYPE_CHECKING, Any, SupportsFloat

from runcast.errors import RunStopped, UsageError
from runcast.sources import line_stream
from runcast.sources.recording import Recording, current_recording
from runcast.sources.returned import as_value
from runcast.store.run_files import RunFiles
from runcast.supervisor.masked import masked_progress
from runcast.supervisor.progress import PROGRESS_SECONDS

if TYPE_CHECKING:
    from runcast.masking.masks import Masks

__all__ = [
    "ChildRun",
    "current_path",
    "progress",
    "should_stop",
]


class ChildRun:
    """The run that this whole process is, seen from inside."""

    def __init__(self, path: str) -> None:
        self.stopping: str | None = None
        self.polls_stop = False  # whether the function has called `should_stop`
        self.files = RunFiles(path)
        self.files.anchor()
        self.id = self.files.id
        self.request = self.files.described()[0]
        self._masks: Masks | None = None
        self._progress: dict[str, Any] | None = None
        self._progress_at = 0.0
        self._lock = threading.RLock()  # a stop may come while it is held

    @property
    def path(self) -> str:
        """Its folder."""
        return self.files.locate().path

    def mask(self, values: list[str]) -> None:
        """Mask values in what this process writes itself: progress, what was returned, the error.

        Its output is masked by the supervisor; it is heard for the values that `::add-mask::` names in it.
        """
        from runcast.masking.masks import Masks  # few runs are masked
        from runcast.masking.stream import MaskedStream

        self._masks = masks = Masks(values)
        line_stream.hear(lambda: functools.partial(MaskedStream(masks).feed, now=0.0))

    def stop(self) -> None:
        """Handle a stop: raise it in the main thread, where signals run, unless the code polls for it."""
        first, self.stopping = self.stopping is None, "stopped"
        if not (first and self.polls_stop):
            raise RunStopped

    def acknowledge_stop(self) -> None:
        """Do nothing: a stop was raised already, or never is."""

    def progress(self, value: dict[str, Any]) -> None:
        """Publish progress."""
        with self._lock:
            late, self._progress = self._progress is not None, value
            left = self._progress_at + PROGRESS_SECONDS - time.monotonic()
        if left <= 0:
            self.flush()
        elif not late:
            timer = threading.Timer(left, self.flush)
            timer.daemon = True
            timer.start()

    def flush(self) -> None:
        """Write the latest progress, if it has not been written."""
        with self._lock:
            value, self._progress = self._progress, None
            if value is not None:
                self._progress_at = time.monotonic()
                self.files.write_progress(masked_progress(self._masks, value))

    def end(self, value: object, message: str, traceback: str) -> None:
        """Store the returned value, or the error, for the supervisor."""
        self.flush()
        result = {"value": as_value(value), "message": message, "traceback": traceback}
        self.files.write_result(result if self._masks is None else self._masks.json(result))


process_run: ChildRun | None = None


def _here() -> Recording | ChildRun | None:
    return current_recording() or process_run


def current_path() -> str | None:
    """Return the folder of the run that this code belongs to, if it does."""
    run = _here()
    return None if run is None else run.path


def progress(done: float | None = None, total: float | None = None, text: str = "") -> None:
    """Publish the progress of this run; viewers see the latest.

    Args:
        done: how much is done, in any unit.
        total: how much there is to do.
        text: for people.

    Raises:
        RunStopped: the run is being stopped.
    """
    value = {"done": _number("done", done), "total": _number("total", total), "text": str(text)}
    run = _here()
    if run is not None:
        run.progress(value | {"time": time.time()})


def _number(name: str, value: object) -> int | float | None:
    """Return a number as a JSON value; converts those of NumPy and similar libraries."""
    if isinstance(value, SupportsFloat) and not isinstance(value, int):
        value = float(value)
    if value is None or isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    raise UsageError(f"expected {name} as a finite number, got {value!r:.100}")


def should_stop() -> bool:
    """Return whether this run is being stopped. If it is, return from the function: nothing is raised."""
    run = _here()
    if isinstance(run, ChildRun):
        run.polls_stop = True
    if run is None or run.stopping is None:
        return False
    run.acknowledge_stop()
    return True
