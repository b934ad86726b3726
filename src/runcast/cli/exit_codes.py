"""The exit codes of the command line, in one place.

Where a run's own exit status is passed on (`run`, `wait`, `follow --exit-status`) it is the
command's, 126 and 127 included: "cannot be executed" and "not found" (POSIX.1-2024, XCU 2.8.2),
and 125 where the system had no process, descriptor or memory for it, as env(1) and timeout(1) say.
"""

from __future__ import annotations

from runcast.model import Outcome, Reason

__all__ = [
    "BROKEN_PIPE",
    "ERROR",
    "INTERRUPTED",
    "NOT_EXECUTABLE",
    "NOT_FOUND",
    "OK",
    "SIGNALED",
    "TIMED_OUT",
    "of_outcome",
]

OK = 0
ERROR = 2  # what was asked for is wrong, or cannot be done; what shells and click use, too
TIMED_OUT = 124  # as timeout(1)
NOT_EXECUTABLE, NOT_FOUND = 126, 127
SIGNALED = 128  # + the number of the signal, as shells say it
INTERRUPTED = SIGNALED + 2  # Ctrl-C
BROKEN_PIPE = SIGNALED + 13  # whoever read our output left: what SIGPIPE would have made of us


def of_outcome(outcome: Outcome) -> int:
    """Return what to exit with for a run: its exit status, or 124 where a timeout of its own ended it."""
    if outcome.reason in (Reason.TIMED_OUT, Reason.IDLE_TIMED_OUT):
        return TIMED_OUT
    return outcome.exit_status
