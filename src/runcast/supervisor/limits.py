"""The times after which a run is stopped: too long, too silent, watched by nobody.

Owns nothing but clocks, all monotonic. Says when to look again and what was exceeded; stopping
is the supervision's. A limit that was exceeded is not told twice. That somebody removed the run's
folder by hand counts as one: nobody could see the run any more, or stop it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from runcast.model import Reason

__all__ = ["Limits"]

_LOOKS = 4  # so often within a limit is looked whether somebody watches
_REMOVED_SECONDS = 2.0  # between looks whether the run is still there, while it prints nothing


class Limits:
    """The limits of one run.

    Args:
        request: `timeout`, `idle_timeout` and `stop_unwatched` in seconds; None or missing for none.
        watched: returns a number that changes whenever somebody notes that they watch.
        now: monotonic seconds.
        removed: whether somebody has removed the run's folder; None where that ends nothing.
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
        """Note that there was output."""
        self._heard = now

    def end(self) -> None:
        """Forget all limits: the run is being stopped, or is over."""
        self._timeout_at = self._idle = self._unwatched = self._removed = None

    def due(self) -> float | None:
        """Return when to ask again."""
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
