"""Answers to polls."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runcast.model import Channel, Chunk, Note, Outcome, Reading, Reason, State, Waiting
from runcast.wire.poll import POLL_BYTES, poll_reply, sendable
from tests.unit.wire.logs import DATA, ERR, OUT, PROPERTY, Appends, Pieces, appends
from tests.unit.wire.test_chunks import content


def reply(reading: Reading, offset: int = 0, **other: Any) -> dict[str, Any]:
    beside = {"state": State.RUNNING, "outcome": None, "progress": None, "closed": False, "lines": 0}
    value: dict[str, Any] = json.loads(poll_reply(reading, offset, **beside | other))
    return value


def test_reply():
    """A reply has the chunks, where it began, where to go on, and all there is to know beside them."""
    reading = Pieces([(OUT, b"abc\n")]).read(1)

    value = reply(
        reading,
        1,
        state=State.EXITED,
        outcome=Outcome(Reason.EXITED, 0, ended_at=1.0),
        progress={"done": 1},
        waiting=Waiting.of("Name?", hidden=False),
        closed=True,
        line=7,
        lines=1,
        count=1,
        next_url="/more",
    )

    assert value.pop("outcome")["ended_at"] == "1970-01-01T00:00:01.000000Z"
    assert value.pop("chunks")[0]["text"] == "bc\n"
    assert value == {
        "offset": f"{1:020d}",
        "next": f"{4:020d}",
        "state": "exited",
        "progress": {"done": 1},
        "waiting": {"for": "input", "question": "Name?"},
        "closed": True,
        "line": 7,
        "lines": 1,
        "count": 1,
        "next_url": "/more",
    }


def test_nothing():
    """A reply may have no chunks; all its keys are there."""
    assert set(reply(Reading([], 5), 5)) == {
        *("chunks", "offset", "next", "state", "outcome", "progress", "waiting", "closed", "lines", "count"),
        *("line", "next_url"),
    }


def test_note():
    """The newest note is there where there is one."""
    note = Note(4, 2, 1.0, "seen")
    value = reply(Reading([], 5), 5, note=note)["note"]
    assert value == {
        "offset": f"{4:020d}",
        "line": 2,
        "time": "1970-01-01T00:00:01.000000Z",
        "text": "seen",
    }


def test_values():
    """Channel data comes as JSON values, in order, with text of others as text."""
    log = Pieces([(DATA, b'1\n{"a":[2.5,"\xc3\xa9"]}\nnull\n'), (OUT, b"x\n")])

    data, out = reply(sendable(log.read(0)))["chunks"]

    assert data["values"] == [1, {"a": [2.5, "é"]}, None]
    assert "text" not in data
    assert out["text"] == "x\n"


@pytest.mark.parametrize(
    "data",
    [b"[1\n2],3\n", b"1,2\n", b"\n", b"NaN\n", b"1e999\n", b"-Infinity\n", b"{\n", b"[" * 100_000 + b"\n"],
)
def test_no_values(data: bytes):
    """Lines of channel data that are no JSON come as text: a reply can always be read."""
    (chunk,) = reply(sendable(Pieces([(DATA, data)]).read(0, POLL_BYTES)))["chunks"]

    assert "values" not in chunk
    assert content(chunk) == data


def test_value_in_the_making():
    """A value that is not whole yet is left for the next poll; at the end of the log it is said."""
    log = Pieces([(OUT, b"x"), (DATA, b'1\n{"a"')])
    alone = Pieces([(DATA, b'{"a"')])

    assert sendable(log.read(0)) == Reading([log.chunks[0], Chunk(1, 3, DATA, 0.0, b"1\n")], 3)
    assert sendable(alone.read(0)) == Reading([], 0)
    assert content(reply(sendable(alone.read(0), final=True))["chunks"][0]) == b'{"a"'


def test_value_in_several_chunks():
    """A long value that lies in several chunks is one value; one without end is said as text at last."""
    log = Pieces([(DATA, b'"' + b"a" * 70_000), (DATA, b"b" * 70_000), (DATA, b'c"\n2\n')])
    endless = Pieces([(DATA, b"a" * 65_536)] * 16)

    (chunk,) = reply(sendable(log.read(0, POLL_BYTES)))["chunks"]

    assert [len(str(value)) for value in chunk["values"]] == [140_001, 1]
    assert sendable(endless.read(0, POLL_BYTES)).next == POLL_BYTES


def test_character_in_the_making():
    """Half a character is left for the next poll; alone there is nothing to say yet."""
    assert sendable(Pieces([(OUT, b"a\xe2\x82")]).read(0)) == Reading([Chunk(0, 1, OUT, 0.0, b"a")], 1)
    assert sendable(Pieces([(OUT, b"\xe2\x82")]).read(0)) == Reading([], 0)
    assert sendable(Pieces([(OUT, b"\xe2\x82")]).read(0), final=True).next == 2


@pytest.mark.parametrize(
    ("count", "next", "texts"),
    [
        (1, 2, ["a\n"]),
        (2, 4, ["a\n", "x\n"]),
        (3, 6, ["a\n", "x\ny\n"]),
        (4, 9, ["a\n", "x\ny\n", "zzz"]),
        (5, 9, ["a\n", "x\ny\n", "zzz"]),
    ],
)
def test_max(count: int, next: int, texts: list[str]):
    """At most so many lines of all channels are said, one without its end counted as one."""
    reading = sendable(Pieces([(OUT, b"a\n"), (ERR, b"x\ny\n"), (OUT, b"zzz")]).read(0), max=count)

    assert [chunk.data.decode() for chunk in reading.chunks] == texts
    assert reading.next == next


def test_one_value_each_poll():
    """With `max=1` a poll brings one value, and the next poll the next one."""
    log = Pieces([(DATA, b"2\n3\n5\n")])
    offset, seen = 0, []

    while offset < log.tail:
        reading = sendable(log.read(offset), max=1)
        (chunk,) = reply(reading, offset)["chunks"]
        seen.append(chunk["values"])
        offset = reading.next

    assert seen == [[2], [3], [5]]


def test_max_and_filter():
    """When all that came is said, what a filter left out behind it is passed."""
    log = Pieces([(ERR, b"e\n"), (OUT, b"o\n")])

    assert sendable(log.read(0, 100, {ERR}), max=1).next == 4


def test_gap():
    """A gap is an item."""
    reading = sendable(Pieces([(Channel.GAP, b"..."), (OUT, b"a\n")]).read(0), max=1)

    assert [chunk["channel"] for chunk in reply(reading)["chunks"]] == ["gap"]
    assert reading.next == 3


@PROPERTY
@given(appends(), st.sampled_from([1, 5, 100]), st.sampled_from([None, 1, 2]))
def test_polls_bring_all(parts: Appends, limit: int, count: int | None):
    """Polls from `next` to `next` bring every byte once, whatever the limits."""
    log = Pieces(parts)
    offset, size = 0, limit
    seen: list[Chunk] = []
    while offset < log.tail:
        whole = log.read(offset, size)
        reading = sendable(whole, max=count, final=whole.next == log.tail)
        size = limit if reading.next > offset else size + 1  # wait on: there is more to come
        seen += reading.chunks
        offset = reading.next

    for channel in (OUT, ERR, DATA):
        assert b"".join(one.data for one in seen if one.channel is channel) == log.bytes_of(channel)
