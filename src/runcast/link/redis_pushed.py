"""Short entries, which come with the messages that say so: who follows a run need not read those.

Owns what is known of them until somebody reads: of each run entries that follow each other, some KiB at most.
What is not known for certain is forgotten, and read from the engine: after a message without bytes, behind
a hole, on another connection, of a run that this link writes itself.
"""

from __future__ import annotations

from typing import Final

from runcast.link.base import Entry
from runcast.link.rules import within

__all__ = ["BYTES", "PUSHED_BYTES", "Pushed"]

BYTES: Final = b"d"
"""How a message about bytes begins: alone, or followed by start, end and number, then bytes and records."""
PUSHED_BYTES: Final = 8192
"""How many bytes, records included, come with a message at most."""
_MOST = 64 * 1024  # of one run


class Pushed:
    """The entries that came."""

    def __init__(self) -> None:
        self._entries: dict[str, list[Entry]] = {}
        self._sizes: dict[str, int] = {}
        self._own: set[str] = set()

    def hear(self, run: str, message: bytes | None) -> None:
        """Take a message about a run; None for one that begins to be watched."""
        if message is None or message == BYTES:
            self.forget(run)
        elif message.startswith(BYTES) and run not in self._own:
            start, end, size, rest = message[len(BYTES) :].split(b" ", 3)
            count = int(size)
            self._add(run, Entry(int(start), int(end), rest[:count], rest[count:]))

    def _add(self, run: str, entry: Entry) -> None:
        entries = self._entries.setdefault(run, [])
        size = self._sizes.get(run, 0) + len(entry.data)
        if size > _MOST or (entries and entries[-1].end != entry.start):
            entries.clear()
            size = len(entry.data)
        entries.append(entry)
        self._sizes[run] = size

    def take(self, run: str, offset: int, limit: int) -> tuple[list[Entry], int, int] | None:
        """Return entries from an offset on, where they begin and end; None if that is to be read."""
        entries = self._entries.get(run)
        if not entries:
            return None
        self.forget(run)
        if not entries[0].start <= offset < entries[-1].end:
            return None
        return within(entries, offset, limit), entries[0].start, entries[-1].end

    def writes(self, run: str) -> None:
        """Take note that this link writes a run: it knows more than the messages that have come."""
        self._own.add(run)
        self.forget(run)

    def forget(self, run: str) -> None:
        """Forget what came of a run."""
        self._entries.pop(run, None)
        self._sizes.pop(run, None)

    def unwatch(self, run: str) -> None:
        """Forget a run."""
        self.forget(run)
        self._own.discard(run)

    def clear(self) -> None:
        """Forget all of it: the connection is another one."""
        self._entries.clear()
        self._sizes.clear()
