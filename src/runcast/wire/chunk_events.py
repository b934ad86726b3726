"""Events of JSON chunks: for the live page, the client library, and readers of channel and time.

Each event is `{"chunks": [...], "next": "…"}` with as many chunks as fit; its id is the offset
behind them, to the byte. Unfinished lines and prompts are sent at once. A gap is a chunk.
"""

from __future__ import annotations

from collections.abc import Iterator

from runcast.model import Chunk, Reading
from runcast.wire.chunks import OBJECT_BYTES, Carry, Parts, chunk_objects
from runcast.wire.jsons import compact
from runcast.wire.resume_point import START, ResumePoint, event_id
from runcast.wire.sse import EventStream, event

__all__ = ["ChunkEvents", "ChunkPacker"]


class ChunkPacker:
    """Packs the chunks of readings into JSON messages of bounded size.

    Attributes:
        next: the offset of the next read.
        offset: where a viewer that received every message would resume; up to three bytes before `next`.
    """

    def __init__(self, offset: int) -> None:
        self.next = offset
        self._carry = Carry()

    @property
    def offset(self) -> int:
        held = self._carry.held
        return self.next if held is None else held.offset

    def feed(self, reading: Reading, *, final: bool = False) -> Iterator[tuple[int, Parts]]:
        """Return the messages, in parts, each with the offset behind it."""
        chunks = self._carry.feed(reading.chunks, final=final)
        self.next = reading.next
        return self._pack(chunks)

    def _pack(self, chunks: list[Chunk]) -> Iterator[tuple[int, Parts]]:
        packed: Parts = []
        size = end = 0
        for chunk in chunks:
            for following, length, one in chunk_objects(chunk):
                if packed and size + length + 1 > OBJECT_BYTES:
                    yield end, _message(packed, end)
                    packed, size = [], 0
                packed.append(b"," if packed else b'{"chunks":[')
                packed += one
                size += length + 1
                end = following
        if packed:  # bytes behind the last chunk that a filter dropped need not be read again
            yield self.offset, _message(packed, self.offset)


def _message(packed: Parts, end: int) -> Parts:
    packed.append(b'],"next":"%020d"}' % end)
    return packed


class ChunkEvents(EventStream):
    """Encodes chunks as events."""

    has_sizes = True

    def __init__(self, run: str, start: ResumePoint = START) -> None:
        super().__init__(run, start)
        self._packer = ChunkPacker(start.read_from)

    @property
    def resume_point(self) -> ResumePoint:
        """The offset read up to, without an incomplete character."""
        return ResumePoint(self._packer.offset)

    def feed(self, reading: Reading, *, final: bool = False) -> bytes:
        """Encode the chunks of a reading."""
        parts: Parts = []
        for end, one in self._packer.feed(reading, final=final):
            parts.append(b"data: ")
            parts += one
            parts.append(b"\nid: %b\n\n" % event_id(self.run, ResumePoint(end)).encode())
        self.next = reading.next
        return b"".join(parts)

    def notice(self, text: str) -> bytes:
        """Return a notice under its own event name: an unnamed event is JSON of chunks."""
        return event(compact({"text": text}), name="remark")
