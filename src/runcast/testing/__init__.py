"""Support for tests of log backends: the conformance check, and a reference model to compare with."""

from runcast.testing.logs import check_log
from runcast.testing.places import FilePlace, LogPlace, MemoryPlace
from runcast.testing.plain import PlainLog

__all__ = ["FilePlace", "LogPlace", "MemoryPlace", "PlainLog", "check_log"]
