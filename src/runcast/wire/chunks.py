"""Chunks as JSON objects: what all JSON forms are made of.

    {"offset": "0…12", "next": "0…17", "channel": "stdout", "time": "2026-…Z", "text": "hello\\n"}

`text` where the bytes are UTF-8 and else `base64`, so that nothing is ever lost; a gap has
neither. Offsets are padded text (text order is number order, and no reader rounds them to a
double). A character that the end of a chunk cuts waits for its other bytes, at most three bytes
and only until the next chunk: `Carry` keeps it, and the place of a viewer lies before it.
"""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Iterable, Iterator

from runcast import utf8
from runcast.model import Channel, Chunk
from runcast.wire.jsons import escape, rfc3339
from runcast.wire.sse import EVENT_BYTES

__all__ = ["OBJECT_BYTES", "Carry", "chunk_head", "chunk_json", "chunk_jsons"]

OBJECT_BYTES = EVENT_BYTES - 512  # of one object; leaves room for what stands around it
_SLICE_BYTES = 32 * 1024  # of output in one object: with its escapes it mostly fits


class Carry:
    """Moves the beginning of a character from the end of a chunk to the chunk that goes on with it.

    Attributes:
        held: what waits; None mostly.
    """

    def __init__(self) -> None:
        self.held: Chunk | None = None

    def feed(self, chunks: Iterable[Chunk], *, final: bool = False) -> list[Chunk]:
        """Return chunks that end with whole characters, wherever that can still be."""
        whole: list[Chunk] = []
        held = self.held
        for chunk in chunks:
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


def chunk_head(chunk: Chunk) -> bytes:
    """Return the object of a chunk, still open, with all but its content."""
    time = rfc3339(chunk.time)
    return b'{"offset":"%020d","next":"%020d","channel":"%b","time":%b' % (
        chunk.offset,
        chunk.next,
        chunk.channel.value.encode(),
        b'"%b"' % time.encode() if time else b"null",
    )


def chunk_json(chunk: Chunk) -> bytes:
    """Return one chunk as one JSON object, whatever its size."""
    head = chunk_head(chunk)
    if chunk.channel is Channel.GAP:
        return head + b"}"
    text = escape(chunk.data)
    if text is not None:
        return b'%b,"text":"%b"}' % (head, text)
    return b'%b,"base64":"%b"}' % (head, b2a_base64(chunk.data, newline=False))


def chunk_jsons(chunk: Chunk) -> Iterator[tuple[int, bytes]]:
    """Yield one chunk as objects of at most `OBJECT_BYTES`, each after the offset to go on from."""
    data = chunk.data
    if len(data) <= _SLICE_BYTES:
        said = chunk_json(chunk)
        if len(said) <= OBJECT_BYTES:
            yield chunk.next, said
            return
        most = len(data) // 2  # full of characters with long escapes
    else:
        most = _SLICE_BYTES
    start = 0
    while start < len(data):
        stop = utf8.cut(data, start + most) if start + most < len(data) else len(data)
        offset, end = chunk.offset + start, chunk.offset + stop
        yield from chunk_jsons(chunk._replace(offset=offset, next=end, data=data[start:stop]))
        start = stop
