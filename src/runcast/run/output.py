"""All output of a run as one value: what `output` returns.

Owns one rule: each channel is decoded by itself, because one may write in the middle of a character
of another. Pure: chunks in, text or bytes out.
"""

from __future__ import annotations

import codecs

from runcast.model import Channel, Chunk

__all__ = ["Output"]


class Output:
    """Collects chunks.

    Args:
        encoding: what to decode with; None keeps the bytes.

    Raises:
        LookupError: there is no such encoding.
    """

    def __init__(self, encoding: str | None) -> None:
        self._decoder = None if encoding is None else codecs.getincrementaldecoder(encoding)
        self._decoders: dict[Channel, codecs.IncrementalDecoder] = {}
        self._texts: list[str] = []
        self._bytes: list[bytes] = []

    def add(self, chunk: Chunk | None) -> None:
        """Add a chunk in the order of the log; None, which stands for silence, adds nothing."""
        if chunk is None:
            return
        if self._decoder is None:
            self._bytes.append(chunk.data)
        elif chunk.channel is Channel.GAP:  # the bytes behind a gap do not complete a character before it
            self._flush()
        else:
            if (decoder := self._decoders.get(chunk.channel)) is None:
                decoder = self._decoders[chunk.channel] = self._decoder("replace")
            self._texts.append(decoder.decode(chunk.data))

    def _flush(self) -> None:
        self._texts += [decoder.decode(b"", final=True) for decoder in self._decoders.values()]
        self._decoders.clear()

    def value(self) -> str | bytes:
        """Return everything that was added; invalid bytes are replaced in text."""
        if self._decoder is None:
            return b"".join(self._bytes)
        self._flush()
        return "".join(self._texts)
