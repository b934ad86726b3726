"""Descriptors that the test's process has: those of one folder, since threads of other tests have others.

A thread that a former test left opens and closes what it likes, at any moment.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

__all__ = ["open_in", "targets"]


def targets() -> Iterator[str]:
    """Yield what each descriptor of this process is open on."""
    for fd in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):
            yield os.readlink(f"/proc/self/fd/{fd}")


def open_in(folder: Path) -> int:
    """Return how many descriptors of this process are open on a folder, or on something below it."""
    return sum(target == str(folder) or target.startswith(f"{folder}/") for target in targets())
