"""A recording in asciicast v2: what asciinema and its players read, with the times of the output.

    {"version": 2, "width": 80, "height": 24, "timestamp": 1763714992, "title": "make"}
    [0.25, "o", "compiling\\r\\n"]
    [3.25, "m", "exit code 0"]

All channels are output, as on a terminal. A program that writes into a pipe ends lines with LF
and leaves the CR to the terminal, which a player has not got: so a LF gets one, unless the run
has a terminal of its own. A gap and the end are markers. The format is for text, so bytes that are
no UTF-8 become U+FFFD, and there is no word in it for state and progress.

stdout and stderr may each be in the middle of a character when the other writes. So the beginning
of one is held back for each channel, up to `REACH` bytes of others, and `place` names where it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from runcast import utf8
from runcast.model import Channel, Chunk, Outcome, Reading, State
from runcast.wire.encoder import Encoder
from runcast.wire.jsons import compact, escape
from runcast.wire.place import REACH, START, Place

__all__ = ["Asciicast"]

WIDTH, HEIGHT = 80, 24  # of a terminal that nobody said more of
_BARE_LF: Final = re.compile(rb"(?<!\r)\n")


class Asciicast(Encoder):
    """Says each chunk as an output event.

    Args:
        run: the id of the run.
        place: where to begin.
        began: the time that is zero in the recording, in seconds since the epoch.
        terminal: the run has a terminal of its own, which ends the lines.
    """

    def __init__(self, run: str, place: Place = START, *, began: float = 0.0, terminal: bool = False) -> None:
        super().__init__(run, place)
        self._characters = utf8.Characters()
        self._from = place.offset  # before it only what follows a beginning is said: the rest has been
        self._begins = dict(place.begins)  # where the characters begin that are not whole
        self._began = began
        self._terminal = terminal
        self._at = 0.0

    @property
    def place(self) -> Place:
        """The offset read up to, and where unfinished characters begin."""
        begins = tuple((channel, self._begins[channel]) for channel in sorted(self._begins))
        return Place(max(self.next, self._from), begins)

    def hello(self, run: Mapping[str, object]) -> bytes:
        """Say the header."""
        header = {"version": 2, "width": WIDTH, "height": HEIGHT, "timestamp": int(self._began)}
        return compact(header | {"title": str(run.get("name", self.run))}) + b"\n"

    def feed(self, reading: Reading, *, final: bool = False) -> bytes:
        """Say the chunks of a reading."""
        said = [self._said(chunk) for chunk in reading.chunks]
        self.next = reading.next
        if self._begins and self.next >= self._from:
            held = self._characters.held
            self._begins = {channel: begin for channel, begin in self._begins.items() if channel in held}
            if final or min(self._begins.values(), default=self.next) < self.next - REACH:
                said.append(self._unfinished())
        return b"".join(said)

    def _said(self, chunk: Chunk) -> bytes:
        if chunk.channel is Channel.GAP:
            if chunk.next <= self._from:
                return b""
            marker = self._marker(chunk.time, f"bytes {chunk.offset} to {chunk.next} are gone")
            return self._unfinished() + marker
        start = max(chunk.offset, min(self._begins.get(chunk.channel, self._from), self._from))
        if start >= chunk.next:
            return b""
        data = chunk.data[start - chunk.offset :]
        whole = self._characters.feed(chunk.channel, data)
        held = len(self._characters.held.get(chunk.channel, b""))
        if held <= len(data):  # else it goes on with what began before
            if held or chunk.next < self._from:
                self._begins[chunk.channel] = chunk.next - held
            else:
                self._begins.pop(chunk.channel, None)
        return self._output(chunk.time, whole)

    def _unfinished(self) -> bytes:
        """Say the beginnings of characters whose ends do not come any more."""
        self._begins.clear()
        return b"".join([self._output(0.0, data) for _, data in self._characters.flush()])

    def _output(self, time: float, data: bytes) -> bytes:
        if not data:
            return b""
        data = utf8.mend(data)
        if not self._terminal:
            data = _BARE_LF.sub(b"\r\n", data)
        return self._event(time, b"o", escape(data) or b"")

    def exit(self, state: State, outcome: Outcome) -> bytes:
        """Say how it ended, as a marker."""
        return self._marker(outcome.ended_at, str(outcome))

    def _marker(self, time: float, text: str) -> bytes:
        return self._event(time, b"m", escape(text.encode(errors="replace")) or b"")

    def _event(self, time: float, kind: bytes, text: bytes) -> bytes:
        self._at = max(self._at, time - self._began)  # a time that is not known is that of what was before
        return b'[%.6f, "%b", "%b"]\n' % (self._at, kind, text)
