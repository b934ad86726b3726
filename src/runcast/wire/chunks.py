"""Chunks as JSON objects: what all JSON forms are made of.

    {"offset": "0…12", "next": "0…17", "channel": "stdout", "time": "2026-…Z", "text": "hello\\n"}

`text` where the bytes are UTF-8 and else `base64`, so that nothing is ever lost; a gap has
neither. Offsets are padded text (text order is number order, and no reader rounds them to a
double). A character that the end of a chunk cuts waits for its other bytes, at most three bytes
and only until the next chunk: `Carry` keeps it, and the place of a viewer lies before it.

The index of a log has a record for every 10 ms. Whoever reads a log again gets as many chunks of
a few lines each, and to say one costs as much as 10 KiB of output. So what lies together, in one
channel and within `MERGE_SECONDS`, is one chunk with the time of its first byte.

Output is copied as seldom as can be: what is said are parts, joined once by who sends them.
"""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Iterable, Iterator

from runcast import utf8
from runcast.model import Channel, Chunk
from runcast.wire.jsons import escape, rfc3339
from runcast.wire.sse import EVENT_BYTES

__all__ = [
    "MERGE_SECONDS",
    "OBJECT_BYTES",
    "Carry",
    "Said",
    "chunk_head",
    "chunk_json",
    "chunk_objects",
]

MERGE_SECONDS = 0.1  # what a person sees as one moment
OBJECT_BYTES = EVENT_BYTES - 512  # of one object; leaves room for what stands around it
_SLICE_BYTES = 32 * 1024  # of output in one object: with its escapes it mostly fits

Said = list[bytes]
"""The parts of an object or of a message, in order."""


class Carry:
    """Moves the beginning of a character from the end of a chunk to the chunk that goes on with it.

    Args:
        merge: put chunks together that are one moment to a reader.

    Attributes:
        held: what waits; None mostly.
    """

    def __init__(self, *, merge: bool = True) -> None:
        self._merge = merge
        self.held: Chunk | None = None

    def feed(self, chunks: Iterable[Chunk], *, final: bool = False) -> list[Chunk]:
        """Return chunks that end with whole characters, wherever that can still be."""
        whole: list[Chunk] = []
        held = self.held
        for chunk in _merged(chunks) if self._merge else chunks:
            if held is not None:
                if chunk.channel is held.channel and chunk.offset == held.next:
                    chunk = chunk._replace(offset=held.offset, data=held.data + chunk.data)
                else:
                    whole.append(held)  # another channel came between: said as it is
                held = None
            end = utf8.cut(chunk.data)
            if end < len(chunk.data):
                held = chunk._replace(offset=chunk.offset + end, data=chunk.data[end:])
                chunk = chunk._replace(next=held.offset, data=chunk.data[:end])
            if chunk.next > chunk.offset:
                whole.append(chunk)
        if final and held is not None:
            whole.append(held)
            held = None
        self.held = held
        return whole


def _merged(chunks: Iterable[Chunk]) -> Iterator[Chunk]:
    """Put chunks together that are one to a reader."""
    first: Chunk | None = None
    parts: list[bytes] = []
    end = 0
    for chunk in chunks:
        if (
            first is not None
            and chunk.channel is first.channel
            and chunk.offset == end
            and 0 <= chunk.time - first.time < MERGE_SECONDS
            and chunk.channel is not Channel.GAP
        ):
            parts.append(chunk.data)
        else:
            if first is not None:
                yield _whole(first, end, parts)
            first, parts = chunk, [chunk.data]
        end = chunk.next
    if first is not None:
        yield _whole(first, end, parts)


def _whole(first: Chunk, end: int, parts: list[bytes]) -> Chunk:
    return first if len(parts) == 1 else first._replace(next=end, data=b"".join(parts))


def chunk_head(chunk: Chunk) -> bytes:
    """Return the object of a chunk, still open, with all but its content."""
    time = rfc3339(chunk.time)
    return b'{"offset":"%020d","next":"%020d","channel":"%b","time":%b' % (
        chunk.offset,
        chunk.next,
        chunk.channel.value.encode(),
        b'"%b"' % time.encode() if time else b"null",
    )


def _object(chunk: Chunk) -> Said:
    head = chunk_head(chunk)
    if chunk.channel is Channel.GAP:
        return [head, b"}"]
    text = escape(chunk.data)
    if text is not None:
        return [head, b',"text":"', text, b'"}']
    return [head, b',"base64":"', b2a_base64(chunk.data, newline=False), b'"}']


def chunk_json(chunk: Chunk) -> bytes:
    """Return one chunk as one JSON object, whatever its size."""
    return b"".join(_object(chunk))


def chunk_objects(chunk: Chunk) -> Iterator[tuple[int, int, Said]]:
    """Yield one chunk as objects of at most `OBJECT_BYTES`: the offset behind each, its size, its parts."""
    data = chunk.data
    if len(data) <= _SLICE_BYTES:
        said = _object(chunk)
        size = sum(map(len, said))
        if size <= OBJECT_BYTES:
            yield chunk.next, size, said
            return
        most = len(data) // 2  # full of characters with long escapes
    else:
        most = _SLICE_BYTES
    start = 0
    while start < len(data):
        stop = utf8.cut(data, start + most) if start + most < len(data) else len(data)
        offset, end = chunk.offset + start, chunk.offset + stop
        yield from chunk_objects(chunk._replace(offset=offset, next=end, data=data[start:stop]))
        start = stop
