"""Waiting in tests: always for a condition, always to a deadline, never for a fixed time."""

import os
import time
from collections.abc import Callable
from typing import TypeVar

MS = 0.001 * float(os.environ.get("RUNCAST_TEST_TIMEOUT_FACTOR", "1"))
"""One millisecond in seconds. Every timeout is a multiple, so that slow machines can stretch all."""

T = TypeVar("T")

LONGEST_PAUSE = 0.02  # seconds between two looks; not scaled, it costs latency and not patience


def wait_until(predicate: Callable[[], T], timeout: float = 5000 * MS, what: str = "") -> T:
    """Call `predicate` until it returns something true, and return that.

    Raises AssertionError after `timeout` seconds. The message says `what` was waited for and
    what the predicate said last. An exception in the predicate ends the wait at once.
    """
    __tracebackhide__ = True
    deadline = time.monotonic() + timeout
    pause = 0.001
    while True:
        late = time.monotonic() >= deadline  # before the look: the last look is after the deadline
        value = predicate()
        if value:
            return value
        if late:
            what = what or getattr(predicate, "__name__", repr(predicate))
            raise AssertionError(f"waited {timeout:.3g} s for {what}, last value {value!r}")
        time.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE)
