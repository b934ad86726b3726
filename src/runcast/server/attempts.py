"""Wrong tokens and signatures: how many are answered at once, and how soon the next is.

Owns the bucket, of one process or of all workers of a server together. It protects the log; the length of a
token is what prevents guessing.
"""

from __future__ import annotations

import math

from runcast.server.scoreboard import ATTEMPTS, Scoreboard

__all__ = ["FAILURES", "FAILURE_SECONDS", "Attempts", "SharedAttempts"]

FAILURES = 10  # that are answered at once …
FAILURE_SECONDS = 6.0  # … and the time after which one more is


class Attempts:
    """The attempts of one process."""

    def __init__(self) -> None:
        self._made = 0.0
        self._counted_at = -math.inf

    def count(self, now: float) -> int:
        """Count one, at a time of `time.monotonic`; return the seconds to wait if there were too many."""
        self._made = max(self._made - max(now - self._counted_at, 0.0) / FAILURE_SECONDS, 0.0)
        self._counted_at = now
        if self._made <= FAILURES - 1:
            self._made += 1
            return 0
        return math.ceil((self._made - (FAILURES - 1)) * FAILURE_SECONDS)


class SharedAttempts(Attempts):
    """Those of all workers of a server, whose clocks are the machine's.

    Args:
        board: of the server.
    """

    def __init__(self, board: Scoreboard) -> None:
        super().__init__()
        self._board = board

    def count(self, now: float) -> int:
        """Count one."""
        with self._board.locked(ATTEMPTS):
            self._made, self._counted_at = self._board.attempts
            wait = super().count(now)
            self._board.attempts = self._made, self._counted_at
        return wait
