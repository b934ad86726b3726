"""The times after which a run is stopped: too long, too silent, watched by nobody.

Owns clocks, all monotonic: when to check again, and which limit was exceeded. Stopping the run is
the caller's. Once a run is being stopped, no limit is reported again. A run's folder that was removed
by hand counts as a limit: without it the run could be neither seen nor stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from runcast.model import Reason

__all__ = ["Limits"]

_LOOKS = 4  # checks for viewers within the limit
_REMOVED_SECONDS = 2.0  # between checks that the folder is still there, while the run prints nothing


class Limits:
    """The limits of one run.

    Args:
        request: `timeout`, `idle_timeout` and `stop_unwatched` in seconds; None or missing for none.
        watched: returns a number that changes with each note of a viewer.
        now: monotonic seconds.
        removed: returns whether the run's folder was removed; None where that ends nothing.
    """

    def __init__(
        self,
        request: Mapping[str, Any],
        watched: Callable[[], int],
        now: float,
        removed: Callable[[], bool] | None = None,
    ) -> None:
        timeout = request.get("timeout")
        self._timeout_at: float | None = None if timeout is None else now + timeout
        self._idle: float | None = request.get("idle_timeout")
        self._heard = now
        self._unwatched: float | None = request.get("stop_unwatched")
        self._watched = watched
        self._seen = 0
        self._seen_at = self._looked_at = now
        self._removed = removed
        self._there_at = now

    def heard(self, now: float) -> None:
        """Restart the clock of the silence: there was output."""
        self._heard = now

    def end(self) -> None:
        """Forget all limits: the run is being stopped, or is over."""
        self._timeout_at = self._idle = self._unwatched = self._removed = None

    def due(self) -> float | None:
        """Return when to check again; None for never."""
        times = [self._timeout_at]
        times.append(None if self._idle is None else self._heard + self._idle)
        times.append(None if self._unwatched is None else self._looked_at + self._unwatched / _LOOKS)
        times.append(None if self._removed is None else self._there_at + _REMOVED_SECONDS)
        return min((time for time in times if time is not None), default=None)

    def exceeded(self, now: float) -> Reason | None:
        """Return why the run must be stopped now, if it must."""
        if self._timeout_at is not None and now >= self._timeout_at:
            return Reason.TIMED_OUT
        if self._idle is not None and now >= self._heard + self._idle:
            return Reason.IDLE_TIMED_OUT
        if self._unwatched is not None and now >= self._looked_at + self._unwatched / _LOOKS:
            self._looked_at = now
            seen = self._watched()
            if seen != self._seen:
                self._seen, self._seen_at = seen, now
            elif now >= self._seen_at + self._unwatched:
                return Reason.STOPPED
        if self._removed is not None and now >= self._there_at + _REMOVED_SECONDS:
            self._there_at = now
            if self._removed():
                return Reason.STOPPED
        return None
