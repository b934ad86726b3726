"""Logs made of a list of appends, to be read like any log; and their lines, found another way."""

import os
from collections.abc import Collection, Iterator

from hypothesis import settings
from hypothesis import strategies as st

from runcast.model import CHUNK_BYTES, Channel, Chunk, Reading
from runcast.wire.encoder import Encoder

PROPERTY = settings(max_examples=int(os.environ.get("RUNCAST_TEST_EXAMPLES", "10")), deadline=None)
"""What every property here is tried with: few examples, for the suite is fast; a soak asks for more."""

RUN = "01kahz5m3q8w7e6r5t4y3v2b1n"
OUT, ERR, DATA = Channel.STDOUT, Channel.STDERR, Channel.DATA
Appends = list[tuple[Channel, bytes]]

# What output is made of when it means harm, and when it does not.
_PARTS = (
    *(b"a", b"bc", b" ", b"\n", b"\n", b"\r", b"\r\n", b"\0", b"%", b"%d", b": "),
    *(b"data: x\n\n", b"\n\nid: 9\n", b"event: exit\n", b'{"a":1}\n', b'"', b"\\", b"\x1b[1m", b"\x7f"),
    *("\u00e9".encode(), "\u20ac".encode(), "\u2028".encode(), "\U0001f600".encode(), b"\xef\xbb\xbf"),
    *(b"\xc3", b"\xe2\x82", b"\xf0\x9f", b"\x98", b"\xff", b"\xc0\x80", b"\xed\xa0\x80"),
)
_WORDS = (b"a", b"bc", b"d\n", b"\n", b"\r", b"\r\n", b"efghij", b"klmnopqrstuvwxyz0123456789")


def appends(parts: tuple[bytes, ...] = _PARTS, most: int = 14) -> st.SearchStrategy[Appends]:
    """Return a strategy for the appends of one log."""
    data = st.lists(st.sampled_from(parts), min_size=1, max_size=5).map(b"".join)
    return st.lists(st.tuples(st.sampled_from([OUT, ERR, DATA]), data), max_size=most)


def words() -> st.SearchStrategy[Appends]:
    """Return a strategy for appends without anything that is no ASCII, with long lines."""
    return appends(_WORDS, 20)


class Pieces:
    """A log: chunks in order. A gap is an append of channel gap whose bytes are then missing."""

    def __init__(self, parts: Appends, *, time: float = 0.0) -> None:
        self.chunks: list[Chunk] = []
        self.tail = 0
        for channel, data in parts:
            kept = b"" if channel is Channel.GAP else data
            self.chunks.append(Chunk(self.tail, self.tail + len(data), channel, time, kept))
            self.tail += len(data)

    def read(
        self, offset: int, limit: int = CHUNK_BYTES, channels: Collection[Channel] | None = None
    ) -> Reading:
        """Return what lies from `offset` on, as `Log.read` does."""
        found: list[Chunk] = []
        end = min(offset + limit, self.tail)
        for chunk in self.chunks:
            if chunk.next <= offset or chunk.offset >= end:
                continue
            if chunk.channel is Channel.GAP:
                if found:
                    return Reading(found, chunk.offset)
                return Reading([chunk._replace(offset=offset)], chunk.next)
            if channels is None or chunk.channel in channels:
                start, stop = max(chunk.offset, offset), min(chunk.next, end)
                data = chunk.data[start - chunk.offset : stop - chunk.offset]
                found.append(chunk._replace(offset=start, next=stop, data=data))
        return Reading(found, end)

    def bytes_of(self, channel: Channel) -> bytes:
        """Return all bytes of one channel."""
        return b"".join(chunk.data for chunk in self.chunks if chunk.channel is channel)

    def feed(
        self, encoder: Encoder, limit: int = CHUNK_BYTES, channels: Collection[Channel] | None = None
    ) -> Iterator[bytes]:
        """Yield what an encoder says, reading by reading, to the end of the log."""
        while encoder.next < self.tail:
            yield encoder.feed(self.read(encoder.next, limit, channels))
        yield encoder.feed(self.read(encoder.next), final=True)


def lines_of(data: bytes) -> list[str]:
    """Return the lines of one channel by the rule of the form of lines, the slow way."""
    *ended, last = data.split(b"\n")
    lines: list[bytes] = []
    for line in ended:
        *redrawn, whole = line.rstrip(b"\r").split(b"\r")
        lines += [part for part in redrawn if part]
        lines.append(whole)
    lines += [part for part in last.split(b"\r") if part]
    return [line.decode("utf-8", "replace") for line in lines]
