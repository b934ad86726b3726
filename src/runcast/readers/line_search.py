"""The first line that matches an expression, in chunks as they come.

Owns which lines count, and where they begin. A line counts as a whole: when it ends, with the log or a
gap at the latest. One that rests unfinished, as a prompt does, or that is longer than `LINE_BYTES`,
counts as far as it has come. Must not know where chunks come from, and never waits.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from runcast.model import Channel, Chunk
from runcast.readers.lines import LINE_BYTES, Line, Lines

__all__ = ["FoundLine", "LineSearch"]


@dataclass(frozen=True, slots=True)
class FoundLine:
    """A line that `wait_for` has found.

    Attributes:
        text: the line without its LF or CRLF; of a line that is unfinished, what has come of it.
        offset: where it begins in the log.
        channel: the channel that it came from.
    """

    text: str
    offset: int
    channel: Channel


class LineSearch:
    """Searches the lines of a log, separately for each channel.

    Args:
        expected: the expression that matches anywhere in the line.

    Attributes:
        lines: how many lines were searched so far.
    """

    def __init__(self, expected: re.Pattern[str]) -> None:
        self.lines = 0
        self._expected = expected
        self._lines = Lines(partial=True)
        self._begun: dict[Channel, str] = {}  # the text of each line that `Lines` has returned in part
        self._offsets: dict[Channel, int] = {}  # where the unfinished line of a channel begins

    def feed(self, chunk: Chunk | None) -> FoundLine | None:
        """Return the first line that matches after another chunk, or after silence, which is None."""
        if chunk is None:
            return self._search(self._lines.rested())
        if chunk.channel is Channel.GAP:
            return self.flush()
        self._offsets.setdefault(chunk.channel, chunk.offset)
        return self._search(self._lines.feed(chunk), chunk) or self._search(self._lines.rested())

    def flush(self) -> FoundLine | None:
        """Return the first of the unfinished lines that matches: nothing will continue them."""
        found = self._search(self._lines.flush())
        self.lines += len(self._begun)  # whose last part was searched already
        self._begun.clear()
        self._offsets.clear()
        return found

    def _search(self, items: list[tuple[Channel, str]], chunk: Chunk | None = None) -> FoundLine | None:
        """Return the first match among lines and parts of lines; those of a chunk are in its order."""
        end = 0
        for channel, item in items:
            text = self._begun.pop(channel, "") + item
            if self._expected.search(text):
                return FoundLine(text, self._offsets[channel], channel)
            if isinstance(item, Line) and item.partial:
                self._begun[channel] = text[-LINE_BYTES:]
                continue
            self.lines += 1
            if chunk is not None:
                end = chunk.data.index(b"\n", end) + 1
                self._offsets[channel] = chunk.offset + end
        if chunk is not None and 0 < end == len(chunk.data):
            self._offsets.pop(chunk.channel, None)  # the next line begins with the next chunk of the channel
        return None
