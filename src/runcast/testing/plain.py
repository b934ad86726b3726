"""The reference model of a log: a list of labelled bytes, which every query scans completely.

Owns the expected results. It is deliberately slow, and has no cached offsets, indexes or segments, so
it cannot share a fault with the backends that are checked against it.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from runcast.model import Channel

__all__ = ["PlainLog"]


_CHANNELS = list(Channel)


class PlainLog:
    """Every byte with its channel, in the order in which they were appended."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._labels = bytearray()  # for each byte, the index of its channel in _CHANNELS

    def append(self, channel: Channel, data: bytes) -> None:
        """Append bytes of one channel."""
        self._bytes += data
        self._labels += bytes([_CHANNELS.index(channel)]) * len(data)

    @property
    def tail(self) -> int:
        """The number of bytes."""
        return len(self._bytes)

    def channels(self, start: int, end: int) -> set[Channel]:
        """Return the channels of the bytes of a range."""
        return {_CHANNELS[label] for label in set(self._labels[start:end])}

    def data(
        self, start: int = 0, end: int | None = None, channels: Collection[Channel] | None = None
    ) -> bytes:
        """Return the bytes of a range, or only those of some channels."""
        if channels is None:
            return bytes(self._bytes[start:end])
        labels = {_CHANNELS.index(channel) for channel in channels}
        labelled = zip(self._bytes[start:end], self._labels[start:end], strict=True)
        return bytes(byte for byte, label in labelled if label in labels)

    def lines_before(self, offset: int) -> int:
        """Return how many line feeds come before an offset."""
        return self._bytes[:offset].count(b"\n")

    def offset_of_line(self, number: int) -> int:
        """Return where a line begins, counted from 1; the tail if there is none."""
        lines = bytes(self._bytes).split(b"\n")
        before = lines[: max(number - 1, 0)]
        return sum(map(len, before)) + len(before) if len(before) < len(lines) else self.tail

    def offset_of_tail(self, lines: int, channels: Collection[Channel] | None = None) -> int:
        """Return where the last lines and states of lines (of some channels) begin."""
        if lines <= 0:
            return self.tail
        offsets = [
            at for at, label in enumerate(self._labels) if channels is None or _CHANNELS[label] in channels
        ]
        text = bytes(self._bytes[at] for at in offsets)
        # No line begins behind the last byte; CRs end a state if text precedes them and no LF follows.
        ends = [at for at, byte in zip(offsets[:-1], text, strict=False) if byte == ord("\n")]
        for run in re.finditer(rb"[^\r\n]\r+(?=[^\r\n])", text):
            ends.append(offsets[run.end() - 1])
        ends.sort()
        return ends[-lines] + 1 if lines <= len(ends) else 0
