"""All output as one text: what `Run.output` and its twins return.

Owns one rule: each channel is decoded by itself, for one may write in the middle of a character of
another. Pure: chunks in, text out.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable

from runcast.model import Channel, Chunk

__all__ = ["text_of"]


def text_of(chunks: Iterable[Chunk | None], encoding: str) -> str:
    """Return the text of chunks, in their order; what is invalid is replaced.

    Raises:
        LookupError: there is no such encoding.
    """
    make = codecs.getincrementaldecoder(encoding)
    decoders: dict[Channel, codecs.IncrementalDecoder] = {}
    parts = []
    for chunk in chunks:
        if chunk is None:
            continue
        if chunk.channel is Channel.GAP:  # what comes behind it is not the rest of a character
            parts += [decoder.decode(b"", final=True) for decoder in decoders.values()]
            decoders.clear()
            continue
        if chunk.channel not in decoders:
            decoders[chunk.channel] = make("replace")
        parts.append(decoders[chunk.channel].decode(chunk.data))
    parts += [decoder.decode(b"", final=True) for decoder in decoders.values()]
    return "".join(parts)
