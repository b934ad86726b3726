"""What code inside a run can say and ask: progress, whether to stop, which run this is.

Owns `progress`, `should_stop` and the notion of the current run, in this process's threads and
tasks as well as in a process of a run's own. Outside any run all of it is allowed and says
nothing, so that a function can be tested without a run.
"""

from __future__ import annotations

import json
import math
import os
import threading
import time
from typing import Any, SupportsFloat

from runcast.errors import RunStopped, UsageError
from runcast.log import RunDirectory
from runcast.sources.recording import PROGRESS_SECONDS, Recording, as_value, current_recording
from runcast.sysio import create

__all__ = [
    "RESULT",
    "ChildRun",
    "current_path",
    "progress",
    "should_stop",
]


RESULT = "result.json"  # in the run's folder: what a function in a process of its own returned


class ChildRun:
    """The run that this process is, seen from inside."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.stopping: str | None = None
        self.asks = False  # whether the function looks out for a stop
        self._directory = RunDirectory(path)
        self._progress: dict[str, Any] | None = None
        self._progress_at = 0.0
        self._lock = threading.RLock()  # a stop may come while it is held

    def stop(self) -> None:
        """Take a stop: raised in the main thread, where signals are handled, unless the code asks for it."""
        first, self.stopping = self.stopping is None, "stopped"
        if not (first and self.asks):
            raise RunStopped

    def told(self) -> None:
        """Do nothing: a stop was raised already, or never is."""

    def progress(self, value: dict[str, Any]) -> None:
        """Note how far it is."""
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
        """Write what was noted last, if it was not yet."""
        with self._lock:
            value, self._progress = self._progress, None
            if value is not None:
                self._progress_at = time.monotonic()
                self._directory.write_progress(value)

    def end(self, value: object, message: str) -> None:
        """Leave what was returned for the supervisor."""
        self.flush()
        text = json.dumps({"value": as_value(value), "message": message})
        fd = create(f"{self.path}/{RESULT}", os.O_WRONLY)
        with open(fd, "w") as file:
            file.write(text)


process_run: ChildRun | None = None


def _here() -> Recording | ChildRun | None:
    return current_recording() or process_run


def current_path() -> str | None:
    """Return the folder of the run that this code belongs to, if it does."""
    run = _here()
    return None if run is None else run.path


def progress(done: float | None = None, total: float | None = None, text: str = "") -> None:
    """Tell how far this run is; viewers see the latest.

    Args:
        done: how much is done, in any unit.
        total: of how much.
        text: for people.

    Raises:
        RunStopped: the run is being stopped.
    """
    value = {"done": _number("done", done), "total": _number("total", total), "text": str(text)}
    run = _here()
    if run is not None:
        run.progress(value | {"time": time.time()})


def _number(name: str, value: object) -> int | float | None:
    """Return a number as JSON has it; those of NumPy and its like are none of Python's own."""
    if isinstance(value, SupportsFloat) and not isinstance(value, int):
        value = float(value)
    if value is None or isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    raise UsageError(f"expected {name} as a finite number, got {value!r:.100}")


def should_stop() -> bool:
    """Return whether this run is being stopped: return soon, then nothing is raised."""
    run = _here()
    if isinstance(run, ChildRun):
        run.asks = True
    if run is None or run.stopping is None:
        return False
    run.told()
    return True
