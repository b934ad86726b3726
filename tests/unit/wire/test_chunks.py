"""Chunks as JSON objects."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runcast.model import Channel, Chunk
from runcast.utf8 import mend
from runcast.wire.chunks import MERGE_SECONDS, OBJECT_BYTES, Carry, chunk_json, chunk_objects
from tests.unit.wire.logs import ERR, OUT, PROPERTY, Pieces


def content(value: dict[str, str]) -> bytes:
    """Return the bytes that a chunk's JSON carries."""
    return value["text"].encode() if "text" in value else base64.b64decode(value.get("base64", ""))


def test_object():
    """A chunk says offsets as padded text, its channel, its time and its text."""
    chunk = Chunk(12, 18, ERR, 1.5, b'a\n"\\\xc3\xa9')

    assert chunk_json(chunk) == (
        b'{"offset":"00000000000000000012","next":"00000000000000000018","channel":"stderr",'
        b'"time":"1970-01-01T00:00:01.500000Z","text":"a\\n\\"\\\\\\u00e9"}'
    )


def test_base64():
    """Bytes that are no UTF-8 come whole, in base 64; an unknown time is null."""
    value = json.loads(chunk_json(Chunk(0, 3, OUT, 0.0, b"a\xffb")))

    assert "text" not in value
    assert content(value) == b"a\xffb"
    assert value["time"] is None


def test_gap():
    """A gap has a range and no content."""
    value = json.loads(chunk_json(Chunk(1, 9, Channel.GAP, 0.0, b"")))

    assert value == {"offset": f"{1:020d}", "next": f"{9:020d}", "channel": "gap", "time": None}


@pytest.mark.parametrize(
    "unit",
    [b"a" * 79 + b"\n", b"\0", b"\xff", "\u20ac".encode(), "\U0001f600".encode(), b'"', b"\xc3\xa9\xff"],
)
@pytest.mark.parametrize("size", [1, 30_000, 65_536, 300_000])
def test_bounded(unit: bytes, size: int):
    """Objects are bounded whatever is in them, touch one another, hold all, and are text where it is text."""
    data = unit * (size // len(unit) + 1)
    start = 1000

    chunk = Chunk(start, start + len(data), OUT, 1.0, data)

    objects = list(chunk_objects(chunk))

    found = [(end, b"".join(said)) for end, _, said in objects]
    assert [size for _, size, _ in objects] == [len(said) for _, said in found]

    values = [json.loads(said) for _, said in found]
    assert all(len(said) <= OBJECT_BYTES for _, said in found)
    assert b"".join(map(content, values)) == data
    assert all("text" in value for value in values) is (mend(data) is data)
    offset = start
    for (following, _), value in zip(found, values, strict=True):
        assert int(value["offset"]) == offset
        assert int(value["next"]) == following
        offset = following
    assert offset == start + len(data)


@pytest.mark.parametrize("text", ["\u00e9", "\u20ac", "\U0001f600"])
def test_carry(text: str):
    """A character that a chunk's end cuts comes with the chunk that goes on with it."""
    data = text.encode()
    for at in range(1, len(data)):
        carry = Carry()
        first = carry.feed(Pieces([(OUT, b"x" + data[:at])]).chunks)
        second = carry.feed([Chunk(1 + at, 2 + len(data), OUT, 2.0, data[at:] + b"y")])

        assert first == [Chunk(0, 1, OUT, 0.0, b"x")]
        assert second == [Chunk(1, 2 + len(data), OUT, 2.0, data + b"y")]
        assert carry.held is None


def test_carry_between_channels():
    """What another channel interrupts, or the end, is said as it is, in the order of the log."""
    log = Pieces([(OUT, b"\xe2\x82"), (ERR, b"x"), (OUT, b"\xac"), (ERR, b"\xe2")])

    assert Carry().feed(log.chunks, final=True) == log.chunks


def test_carry_behind_a_filter():
    """Where a filter left bytes out between the halves of a character, each half keeps its offset."""
    log = Pieces([(OUT, b"\xe2\x82"), (ERR, b"x"), (OUT, b"\xac")])
    chunks = log.read(0, 100, {OUT}).chunks

    assert Carry().feed(chunks, final=True) == chunks


def test_carry_beside_gap():
    """A gap ends what waits."""
    log = Pieces([(OUT, b"a\xe2"), (Channel.GAP, b"."), (OUT, b"b")])

    found = Carry().feed(log.chunks)

    assert [chunk.data for chunk in found] == [b"a", b"\xe2", b"", b"b"]


def test_one_moment():
    """What lies together in one channel and came within a moment is one chunk, with the first's time."""
    late = 10.05 + MERGE_SECONDS
    chunks = [
        Chunk(0, 1, OUT, 10.0, b"a"),
        Chunk(1, 2, OUT, 10.01, b"b"),
        Chunk(2, 3, OUT, 10.09, b"c"),
        Chunk(3, 4, OUT, late, b"d"),
        Chunk(4, 5, ERR, late, b"e"),
        Chunk(5, 6, OUT, late, b"f"),
        Chunk(8, 9, OUT, late, b"g"),
        Chunk(9, 10, OUT, 0.0, b"h"),
    ]

    assert Carry().feed(chunks, final=True) == [Chunk(0, 3, OUT, 10.0, b"abc"), *chunks[3:]]


def test_gaps_stay_apart():
    """Two gaps that touch are two."""
    chunks = [Chunk(0, 5, Channel.GAP, 0.0, b""), Chunk(5, 9, Channel.GAP, 0.0, b"")]

    assert Carry().feed(chunks) == chunks


@PROPERTY
@given(st.binary(max_size=60), st.lists(st.integers(1, 5), min_size=1))
def test_carry_keeps_all(data: bytes, sizes: list[int]):
    """However bytes are cut, what comes out is the same bytes at the same offsets."""
    carry = Carry()
    found: list[Chunk] = []
    at = 0
    while at < len(data):
        size = sizes[len(found) % len(sizes)]
        found += carry.feed([Chunk(at, min(at + size, len(data)), OUT, 0.0, data[at : at + size])])
        at += size
    found += carry.feed([], final=True)

    assert b"".join(chunk.data for chunk in found) == data
    assert all(chunk.next - chunk.offset == len(chunk.data) > 0 for chunk in found)
