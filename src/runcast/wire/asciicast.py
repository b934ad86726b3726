"""A recording in asciicast v2 or v3: what asciinema and its players read, with the times of the output.

    {"version": 2, "width": 80, "height": 24, "timestamp": 1763714992, "title": "make"}
    [0.0, "o", ""]
    [0.25, "o", "compiling\\r\\n"]
    [3.25, "m", "exit code 0"]

v3 differs in its header, in its times, which are intervals, and in an event for the exit status. The
first event has no output: players refuse a header alone.

All channels are output, as on a terminal. A program that writes into a pipe ends its lines with LF
and relies on the terminal for the CR. A player does not add it, so the encoder does, unless the run
has a terminal of its own; of that one each new size is an event. A gap and the end are markers. The
format holds text only: bytes that are not UTF-8 become U+FFFD. It cannot express state or progress.

stdout and stderr may each be in the middle of a character when the other writes. So each channel's
incomplete character is held back, for at most `REACH` bytes of the others, and `resume_point` names
where it begins.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from runcast import utf8
from runcast.model import Channel, Chunk, Outcome, Reading, State, TerminalSize
from runcast.wire.encoder import Encoder
from runcast.wire.jsons import compact, escape
from runcast.wire.resume_point import REACH, START, ResumePoint
from runcast.wire.text import missing_line

__all__ = ["Asciicast", "AsciicastV3"]

WIDTH, HEIGHT = 80, 24  # of a terminal whose size is unknown
_BARE_LF: Final = re.compile(rb"(?<!\r)\n")


class Asciicast(Encoder):
    """Encodes each chunk as an output event, in v2.

    Args:
        run: the id of the run.
        start: where to begin.
        began: the time that is zero in the recording, in seconds since the epoch.
        terminal: the run has a terminal of its own, which ends the lines.
        idle_time_limit: to how many seconds a player shortens a longer silence.
    """

    has_sizes = True

    def __init__(
        self,
        run: str,
        start: ResumePoint = START,
        *,
        began: float = 0.0,
        terminal: bool = False,
        idle_time_limit: float | None = None,
    ) -> None:
        super().__init__(run, start)
        self._characters = utf8.Characters()
        self._from = start.offset  # bytes before it were sent, but for incomplete characters
        self._begins = dict(start.begins)  # where incomplete characters begin
        self._began = began
        self._terminal = terminal
        self._idle_time_limit = idle_time_limit
        self._resumed = start.resumed
        self._at = start.at

    @property
    def resume_point(self) -> ResumePoint:
        """The offset read up to, where unfinished characters begin, and the time of the last event."""
        begins = tuple((channel, self._begins[channel]) for channel in sorted(self._begins))
        return ResumePoint(max(self.next, self._from), begins, at=self._at)

    def preamble(self, run: Mapping[str, object]) -> bytes:
        """Return the header, and an event without output."""
        columns, rows = run.get("columns") or WIDTH, run.get("rows") or HEIGHT
        header = self._header(columns, rows) | {"timestamp": int(self._began)}
        if self._idle_time_limit:
            header["idle_time_limit"] = self._idle_time_limit
        header["title"] = str(run.get("name", self.run))
        return self._framed(compact(header)) + self._event(0.0, b"o", b"")

    def _header(self, columns: object, rows: object) -> dict[str, object]:
        return {"version": 2, "width": columns, "height": rows}

    def feed(self, reading: Reading, *, final: bool = False) -> bytes:
        """Encode the chunks of a reading."""
        parts = []
        for chunk in reading.chunks:
            for piece in self._pieces(chunk):
                self.next = piece.next
                parts.append(self._encoded(piece))
        self.next = reading.next
        if self._begins and self.next >= self._from:
            held = self._characters.held
            self._begins = {channel: begin for channel, begin in self._begins.items() if channel in held}
            if final or min(self._begins.values(), default=self.next) < self.next - REACH:
                parts.append(self._unfinished())
        return b"".join(parts)

    def _pieces(self, chunk: Chunk) -> Iterable[Chunk]:
        """Return a chunk in parts, of which each becomes an event."""
        return (chunk,)

    def _encoded(self, chunk: Chunk) -> bytes:
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
        """Encode the characters that will stay incomplete."""
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
        """Return the outcome, as a marker."""
        return self._marker(outcome.ended_at, str(outcome))

    def until(self, value: Mapping[str, object]) -> bytes:
        """Return a marker."""
        text = f"line {value['line']}" if value["found"] else missing_line(value)
        return self._marker(0.0, text)

    def _marker(self, time: float, text: str) -> bytes:
        return self._event(time, b"m", escape(text.encode(errors="replace")) or b"")

    def _status(self, outcome: Outcome) -> bytes:
        return self._event(0.0, b"x", b"%d" % outcome.exit_status)

    def resize(self, size: TerminalSize) -> bytes:
        """Return the new size, as an event of its own kind."""
        return self._of_kind(size.time, b"r", self._size(size.columns, size.rows))

    def _size(self, columns: int, rows: int) -> bytes:
        """Return a size as a JSON value."""
        return b'"%dx%d"' % (columns, rows)

    def _event(self, time: float, kind: bytes, text: bytes) -> bytes:
        return self._of_kind(time, kind, b'"%b"' % text)

    def _of_kind(self, time: float, kind: bytes, value: bytes) -> bytes:
        # An unknown time is that of the previous event. Rounded as it is written, so that intervals add up.
        before, self._at = self._at, max(self._at, round(time - self._began, 6))
        return self._framed(b'[%.6f, "%b", %b]' % (self._time(before), kind, value))

    def _framed(self, line: bytes) -> bytes:
        """Return the header or an event as it is sent."""
        return line + b"\n"

    def _time(self, before: float) -> float:
        """Return the time to write for an event; `before` is when the previous one was."""
        return self._at


class AsciicastV3(Asciicast):
    """Encodes each chunk as an output event, in v3: the time of an event is the interval before it."""

    def _header(self, columns: object, rows: object) -> dict[str, object]:
        return {"version": 3, "term": {"cols": columns, "rows": rows}}

    def exit(self, state: State, outcome: Outcome) -> bytes:
        """Return the outcome, as a marker, and the exit status."""
        return super().exit(state, outcome) + self._status(outcome)

    def _time(self, before: float) -> float:
        return self._at - before
