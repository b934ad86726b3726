"""Bytes into lines: LF and CRLF end one, nothing else does; UTF-8 is decoded line by line.

Owns the rest of each channel that has no line end yet. `str.splitlines` is not used: it also
splits at U+2028 and others that are part of the text. Pure: chunks in, lines out.
"""

from __future__ import annotations

from runcast import utf8
from runcast.model import Channel, Chunk

__all__ = ["LINE_BYTES", "Lines"]

LINE_BYTES = 1024 * 1024  # a longer line is given out in parts: one that never ends must not fill memory


class Lines:
    """Collects the lines of a log, the channels apart.

    Args:
        most: bytes after which a line without an end is given out as it is; at least 5.
    """

    def __init__(self, most: int = LINE_BYTES) -> None:
        self._most = most
        self._rest: dict[Channel, list[bytes]] = {}
        self._size: dict[Channel, int] = {}
        self._parted: set[Channel] = set()  # where a part of the unfinished line was given out

    def feed(self, chunk: Chunk) -> list[tuple[Channel, str]]:
        """Return the lines that the chunk ends, without their LF or CRLF.

        A gap ends them all: what comes behind it is not their rest.
        """
        if chunk.channel is Channel.GAP:
            return self.flush()
        first, *others = chunk.data.split(b"\n")
        if not others:
            return self._keep(chunk.channel, first)
        *whole, last = others
        lines = [_text(b"".join([*self._rest.pop(chunk.channel, []), first]))]
        if chunk.channel in self._parted:
            self._parted.discard(chunk.channel)
            if not lines[0]:  # nothing was left of it but its end
                lines.clear()
        lines += map(_text, whole)
        self._size[chunk.channel] = 0
        ended: list[tuple[Channel, str]] = [(chunk.channel, line) for line in lines]
        return ended + self._keep(chunk.channel, last) if last else ended

    def _keep(self, channel: Channel, rest: bytes) -> list[tuple[Channel, str]]:
        self._rest.setdefault(channel, []).append(rest)
        self._size[channel] = self._size.get(channel, 0) + len(rest)
        if self._size[channel] < self._most:
            return []
        data = b"".join(self._rest.pop(channel))
        cut = utf8.cut(data)
        cut -= data[:cut].endswith(b"\r")  # it may belong to the line's end
        self._parted.add(channel)
        self._rest[channel], self._size[channel] = [data[cut:]], len(data) - cut
        return [(channel, data[:cut].decode(errors="replace"))]

    def flush(self) -> list[tuple[Channel, str]]:
        """Return the last lines, which had no end."""
        rests = [(channel, b"".join(parts)) for channel, parts in self._rest.items()]
        self._rest.clear()
        self._size.clear()
        self._parted.clear()
        return [(channel, rest.decode(errors="replace")) for channel, rest in rests if rest]


def _text(line: bytes) -> str:
    return line.removesuffix(b"\r").decode(errors="replace")
