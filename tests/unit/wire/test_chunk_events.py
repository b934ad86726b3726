"""Events of JSON chunks."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from runcast.model import Channel
from runcast.wire.chunk_events import ChunkEvents
from runcast.wire.resume_point import ResumePoint, parse_event_id
from runcast.wire.sse import EVENT_BYTES
from tests.unit.wire.eventsource import EventSource
from tests.unit.wire.logs import DATA, ERR, OUT, PROPERTY, RUN, Appends, Pieces, appends
from tests.unit.wire.test_chunks import content

LIMITS = st.sampled_from([1, 2, 3, 7, 100])


def chunks_of(stream: bytes, source: EventSource) -> list[dict[str, Any]]:
    events = [event for event in source.read(stream) if event.type == "message"]
    return [chunk for event in events for chunk in json.loads(event.data)["chunks"]]


def test_bytes():
    """An event has the chunks of a reading and the offset to go on from, which is its id."""
    log = Pieces([(OUT, b"a\n"), (ERR, b"\xff")])

    said = ChunkEvents(RUN).feed(log.read(0))

    assert said == (
        b'data: {"chunks":[{"offset":"00000000000000000000","next":"00000000000000000002",'
        b'"channel":"stdout","time":null,"text":"a\\n"},{"offset":"00000000000000000002",'
        b'"next":"00000000000000000003","channel":"stderr","time":null,"base64":"/w=="}],'
        b'"next":"00000000000000000003"}\nid: 01kahz5m3q8w7e6r5t4y3v2b1n:00000000000000000003\n\n'
    )


def test_half_lines_at_once():
    """A prompt is said at once, and the place is behind it."""
    encoder = ChunkEvents(RUN)

    said = encoder.feed(Pieces([(OUT, b"Password: ")]).read(0))

    assert chunks_of(said, EventSource())[0]["text"] == "Password: "
    assert encoder.resume_point == ResumePoint(10)


def test_half_character_waits():
    """A reading of nothing but a part of a character says nothing; the place stays before it."""
    log = Pieces([(OUT, b"a\xe2\x82")])
    encoder = ChunkEvents(RUN)
    said = encoder.feed(log.read(0))

    assert chunks_of(said, EventSource())[0]["text"] == "a"
    assert encoder.resume_point == ResumePoint(1)
    assert encoder.next == 3
    rest = encoder.feed(log.read(3), final=True)
    assert content(chunks_of(rest, EventSource())[0]) == b"\xe2\x82"


@PROPERTY
@given(appends(), st.lists(LIMITS, min_size=1, max_size=6), st.lists(st.floats(0, 1), max_size=5))
def test_cut_anywhere(parts: Appends, limits: list[int], cuts: list[float]):
    """Connections cut at any bytes and resumed by their last id give every byte once, in order."""
    log = Pieces(parts)
    source = EventSource()
    seen = []
    for hop, limit in enumerate(limits):
        found = parse_event_id(source.last_event_id)
        encoder = ChunkEvents(RUN, found.resume_point if found and found.resume_point else ResumePoint(0))
        stream = encoder.preamble({}) + b"".join(log.feed(encoder, limit))
        last = hop == len(limits) - 1 or hop >= len(cuts)
        seen += chunks_of(stream if last else stream[: int(cuts[hop] * len(stream))], source)

    for channel in (OUT, ERR, DATA):
        assert b"".join(content(one) for one in seen if one["channel"] == channel) == log.bytes_of(channel)
    assert [int(one["offset"]) for one in seen] == [0, *(int(one["next"]) for one in seen)][: len(seen)]


@PROPERTY
@given(appends(), LIMITS)
def test_text_where_it_can_be(parts: Appends, limit: int):
    """Valid output of one channel is text, however readings cut it."""
    data = b"".join(data for _, data in parts).decode("utf-8", "ignore").encode()

    seen = chunks_of(b"".join(Pieces([(OUT, data)]).feed(ChunkEvents(RUN), limit)), EventSource())

    assert all("text" in one for one in seen)
    assert "".join(one["text"] for one in seen) == data.decode()


def test_bounded():
    """Many chunks go into one event until it is full; no event is longer than 64 KiB."""
    log = Pieces([((OUT, ERR)[count % 2], b"line %d\n" % count) for count in range(3000)])

    stream = b"".join(log.feed(ChunkEvents(RUN), 1 << 20))
    events = stream.split(b"\n\n")[:-1]

    assert all(len(event) + 2 <= EVENT_BYTES for event in events)
    assert len(stream) / len(events) > EVENT_BYTES * 0.8
    assert len(chunks_of(stream, EventSource())) == 3000


def test_filter():
    """What a filter leaves out is behind the id: it is not read again."""
    log = Pieces([(ERR, b"e"), (OUT, b"o"), (OUT, b"p")])
    encoder = ChunkEvents(RUN)
    source = EventSource()

    (one,) = chunks_of(encoder.feed(log.read(0, 100, {ERR})), source)

    assert one["text"] == "e"
    assert source.last_event_id.endswith(":00000000000000000003")


def test_gap_is_a_chunk():
    """A gap comes in its place, with its range."""
    log = Pieces([(OUT, b"a"), (Channel.GAP, b"..."), (OUT, b"b")])

    seen = chunks_of(b"".join(log.feed(ChunkEvents(RUN))), EventSource())

    assert [(one["channel"], int(one["next"])) for one in seen] == [("stdout", 1), ("gap", 4), ("stdout", 5)]


def test_from_the_form_of_lines():
    """With an id of the form of lines, it begins at the unfinished line: nothing is left out."""
    log = Pieces([(OUT, b"ab"), (ERR, b"x\n"), (OUT, b"c\n")])
    encoder = ChunkEvents(RUN, ResumePoint(4, ((OUT, 1),)))

    assert [one["text"] for one in chunks_of(b"".join(log.feed(encoder)), EventSource())] == [
        "b",
        "x\n",
        "c\n",
    ]
