"""Support for tests of backends: conformance checks of logs and links, models to compare with, faults."""

from runcast.testing.faulty_link import FaultyLink
from runcast.testing.link_places import LinkPlace, MemoryLinkPlace
from runcast.testing.links import check_link
from runcast.testing.logs import check_log
from runcast.testing.places import FilePlace, LogPlace, MemoryPlace
from runcast.testing.plain import PlainLog
from runcast.testing.shipping import check_shipping

__all__ = [
    "FaultyLink",
    "FilePlace",
    "LinkPlace",
    "LogPlace",
    "MemoryLinkPlace",
    "MemoryPlace",
    "PlainLog",
    "check_link",
    "check_log",
    "check_shipping",
]
