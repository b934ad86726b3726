"""Logs: append-only bytes, kept in files or in memory, read at offsets."""

from runcast.log.base import Log
from runcast.log.directory import RunDirectory
from runcast.log.file import FileLog, FileLogWriter
from runcast.log.memory import MemoryLog, MemoryLogWriter
from runcast.log.writer import CAP_BYTES, SEGMENT_BYTES, LogWriter

__all__ = [
    "CAP_BYTES",
    "SEGMENT_BYTES",
    "FileLog",
    "FileLogWriter",
    "Log",
    "LogWriter",
    "MemoryLog",
    "MemoryLogWriter",
    "RunDirectory",
]
