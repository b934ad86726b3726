"""JSON lines: NDJSON for programs, and the messages of a WebSocket.

Both are lines of JSON that end at LF, and say what stands beside the log as
`{"event": "exit", …}`. NDJSON has one chunk a line. A WebSocket message is one line without its
LF (`messages` takes them apart) and has as many chunks as fit, for each message costs as much to
send as many chunks to write: `{"chunks": [...], "next": "…"}`.
"""

from __future__ import annotations

from collections.abc import Mapping

from runcast.model import Outcome, Reading, State, format_offset
from runcast.wire.chunk_events import ChunkPacker
from runcast.wire.chunks import Carry, Said, chunk_objects
from runcast.wire.encoder import Encoder
from runcast.wire.jsons import compact, outcome_json
from runcast.wire.place import START, Place
from runcast.wire.sse import RESTART_MS

__all__ = ["JsonLines", "Messages", "messages"]


class _Lines(Encoder):
    def hello(self, run: Mapping[str, object]) -> bytes:
        """Say the run, and the offset at which this begins."""
        return _line("run", {**run, "offset": format_offset(self.place.offset)})

    def tell(self, name: str, value: Mapping[str, object]) -> bytes:
        """Say the latest value of something."""
        return _line(name, value)

    def exit(self, state: State, outcome: Outcome) -> bytes:
        """Say how it ended."""
        offset = format_offset(self.place.offset)
        return _line("exit", {"state": state.value, "outcome": outcome_json(outcome), "offset": offset})

    def remark(self, text: str) -> bytes:
        """Say a line of our own."""
        return _line("remark", {"text": text})

    def restart(self) -> bytes:
        """Say to come back soon, at the last `next`."""
        return _line("restart", {"retry": RESTART_MS})


class JsonLines(_Lines):
    """Says each chunk as a line."""

    def __init__(self, run: str, place: Place = START) -> None:
        super().__init__(run, place)
        self._carry = Carry()

    @property
    def place(self) -> Place:
        """The offset read up to, but for half a character."""
        held = self._carry.held
        return Place(self.next if held is None else held.offset)

    def feed(self, reading: Reading, *, final: bool = False) -> bytes:
        """Say the chunks of a reading."""
        self.next = reading.next
        chunks = self._carry.feed(reading.chunks, final=final)
        parts: Said = []
        for chunk in chunks:
            for _, _, said in chunk_objects(chunk):
                parts += said
                parts.append(b"\n")
        return b"".join(parts)

    def beat(self) -> bytes:
        """Say an empty line."""
        return b"\n"


class Messages(_Lines):
    """Says chunks as messages for a WebSocket; its own pings are the keep-alive."""

    def __init__(self, run: str, place: Place = START) -> None:
        super().__init__(run, place)
        self._packer = ChunkPacker(place.start)

    @property
    def place(self) -> Place:
        """The offset read up to, but for half a character."""
        return Place(self._packer.offset)

    def feed(self, reading: Reading, *, final: bool = False) -> bytes:
        """Say the chunks of a reading, as one message or several."""
        parts: Said = []
        for _, said in self._packer.feed(reading, final=final):
            parts += said
            parts.append(b"\n")
        self.next = reading.next
        return b"".join(parts)


def messages(said: bytes) -> list[str]:
    """Return the messages, each for one text frame, that a `Messages` said."""
    return said.decode("ascii").split("\n")[:-1]


def _line(name: str, value: Mapping[str, object]) -> bytes:
    return compact({"event": name, **value}) + b"\n"
