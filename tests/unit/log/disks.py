"""Disks that fail: writers whose hooks take part of what they are given, or refuse it."""

import errno
import os

from runcast.log import FileLogWriter, LogWriter, MemoryLogWriter
from runcast.log.records import RECORD_BYTES

SECOND = 1_000_000_000  # nanoseconds


class Clocked(LogWriter):
    """A writer whose clock stands still until a test moves it."""

    now = 1_700_000_000 * SECOND

    def _now(self) -> int:
        return self.now


class SmallDisk(Clocked):
    """A writer on a disk that has `room` bytes left; a write that does not fit is taken in part."""

    room = 1 << 40
    error = errno.ENOSPC

    def _begin(self, start: int) -> None:
        self._use(RECORD_BYTES)
        super()._begin(start)

    def _write_record(self, record: bytes) -> None:
        self._use(len(record))
        super()._write_record(record)

    def _write(self, data: bytes | memoryview) -> int:
        if not self.room:
            raise OSError(self.error, os.strerror(self.error))
        taken = super()._write(data[: self.room])
        self.room -= taken
        return taken

    def _use(self, count: int) -> None:
        if self.room < count:
            raise OSError(self.error, os.strerror(self.error))
        self.room -= count


class ClockedFile(Clocked, FileLogWriter):
    """A file log and a clock that a test moves."""


class ClockedMemory(Clocked, MemoryLogWriter):
    """A memory log and a clock that a test moves."""


class SmallFile(SmallDisk, FileLogWriter):
    """A file log on a small disk."""


class SmallMemory(SmallDisk, MemoryLogWriter):
    """A memory log on a small disk."""
