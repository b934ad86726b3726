"""The exit codes of the command line, in one place.

Where a run's own exit status is passed on (`run`, `wait`, `follow --exit-status`) it is the
command's, 126 and 127 included: "cannot be executed" and "not found" (POSIX.1-2024, XCU 2.8.2),
and 125 where the system had no process, descriptor or memory for it, as with env(1) and timeout(1).
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
    "PROBLEM",
    "SIGNALED",
    "TIMED_OUT",
    "of_outcome",
]

OK = 0
PROBLEM = 1  # `doctor` found something wrong
ERROR = 2  # invalid usage, or the operation failed; as shells and click use it
TIMED_OUT = 124  # as timeout(1)
NOT_EXECUTABLE, NOT_FOUND = 126, 127
SIGNALED = 128  # + the number of the signal, as in shells
INTERRUPTED = SIGNALED + 2  # Ctrl-C
BROKEN_PIPE = SIGNALED + 13  # the reader of the output is gone: as if killed by SIGPIPE


def of_outcome(outcome: Outcome) -> int:
    """Return the exit code for a run: its exit status, or 124 if a timeout of its own ended it."""
    if outcome.reason in (Reason.TIMED_OUT, Reason.IDLE_TIMED_OUT):
        return TIMED_OUT
    return outcome.exit_status
