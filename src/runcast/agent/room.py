"""Room on this disk for what other hosts have: which mirrors wait for it, and that people learn of that."""

from __future__ import annotations

from runcast import loggers
from runcast.agent.connection import Connection

__all__ = ["Room"]


class Room:
    """The mirrors that cannot be written.

    Args:
        connection: notes what is wrong.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._waiting: set[str] = set()

    def none(self, run_id: str, error: OSError) -> None:
        """Note that a mirror cannot be written."""
        loggers.warning_once("agent", "the mirror of run %s waits: %s", run_id, str(error))
        self._waiting.add(run_id)
        why = (error.strerror or str(error)).lower()
        self._connection.note("room", f"what other hosts have cannot be written here: {why}")

    def again(self, run_id: str) -> None:
        """Note that a mirror was written, or is gone."""
        if self._waiting:
            self._waiting.discard(run_id)
            if not self._waiting:
                self._connection.note("room", None)
