"""Support for tests of backends: checks of logs, links and shelves, models to compare with, faults."""

from runcast.testing.faulty_link import FaultyLink
from runcast.testing.link_places import LinkPlace, MemoryLinkPlace
from runcast.testing.links import check_link
from runcast.testing.logs import check_log
from runcast.testing.places import FilePlace, LogPlace, MemoryPlace
from runcast.testing.plain import PlainLog
from runcast.testing.shelves import FolderShelfPlace, ShelfPlace, check_shelf
from runcast.testing.shipping import check_shipping

__all__ = [
    "FaultyLink",
    "FilePlace",
    "FolderShelfPlace",
    "LinkPlace",
    "LogPlace",
    "MemoryLinkPlace",
    "MemoryPlace",
    "PlainLog",
    "ShelfPlace",
    "check_link",
    "check_log",
    "check_shelf",
    "check_shipping",
]
