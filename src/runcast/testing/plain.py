"""A log told the plain way: a list of labelled bytes that answers every question by looking at all.

Owns what is right. Slow on purpose, and without offsets that are kept, indexes or segments, so
that it cannot share a mistake with what is checked against it.
"""

from __future__ import annotations

from collections.abc import Collection

from runcast.model import Channel

__all__ = ["PlainLog"]


_CHANNELS = list(Channel)


class PlainLog:
    """Every byte with its channel, in the order in which they were appended."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._labels = bytearray()  # of each byte, the place of its channel in _CHANNELS

    def append(self, channel: Channel, data: bytes) -> None:
        """Append bytes of one channel."""
        self._bytes += data
        self._labels += bytes([_CHANNELS.index(channel)]) * len(data)

    @property
    def tail(self) -> int:
        """How many bytes there are."""
        return len(self._bytes)

    def channels(self, start: int, end: int) -> set[Channel]:
        """Return the channels of the bytes of a range."""
        return {_CHANNELS[label] for label in set(self._labels[start:end])}

    def data(
        self, start: int = 0, end: int | None = None, channels: Collection[Channel] | None = None
    ) -> bytes:
        """Return the bytes of a range, or those of them that belong to some channels."""
        if channels is None:
            return bytes(self._bytes[start:end])
        wanted = {_CHANNELS.index(channel) for channel in channels}
        labelled = zip(self._bytes[start:end], self._labels[start:end], strict=True)
        return bytes(byte for byte, label in labelled if label in wanted)

    def lines_before(self, offset: int) -> int:
        """Return how many line feeds come before an offset."""
        return self._bytes[:offset].count(b"\n")

    def offset_of_line(self, number: int) -> int:
        """Return where a line begins, counted from 1; the tail if there is none."""
        lines = bytes(self._bytes).split(b"\n")
        before = lines[: max(number - 1, 0)]
        return sum(map(len, before)) + len(before) if len(before) < len(lines) else self.tail

    def offset_of_tail(self, lines: int, channels: Collection[Channel] | None = None) -> int:
        """Return where the last lines (of some channels) begin."""
        if lines <= 0:
            return self.tail
        wanted = [
            at for at, label in enumerate(self._labels) if channels is None or _CHANNELS[label] in channels
        ]
        ends = [at for at in wanted[:-1] if self._bytes[at] == ord("\n")]  # the last byte begins no line
        return ends[-lines] + 1 if lines <= len(ends) else 0
