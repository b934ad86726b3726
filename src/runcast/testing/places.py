"""Places: where a backend keeps one log, so that `check_log` can write, read, crash and come back."""

from __future__ import annotations

from typing import Protocol

from runcast.log import (
    SEGMENT_BYTES,
    FileLog,
    FileLogWriter,
    Log,
    LogWriter,
    MemoryLog,
    MemoryLogWriter,
    RunDirectory,
)

__all__ = ["FilePlace", "LogPlace", "MemoryPlace"]


class LogPlace(Protocol):
    """Keeps one log, empty at first."""

    @property
    def durable(self) -> bool:
        """Whether the log outlives its writer, so that another can go on with it."""

    def writer(self, *, segment_bytes: int = SEGMENT_BYTES, cap_bytes: int | None = None) -> LogWriter:
        """Return a writer; the earlier one, if any, has closed or crashed."""

    def log(self) -> Log:
        """Return another reader of the log."""

    def crash(self, writer: LogWriter) -> None:
        """Do to a writer what the death of its process does. Called only where `durable`."""


class MemoryPlace:
    """Keeps a log in this process's memory."""

    durable = False

    def __init__(self) -> None:
        self.kept = MemoryLog()

    def writer(self, *, segment_bytes: int = SEGMENT_BYTES, cap_bytes: int | None = None) -> LogWriter:
        """Return the writer."""
        return MemoryLogWriter(self.kept, segment_bytes=segment_bytes, cap_bytes=cap_bytes)

    def log(self) -> Log:
        """Return the one reader, which all share."""
        return self.kept

    def crash(self, writer: LogWriter) -> None:
        """Refuse: what dies with the process cannot be crashed alone."""
        raise NotImplementedError


class FilePlace:
    """Keeps a log in a folder of its own, which is made here.

    Args:
        path: the folder; there is nothing yet.
    """

    durable = True

    def __init__(self, path: str) -> None:
        self.directory = RunDirectory.create(path, {"name": "check", "command": ["check"]})

    def writer(self, *, segment_bytes: int = SEGMENT_BYTES, cap_bytes: int | None = None) -> LogWriter:
        """Return a writer, which holds the lock."""
        if not self.directory.acquire():
            raise AssertionError(
                "expected the lock to be free: the earlier writer neither closed nor crashed"
            )
        return FileLogWriter(self.directory, segment_bytes=segment_bytes, cap_bytes=cap_bytes)

    def log(self) -> Log:
        """Return another reader."""
        return FileLog(self.directory.path)

    def crash(self, writer: LogWriter) -> None:
        """Close the writer's descriptors and free its lock, as the kernel does for the dead."""
        writer._release()
