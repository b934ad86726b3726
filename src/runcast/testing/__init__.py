"""What tests of runcast, and of what is built on it, may use: checks that a log backend passes."""

from runcast.testing.logs import check_log
from runcast.testing.places import FilePlace, LogPlace, MemoryPlace
from runcast.testing.plain import PlainLog

__all__ = ["FilePlace", "LogPlace", "MemoryPlace", "PlainLog", "check_log"]
