"""Streams that clients append to, by the Durable Streams protocol; stored like the logs of runs."""

from runcast.durable.caps import Caps
from runcast.durable.files import FileStreams
from runcast.durable.memory import MemoryStreams
from runcast.durable.stream import Appended, Busy, Settings, Stream
from runcast.durable.streams import Streams, check_name

__all__ = [
    "Appended",
    "Busy",
    "Caps",
    "FileStreams",
    "MemoryStreams",
    "Settings",
    "Stream",
    "Streams",
    "check_name",
]
