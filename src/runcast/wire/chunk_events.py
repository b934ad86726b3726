"""Events of JSON chunks: for our page, our client, and whoever wants channel, time and speed.

Each event is `{"chunks": [...], "next": "…"}` with as many chunks as fit; its id is the offset
behind them, to the byte. Half lines and prompts are said at once. A gap is a chunk.
"""

from __future__ import annotations

from collections.abc import Iterator

from runcast.model import Chunk, Reading
from runcast.wire.chunks import OBJECT_BYTES, Carry, Said, chunk_objects
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

    def feed(self, reading: Reading, *, final: bool = False) -> Iterator[tuple[int, Said]]:
        """Return the messages, in parts, each after the offset to go on from."""
        chunks = self._carry.feed(reading.chunks, final=final)
        self.next = reading.next
        return self._pack(chunks)

    def _pack(self, chunks: list[Chunk]) -> Iterator[tuple[int, Said]]:
        packed: Said = []
        size = end = 0
        for chunk in chunks:
            for following, length, said in chunk_objects(chunk):
                if packed and size + length + 1 > OBJECT_BYTES:
                    yield end, _message(packed, end)
                    packed, size = [], 0
                packed.append(b"," if packed else b'{"chunks":[')
                packed += said
                size += length + 1
                end = following
        if packed:  # what a filter left out behind the last chunk need not be read again
            yield self.offset, _message(packed, self.offset)


def _message(packed: Said, end: int) -> Said:
    packed.append(b'],"next":"%020d"}' % end)
    return packed


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
        parts: Said = []
        for end, said in self._packer.feed(reading, final=final):
            parts.append(b"data: ")
            parts += said
            parts.append(b"\nid: %b\n\n" % event_id(self.run, Place(end)).encode())
        self.next = reading.next
        return b"".join(parts)

    def remark(self, text: str) -> bytes:
        """Say a line of our own, under its own event name: an unnamed event is JSON of chunks."""
        return event(compact({"text": text}), name="remark")
