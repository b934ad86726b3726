"""Logs: append-only bytes, kept in files or in memory, read at offsets.

The one in memory is loaded when it is first used: supervisors have no use for it, and `threading`,
which it needs, costs each of them 0.4 MiB.
"""

from typing import TYPE_CHECKING

from runcast.log.base import Log
from runcast.log.file import FileLog, FileLogWriter
from runcast.log.writer import CAP_BYTES, SEGMENT_BYTES, LogWriter

if TYPE_CHECKING:
    from runcast.log.memory import MemoryLog, MemoryLogWriter

__all__ = [
    "CAP_BYTES",
    "SEGMENT_BYTES",
    "FileLog",
    "FileLogWriter",
    "Log",
    "LogWriter",
    "MemoryLog",
    "MemoryLogWriter",
]


def __getattr__(name: str) -> object:
    if name not in ("MemoryLog", "MemoryLogWriter"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from runcast.log import memory

    return getattr(memory, name)
