"""Places: storage for one log of a backend, with which `check_log` can write, read, crash and reopen it."""

from __future__ import annotations

from typing import Protocol

from runcast.log import SEGMENT_BYTES, FileLog, FileLogWriter, Log, LogWriter, MemoryLog, MemoryLogWriter
from runcast.store.run_files import RunFiles

__all__ = ["FilePlace", "LogPlace", "MemoryPlace"]


class LogPlace(Protocol):
    """Keeps one log, empty at first."""

    @property
    def durable(self) -> bool:
        """Whether the log outlives its writer, so that another can continue it."""

    def writer(self, *, segment_bytes: int = SEGMENT_BYTES, cap_bytes: int | None = None) -> LogWriter:
        """Return a writer; an earlier one has closed or crashed."""

    def log(self) -> Log:
        """Return another reader of the log."""

    def crash(self, writer: LogWriter) -> None:
        """Simulate the death of a writer's process. Called only where `durable`."""


class MemoryPlace:
    """Keeps a log in this process's memory."""

    durable = False

    def __init__(self) -> None:
        self.kept = MemoryLog()

    def writer(self, *, segment_bytes: int = SEGMENT_BYTES, cap_bytes: int | None = None) -> LogWriter:
        """Return the writer."""
        return MemoryLogWriter(self.kept, segment_bytes=segment_bytes, cap_bytes=cap_bytes)

    def log(self) -> Log:
        """Return the reader, which all share."""
        return self.kept

    def crash(self, writer: LogWriter) -> None:
        """Raise `NotImplementedError`: the log dies with the process."""
        raise NotImplementedError


class FilePlace:
    """Keeps a log in a new folder.

    Args:
        path: the folder, which must not exist yet.
    """

    durable = True

    def __init__(self, path: str) -> None:
        self.directory = RunFiles.create(path, {"name": "check", "command": ["check"]})

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
        """Close the writer's descriptors and release its lock, as the kernel does for a dead process."""
        writer._release()
