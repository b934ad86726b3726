"""Events of JSON chunks: for our page, our client, and whoever wants channel, time and speed.

Each event is `{"chunks": [...], "next": "…"}` with as many chunks as fit; its id is the offset
behind them, to the byte. Half lines and prompts are said at once. A gap is a chunk.
"""

from __future__ import annotations

from collections.abc import Iterator

from runcast.model import Reading
from runcast.wire.chunks import OBJECT_BYTES, Carry, chunk_jsons
from runcast.wire.jsons import compact
from runcast.wire.place import START, Place, event_id
from runcast.wire.sse import EventStream, event

__all__ = ["ChunkEvents", "ChunkPacker"]


class ChunkPacker:
    """Packs the chunks of readings into JSON messages of bounded size.

    Attributes:
        next: where to read on.
        offset: where a viewer who got all messages would come back; up to three bytes before.
    """

    def __init__(self, offset: int) -> None:
        self.next = offset
        self._carry = Carry()

    @property
    def offset(self) -> int:
        held = self._carry.held
        return self.next if held is None else held.offset

    def feed(self, reading: Reading, *, final: bool = False) -> Iterator[tuple[int, bytes]]:
        """Return the messages, each after the offset to go on from."""
        chunks = self._carry.feed(reading.chunks, final=final)
        self.next = reading.next
        return self._pack([piece for chunk in chunks for piece in chunk_jsons(chunk)])

    def _pack(self, pieces: list[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
        packed: list[bytes] = []
        size = end = 0
        for following, piece in pieces:
            if packed and size + len(piece) + 1 > OBJECT_BYTES:
                yield end, _message(packed, end)
                packed, size = [], 0
            packed.append(piece)
            size += len(piece) + 1
            end = following
        if packed:  # what a filter left out behind the last chunk need not be read again
            yield self.offset, _message(packed, self.offset)


def _message(packed: list[bytes], end: int) -> bytes:
    return b'{"chunks":[%b],"next":"%020d"}' % (b",".join(packed), end)


class ChunkEvents(EventStream):
    """Says chunks as events."""

    def __init__(self, run: str, place: Place = START) -> None:
        super().__init__(run, place)
        self._packer = ChunkPacker(place.start)

    @property
    def place(self) -> Place:
        """The offset read up to, but for half a character."""
        return Place(self._packer.offset)

    def feed(self, reading: Reading, *, final: bool = False) -> bytes:
        """Say the chunks of a reading."""
        messages = self._packer.feed(reading, final=final)
        self.next = reading.next
        return b"".join([event(said, id=event_id(self.run, Place(end))) for end, said in messages])

    def remark(self, text: str) -> bytes:
        """Say a line of our own, under its own event name: an unnamed event is JSON of chunks."""
        return event(compact({"text": text}), name="remark")
