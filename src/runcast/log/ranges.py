"""The bytes of ranges of an extent, whole or by channel.

Owns that a range is read completely, or not at all. Must not know logs, or where an extent has its bytes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

from runcast.log.extent import Dropped, Extent, Part, Piece
from runcast.model import CHUNK_BYTES, Channel, Chunk

__all__ = ["appended_in", "blocks_back", "chunks_in", "chunks_of", "fetch", "is_wanted"]

_NS: Final = 1_000_000_000
_FEW_BYTES: Final = 4096  # lines: of more there may be many labels


def fetch(extent: Extent, start: int, end: int) -> bytes:
    """Return all bytes of a range: a short result would be a silent hole."""
    data = extent.pread(start, end - start)
    if len(data) < end - start:
        raise Dropped
    return data


def blocks_back(extent: Extent, part: Part, channels: Collection[Channel]) -> Iterator[tuple[int, bytes]]:
    """Yield the bytes of some channels in a part, block by block, the last ones first."""
    for piece in reversed(list(extent.pieces(part.start, part.end))):
        stop = piece.end if is_wanted(piece, channels) else piece.start
        while stop > piece.start:
            start = max(piece.start, stop - CHUNK_BYTES)
            yield start, fetch(extent, start, stop)
            stop = start


def chunks_of(extent: Extent, start: int, end: int) -> list[Chunk]:
    """Return the chunks of a range; its bytes are read at once, however many labels there are."""
    return chunks_in(extent, start, fetch(extent, start, end))


def chunks_in(extent: Extent, start: int, data: bytes) -> list[Chunk]:
    """Return the chunks of bytes that were read from `start` on: their index is read after them."""
    end = start + len(data)
    pieces = list(extent.pieces(start, end))
    if len(pieces) == 1:
        _, _, channel, time_ns = pieces[0]
        return [Chunk(start, end, channel, time_ns / _NS, data)]
    return [
        Chunk(first, stop, channel, time_ns / _NS, data[first - start : stop - start])
        for first, stop, channel, time_ns in pieces
    ]


def appended_in(extent: Extent, start: int, data: bytes) -> list[Chunk]:
    """Return the chunks of bytes that were read from `start` on, at the tail of a log that is followed."""
    end = start + len(data)
    if len(data) < _FEW_BYTES and (label := extent.newest_label(start, end)) is not None:
        return [Chunk(start, end, label.channel, label.time_ns / _NS, data)]
    return chunks_in(extent, start, data)


def is_wanted(piece: Piece, channels: Collection[Channel]) -> bool:
    """Return whether a piece may be of some channels."""
    return piece.channel in channels or piece.channel is Channel.UNKNOWN
