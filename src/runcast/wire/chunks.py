"""Chunks as JSON objects, which all JSON forms consist of.

    {"offset": "0…12", "next": "0…17", "channel": "stdout", "time": "2026-…Z", "text": "hello\\n"}

A chunk has `text` where its bytes are UTF-8 and `base64` elsewhere, so nothing is lost; a gap has
neither. Offsets are padded text: text order is number order, and no client rounds them to a
double. `Carry` holds a character that the end of a chunk cuts (at most three bytes) until the next
chunk; the resume point of a viewer lies before it.

The index of a log has a record for every 10 ms, so a replay yields many chunks of a few lines each,
and encoding one costs as much as 10 KiB of output. Adjacent chunks of one channel within
`MERGE_SECONDS` are therefore merged; the merged chunk has the time of its first byte.

To copy output as little as possible, encoders return parts; the sender joins them once.
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
    "Parts",
    "chunk_head",
    "chunk_json",
    "chunk_objects",
]

MERGE_SECONDS = 0.1  # what a person sees as one moment
OBJECT_BYTES = EVENT_BYTES - 512  # of one object; leaves room for what stands around it
_SLICE_BYTES = 32 * 1024  # of output in one object: with its escapes it mostly fits

Parts = list[bytes]
"""The parts of an object or of a message, in order."""


class Carry:
    """Moves the beginning of a character from the end of a chunk to the chunk that goes on with it.

    Args:
        merge: merge adjacent chunks that a person sees as one moment.

    Attributes:
        held: the incomplete character; mostly None.
    """

    def __init__(self, *, merge: bool = True) -> None:
        self._merge = merge
        self.held: Chunk | None = None

    def feed(self, chunks: Iterable[Chunk], *, final: bool = False) -> list[Chunk]:
        """Return the chunks, with incomplete characters moved to the chunk that completes them."""
        whole: list[Chunk] = []
        held = self.held
        for chunk in _merged(chunks) if self._merge else chunks:
            if held is not None:
                if chunk.channel is held.channel and chunk.offset == held.next:
                    chunk = chunk._replace(offset=held.offset, data=held.data + chunk.data)
                else:
                    whole.append(held)  # another channel came between: sent as it is
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
    """Merge adjacent chunks of one channel."""
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


def _object(chunk: Chunk) -> Parts:
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


def chunk_objects(chunk: Chunk) -> Iterator[tuple[int, int, Parts]]:
    """Yield one chunk as objects of at most `OBJECT_BYTES`: the offset behind each, its size, its parts."""
    data = chunk.data
    if len(data) <= _SLICE_BYTES:
        parts = _object(chunk)
        size = sum(map(len, parts))
        if size <= OBJECT_BYTES:
            yield chunk.next, size, parts
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
