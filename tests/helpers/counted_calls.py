"""Calls of built-in functions, counted: what work takes on any machine."""

import sys
from collections import Counter
from collections.abc import Callable
from types import FrameType

__all__ = ["FILE_CALLS", "built_in_calls"]

FILE_CALLS = frozenset({"open", "stat", "lstat", "fstat", "pread", "read", "listdir", "scandir", "flock"})


def built_in_calls(action: Callable[[], object]) -> Counter[str]:
    """Count which functions written in C an action calls, by name."""
    found: Counter[str] = Counter()

    def note(frame: FrameType, event: str, argument: object) -> None:
        if event == "c_call":
            found[argument.__name__] += 1  # type: ignore[attr-defined]

    sys.setprofile(note)
    try:
        action()
    finally:
        sys.setprofile(None)
    return found
