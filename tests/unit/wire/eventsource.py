"""A reader of event streams, written from the rules of the HTML standard (9.2.6 and 9.2.5).

Knows nothing of runcast. It is as literal as it can be, so that it can be believed.
"""

import codecs
import re
from typing import NamedTuple


class Event(NamedTuple):
    """A dispatched event, as `onmessage` sees it."""

    type: str
    data: str
    id: str


class EventSource:
    """Parses connections one after the other, and keeps what a browser keeps between them."""

    def __init__(self) -> None:
        self.last_event_id = ""
        self.retry = 3000
        self.comments: list[str] = []

    def read(self, stream: bytes) -> list[Event]:
        """Parse all that one connection brought before it ended, wherever that was."""
        text = stream.decode("utf-8", "replace").removeprefix(codecs.BOM_UTF8.decode())
        events = []
        kind, data, last_id = "", "", self.last_event_id
        for line in self._lines(text):
            if line == "":
                self.last_event_id = last_id
                if data:
                    events.append(Event(kind or "message", data.removesuffix("\n"), last_id))
                kind, data = "", ""
            elif line.startswith(":"):
                self.comments.append(line[1:])
            else:
                field, _, value = line.partition(":")
                value = value.removeprefix(" ")
                if field == "event":
                    kind = value
                elif field == "data":
                    data += value + "\n"
                elif field == "id" and "\0" not in value:
                    last_id = value
                elif field == "retry" and value and all(digit in "0123456789" for digit in value):
                    self.retry = int(value)
        return events

    @staticmethod
    def _lines(text: str) -> list[str]:
        """Return the lines that have an end: at CRLF, LF or CR. One that has none is no line yet."""
        *lines, _ = re.split("\r\n|\n|\r", text)
        return lines
