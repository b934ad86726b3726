"""All lines of a log that match an expression, in chunks as they come.

Owns where such a line begins: its number, offset, time and channel. Lines of one channel go on behind
those of another, and a line counts when it has ended, with the log or a gap at the latest. So hits are
in the order in which lines end. Must not know where chunks come from, and never waits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from runcast.model import Channel, Chunk
from runcast.offsets import format_offset
from runcast.search.expression import Expression, count_lines

__all__ = ["Hit", "Search"]

_LINE_BYTES = 1024 * 1024  # of an unfinished line; then it is searched as it is
_OVERLAP = 16 * 1024  # bytes of a very long line that are searched again with its next part


class Hit(NamedTuple):
    """A line that matches.

    Attributes:
        line: its number, counted from 1: one more than there are line feeds before it in the whole log.
        offset: where it begins in the log.
        channel: the channel that it came from.
        time: when its first bytes came, in seconds since the epoch.
        data: its bytes, without its LF or CRLF; of a line longer than 1 MiB, a part that matches.
        next: the offset behind it and its end; of a line without an end, behind its last byte.
    """

    line: int
    offset: int
    channel: Channel
    time: float
    data: bytes
    next: int

    def to_json(self, characters: int) -> dict[str, Any]:
        """Return it as JSON values, with so many characters of its text at most."""
        text = self.data.decode(errors="replace")
        value: dict[str, Any] = {
            "line": self.line,
            "offset": format_offset(self.offset),
            "channel": self.channel,
            "time": self.time,
            "text": text[:characters],
        }
        return value | {"cut": True} if len(text) > characters else value


class _Begun:
    """A line that has not ended."""

    __slots__ = ("data", "found", "next", "offset", "time")

    def __init__(self, offset: int, time: float, data: bytes) -> None:
        self.offset, self.time, self.data = offset, time, bytearray(data)
        self.next = offset + len(data)
        self.found = False  # in a part of it that is not kept any more


class Search:
    """Searches the lines of a log.

    Args:
        expression: what for.
        lines_before: returns how many line feeds there are before an offset of the whole log.
    """

    def __init__(self, expression: Expression, lines_before: Callable[[int], int]) -> None:
        self._expression = expression
        self._lines_before = lines_before
        self._counted = -1, 0  # an offset, and the line feeds before it
        self._begun: dict[Channel, _Begun] = {}

    def feed(self, chunk: Chunk, time: Callable[[int], float] | None = None) -> Iterator[Hit]:
        """Yield the lines that match and end in this chunk. It must be taken to its end.

        Args:
            chunk: the next one of the log.
            time: returns when the byte at an offset came; by default all came at the chunk's time.
        """
        channel, data = chunk.channel, chunk.data
        if channel is Channel.GAP:
            yield from self.flush()
            return
        end = data.rfind(b"\n") + 1
        start = 0  # of the lines that begin and end here
        if channel in self._begun and end:
            start = data.index(b"\n") + 1
            self._begun[channel].next = chunk.offset + start
            yield from self._continued(channel, data[: start - 1], ended=True)
        if start < end and not self._expression.rules_out(data):
            yield from self._in_block(chunk, start, end, time)
        if end < len(data):
            if channel in self._begun:
                self._begun[channel].next = chunk.next
                yield from self._continued(channel, data[end:], ended=False)
            else:
                begin = chunk.offset + end
                self._begun[channel] = _Begun(begin, time(begin) if time else chunk.time, data[end:])

    def flush(self) -> Iterator[Hit]:
        """Yield those of the unfinished lines that match: nothing will continue them."""
        for channel in sorted(self._begun, key=lambda channel: self._begun[channel].offset):
            yield from self._continued(channel, b"", ended=True)

    @property
    def unfinished(self) -> dict[Channel, int]:
        """Where the unfinished line of each channel goes on."""
        return {channel: begun.next for channel, begun in self._begun.items()}

    def so_far(self, channel: Channel) -> Iterator[Hit]:
        """Yield the unfinished line of a channel if it matches already; it is found once."""
        begun = self._begun[channel]
        if not begun.found and self._expression.matches(bytes(begun.data)):
            begun.found = True
            number, line = self._lines_before(begun.offset) + 1, bytes(begun.data)
            yield Hit(number, begun.offset, channel, begun.time, line, begun.next)

    def _continued(self, channel: Channel, data: bytes, *, ended: bool) -> Iterator[Hit]:
        begun = self._begun[channel]
        begun.data += data
        if not ended and len(begun.data) < _LINE_BYTES:
            return
        for hit in self.so_far(channel):
            yield hit._replace(data=hit.data.removesuffix(b"\r"))
        if ended:
            del self._begun[channel]
        else:
            del begun.data[:-_OVERLAP]

    def _in_block(
        self, chunk: Chunk, start: int, end: int, time: Callable[[int], float] | None
    ) -> Iterator[Hit]:
        """Yield the matching lines among those that begin and end in a chunk, between two places in it."""
        data = chunk.data
        block = data if end - start == len(data) else data[start:end]
        origin = chunk.offset + start
        before = -1  # line feeds before the block: they are counted once there is a hit
        number = begin = 0
        for number, begin, stop in self._expression.lines(block):
            if before < 0:
                before = self._count(chunk.offset, origin)
            offset = origin + begin
            came = time(offset) if time else chunk.time
            line = block[begin:stop].removesuffix(b"\r")
            yield Hit(before + number + 1, offset, chunk.channel, came, line, origin + stop + 1)
        if before >= 0:
            lines = before + number + count_lines(block, begin, len(block))
            self._counted = chunk.offset + len(data), lines

    def _count(self, chunk: int, begin: int) -> int:
        """Return the line feeds before the first line that begins in a chunk."""
        offset, lines = self._counted
        if offset != chunk:
            return self._lines_before(begin)
        return lines + (begin > chunk)  # the line before it ends in the chunk
