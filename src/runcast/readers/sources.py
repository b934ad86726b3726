"""What the hub is given: a source of events, and something to watch. Interfaces only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

__all__ = ["Source", "Watchable"]


class Source(Protocol):
    """A source of events of files. Its methods raise OSError where it cannot watch.

    Attributes:
        fd: a descriptor that is readable when there are events.
    """

    fd: int

    def add_changes(self, folder: str) -> int:
        """Watch all changes of the files in a folder; return the number in its events."""

    def add_new_files(self, folder: str) -> int:
        """Watch for new files in a folder; return the number in its events."""

    def add_growth(self, file: str) -> int:
        """Watch a file that grows; return the number in its events."""

    def remove(self, number: int) -> None:
        """Stop watching."""

    def drain(self) -> set[int]:
        """Return the numbers of what has changed since the last call; -1 means that anything may have."""


class Watchable(Protocol):
    """Something that can be watched: a log, or anything else whose changes show in folders."""

    def subscribe(self, wake: Callable[[], None]) -> Callable[[], None] | None:
        """Call `wake` at each change, and return a function that ends it; None to watch folders."""

    def watch_paths(self) -> Sequence[str]:
        """Return folders to watch: the first for any change, others for new files.

        What the first is for: see `Watch.folder_changes`.
        """

    def growing(self) -> tuple[object, int] | None:
        """Return a key for the file that grows, and its descriptor; None if there is none.

        It may be another file after any read of the log, so it is called before each wait.
        """
