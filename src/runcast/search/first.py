"""The first line of a log that matches, while the log grows.

Owns which lines count: those that end behind where the search begins, and at last an unfinished one that
rests, as a prompt does. A line may begin before that place: what a reader has had of it counts. So a reader
that comes back in the middle of a line finds the same line. Never waits.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator
from typing import Any, Final

from runcast.log import Log
from runcast.log.stretches import stretches
from runcast.model import Channel, rfc3339
from runcast.offsets import format_offset
from runcast.search.expression import Expression
from runcast.search.lines import Hit, Search

__all__ = ["FirstMatch", "line_json"]

_READ_BYTES = 256 * 1024
_BACK_BYTES = 64 * 1024  # of a line that began before
_CHARACTERS = 4096
_REST_SECONDS: Final = 1.0  # a program that pauses so long within a line probably waits for input


def line_json(hit: Hit) -> dict[str, Any]:
    """Return a line that was found as JSON values, with the offset behind it."""
    return hit.to_json(_CHARACTERS) | {"time": rfc3339(hit.time), "next": format_offset(hit.next)}


class FirstMatch:
    """Searches a log for the first line that matches.

    Args:
        log: the log, which nobody else reads by this object.
        expression: what for.
        start: where the search begins.
        again: a line that ends right there counts: its reader has not learned that it was the last.
        channels: only these; None for all.
    """

    def __init__(
        self,
        log: Log,
        expression: Expression,
        start: int,
        channels: Collection[Channel] | None = None,
        *,
        again: bool = False,
    ) -> None:
        self.log, self._start, self._channels = log, start, channels
        self._least = start if again else start + 1  # where a line ends that counts
        self._search = Search(expression, log.lines_before)
        self._offset = max(start - _BACK_BYTES, 0)
        self._resting: dict[tuple[Channel, int], float] = {}  # unfinished lines, and since when
        self._looked: set[tuple[Channel, int]] = set()

    def up_to(self, offset: int) -> Hit | None:
        """Return the first line that ends before an offset, if there is one."""
        for stretch in stretches(self.log, self._offset, offset, _READ_BYTES, self._channels):
            found = self._first(self._search.feed(stretch.chunk, stretch.time))
            if found is not None:
                return found
            self._offset = stretch.chunk.next
        self._offset = max(self._offset, offset)
        return None

    def rested(self) -> Hit | None:
        """Return an unfinished line that matches as far as it has come, where it rests."""
        if found := self._begin():
            return found
        now = time.monotonic()
        lines = self._search.unfinished.items()
        self._resting = {line: self._resting.get(line, now) for line in lines}
        for line, since in self._resting.items():
            if now - since >= _REST_SECONDS and line not in self._looked:
                self._looked = {*(seen for seen in self._looked if seen in self._resting), line}
                if found := self._unfinished(self._search.so_far(line[0])):
                    return found
        return None

    def last(self) -> Hit | None:
        """Return an unfinished line that matches: nothing will continue it."""
        return self._begin() or self._unfinished(self._search.flush())

    def close(self) -> None:
        """Close the log."""
        self.log.close()

    def _begin(self) -> Hit | None:
        """Read what began before the start, where nothing was read behind it."""
        return self.up_to(self._start) if self._offset < self._start else None

    def _unfinished(self, hits: Iterator[Hit]) -> Hit | None:
        """Return the first of some lines without an end; what other channels have behind it was read."""
        found = next(hits, None)
        return found and found._replace(next=max(found.next, self._offset))

    def _first(self, hits: Iterable[Hit]) -> Hit | None:
        found = None
        for hit in hits:  # all of them: a chunk must be taken to its end
            if found is None and hit.next >= self._least:
                found = hit
        return found
