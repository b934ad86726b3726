"""JSON lines: NDJSON for programs, and the messages of a WebSocket.

Both are lines of JSON that end with LF; state, progress and outcome are objects such as
`{"event": "exit", …}`. NDJSON has one chunk per line. A WebSocket message is one line without its LF
(`messages` splits them) and has as many chunks as fit, because sending a message costs as much as
encoding many chunks: `{"chunks": [...], "next": "…"}`.
"""

from __future__ import annotations

from collections.abc import Mapping

from runcast.model import Outcome, Reading, State, TerminalSize
from runcast.offsets import format_offset
from runcast.wire.chunk_events import ChunkPacker
from runcast.wire.chunks import Carry, Parts, chunk_objects
from runcast.wire.encoder import Encoder
from runcast.wire.jsons import compact, outcome_json, size_json
from runcast.wire.resume_point import START, ResumePoint
from runcast.wire.sse import RESTART_MS

__all__ = ["JsonLines", "Messages", "messages"]


class _LineEncoder(Encoder):
    has_sizes = True

    def preamble(self, run: Mapping[str, object]) -> bytes:
        """Describe the run, and the offset at which the reply begins."""
        return _line("run", {**run, "offset": format_offset(self.resume_point.offset)})

    def update(self, name: str, value: Mapping[str, object]) -> bytes:
        """Encode the latest value of `progress` or `state`."""
        return _line(name, value)

    def resize(self, size: TerminalSize) -> bytes:
        """Encode the new size, as an object that is no event: it has a place in the log."""
        return compact(size_json(size)) + b"\n"

    def exit(self, state: State, outcome: Outcome) -> bytes:
        """Encode the outcome."""
        offset = format_offset(self.resume_point.offset)
        return _line("exit", {"state": state.value, "outcome": outcome_json(outcome), "offset": offset})

    def until(self, value: Mapping[str, object]) -> bytes:
        """Encode the line at which the reply ends, or that there was none."""
        return _line("until", value)

    def notice(self, text: str) -> bytes:
        """Encode a line that is not in the log."""
        return _line("remark", {"text": text})

    def restart(self) -> bytes:
        """Announce that the client should reconnect soon, at the last `next`."""
        return _line("restart", {"retry": RESTART_MS})


class JsonLines(_LineEncoder):
    """Encodes each chunk as a line."""

    def __init__(self, run: str, start: ResumePoint = START) -> None:
        super().__init__(run, start)
        self._carry = Carry()

    @property
    def resume_point(self) -> ResumePoint:
        """The offset read up to, without an incomplete character."""
        held = self._carry.held
        return ResumePoint(self.next if held is None else held.offset)

    def feed(self, reading: Reading, *, final: bool = False) -> bytes:
        """Encode the chunks of a reading."""
        self.next = reading.next
        chunks = self._carry.feed(reading.chunks, final=final)
        parts: Parts = []
        for chunk in chunks:
            for _, _, one in chunk_objects(chunk):
                parts += one
                parts.append(b"\n")
        return b"".join(parts)

    def heartbeat(self) -> bytes:
        """Return an empty line."""
        return b"\n"


class Messages(_LineEncoder):
    """Encodes chunks as messages for a WebSocket, whose pings are the keep-alive."""

    def __init__(self, run: str, start: ResumePoint = START) -> None:
        super().__init__(run, start)
        self._packer = ChunkPacker(start.read_from)

    @property
    def resume_point(self) -> ResumePoint:
        """The offset read up to, without an incomplete character."""
        return ResumePoint(self._packer.offset)

    def feed(self, reading: Reading, *, final: bool = False) -> bytes:
        """Encode the chunks of a reading, as one message or several."""
        parts: Parts = []
        for _, one in self._packer.feed(reading, final=final):
            parts += one
            parts.append(b"\n")
        self.next = reading.next
        return b"".join(parts)


def messages(encoded: bytes) -> list[str]:
    """Split the output of a `Messages` encoder into messages, each for one text frame."""
    return encoded.decode("ascii").split("\n")[:-1]


def _line(name: str, value: Mapping[str, object]) -> bytes:
    return compact({"event": name, **value}) + b"\n"
