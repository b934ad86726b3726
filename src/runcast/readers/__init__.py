"""Readers: cursors into logs, the hub that wakes them, and following until closed."""

from runcast.readers.cursor import Cursor, begin
from runcast.readers.follow import Followed, Steps, Wait, drive, drive_async, fetched, follow, until
from runcast.readers.hub import hub
from runcast.readers.line_search import FoundLine, LineSearch
from runcast.readers.lines import LINE_BYTES, Lines

__all__ = [
    "LINE_BYTES",
    "Cursor",
    "Followed",
    "FoundLine",
    "LineSearch",
    "Lines",
    "Steps",
    "Wait",
    "begin",
    "drive",
    "drive_async",
    "fetched",
    "follow",
    "hub",
    "until",
]
