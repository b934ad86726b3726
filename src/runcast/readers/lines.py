"""Bytes into lines: LF and CRLF end a line, nothing else does; UTF-8 is decoded line by line.

Owns the unfinished line of each channel. `str.splitlines` is not used: it also splits at U+2028 and
others that are part of the text. On request, a line that is unfinished for `REST_SECONDS` is returned
as a partial line (a prompt that waits for an answer), and of a line that CRs overwrite only the last
state is kept (a progress bar). Never waits: `rested` returns the partial lines that are due, `due` is
when to call it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from runcast import utf8
from runcast.model import Channel, Chunk

__all__ = ["LINE_BYTES", "REST_SECONDS", "Line", "Lines"]

LINE_BYTES = 1024 * 1024  # a longer line is returned in parts: an endless one must not fill memory
REST_SECONDS: Final = 1.0  # a program that pauses so long within a line probably waits for input


class Line(str):
    """A line, or a part of one, as `lines(partial=True)` yields them.

    Attributes:
        partial: whether the line continues: the next item of its channel is the rest of it.
    """

    partial: bool

    def __new__(cls, text: str, *, partial: bool = False) -> Line:
        """Create one from a text."""
        line = super().__new__(cls, text)
        line.partial = partial
        return line


class Lines:
    """Collects the lines of a log, separately for each channel.

    Args:
        most: bytes after which an unfinished line is returned as it is; at least 5.
        partial: return `Line`s, and unfinished lines as parts; the rest of such a line is the next
            item, which is empty if only the line end was missing.
        progress: of a line with CRs, keep only the text behind the last one.
    """

    def __init__(self, most: int = LINE_BYTES, *, partial: bool = False, progress: bool = False) -> None:
        self._most = most
        self._partial, self._progress = partial, progress
        # One method that checks both flags would take a third more time for a million lines.
        self._text: Callable[[bytes], str] = self._line if partial or progress else _text
        self._rest: dict[Channel, list[bytes]] = {}
        self._size: dict[Channel, int] = {}
        self._parted: set[Channel] = set()  # channels whose unfinished line was returned in part
        self._since: dict[Channel, float] = {}  # when an unfinished line was last added to

    def feed(self, chunk: Chunk) -> list[tuple[Channel, str]]:
        """Return the lines that the chunk ends, without their LF or CRLF.

        A gap ends the lines of all channels: the bytes behind it do not continue them.
        """
        if chunk.channel is Channel.GAP:
            return self.flush()
        first, *others = chunk.data.split(b"\n")
        if not others:
            return self._keep(chunk.channel, first)
        *whole, last = others
        lines = [self._text(b"".join([*self._rest.pop(chunk.channel, []), first]))]
        if chunk.channel in self._parted:
            self._parted.discard(chunk.channel)
            if not lines[0] and not self._partial:  # the rest of the line was only its end
                lines.clear()
        lines += map(self._text, whole)
        self._size[chunk.channel] = 0
        self._since.pop(chunk.channel, None)
        ended: list[tuple[Channel, str]] = [(chunk.channel, line) for line in lines]
        return ended + self._keep(chunk.channel, last) if last else ended

    def _keep(self, channel: Channel, rest: bytes) -> list[tuple[Channel, str]]:
        self._rest.setdefault(channel, []).append(rest)
        self._size[channel] = self._size.get(channel, 0) + len(rest)
        if self._progress and b"\r" in rest:
            state = _last_state(b"".join(self._rest[channel]))
            self._rest[channel], self._size[channel] = [state], len(state)
        if self._partial and rest:
            now = time.monotonic()
            # A progress bar never pauses: its state is due after a time all the same.
            self._since[channel] = self._since.get(channel, now) if self._progress else now
        return [] if self._size[channel] < self._most else self._part(channel)

    def _part(self, channel: Channel) -> list[tuple[Channel, str]]:
        """Return an unfinished line so far, without an incomplete character or a CR that may end it."""
        data = b"".join(self._rest.pop(channel))
        cut = utf8.cut(data)
        if self._partial:
            cut = len(data[:cut].rstrip(b"\r"))
        else:
            cut -= data[:cut].endswith(b"\r")
        self._rest[channel], self._size[channel] = [data[cut:]], len(data) - cut
        self._since.pop(channel, None)
        if not cut:
            return []
        self._parted.add(channel)
        return [(channel, self._item(data[:cut], partial=True))]

    @property
    def due(self) -> float | None:
        """When `rested` has something to return, by the monotonic clock in seconds; None for never."""
        return min(self._since.values()) + REST_SECONDS if self._since else None

    def rested(self, slack: float = 0.0) -> list[tuple[Channel, str]]:
        """Return the unfinished lines that are due now, or within `slack` seconds."""
        if not self._since:
            return []
        before = time.monotonic() - REST_SECONDS + slack
        ready = [channel for channel, since in self._since.items() if since <= before]
        return [part for channel in ready for part in self._part(channel)]

    def flush(self) -> list[tuple[Channel, str]]:
        """Return the last lines, which are unfinished."""
        rests = [(channel, b"".join(parts)) for channel, parts in self._rest.items()]
        self._rest.clear()
        self._size.clear()
        self._parted.clear()
        self._since.clear()
        ended = self._text if self._progress else self._item
        return [(channel, ended(rest)) for channel, rest in rests if rest]

    def _line(self, line: bytes) -> str:
        if self._progress and b"\r" in line:
            line = _last_state(line)
        return self._item(line.removesuffix(b"\r"))

    def _item(self, data: bytes, *, partial: bool = False) -> str:
        text = data.decode(errors="replace")
        return Line(text, partial=partial) if self._partial else text


def _text(line: bytes) -> str:
    return line.removesuffix(b"\r").decode(errors="replace")


def _last_state(line: bytes) -> bytes:
    """Return the last state of a line that CRs overwrite, with its final CR if it has one."""
    drawn = line.rstrip(b"\r")
    state = drawn[drawn.rfind(b"\r") + 1 :]
    return state + b"\r" if len(drawn) < len(line) else state
