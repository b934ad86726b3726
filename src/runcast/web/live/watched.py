"""Runs that end when nobody watches them: whether a run is one, and the note that somebody watches.

Owns nothing but the option's name; the note is a file of the run, and the stop is the supervisor's.
"""

from __future__ import annotations

from runcast.run import Run
from runcast.run.base import files_of

__all__ = ["note_watched", "unwatched_seconds"]


def unwatched_seconds(run: Run) -> float:
    """Return the seconds without a viewer after which a run is stopped; 0 where it goes on without any."""
    return float(run.request.get("stop_unwatched") or 0)


def note_watched(run: Run) -> None:
    """Note that somebody watches a run, where it ends if nobody does."""
    if unwatched_seconds(run):
        files_of(run).touch_watched()
