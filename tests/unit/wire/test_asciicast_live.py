"""Live recordings: what the drivers of asciinema-player take, one event at a time."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runcast.model import CHUNK_BYTES, Channel, Chunk, Outcome, Reading, Reason, State, TerminalSize
from runcast.wire.asciicast_live import AsciicastEvents, AsciicastMessages
from runcast.wire.json_lines import messages
from runcast.wire.resume_point import EventId, ResumePoint, parse_event_id
from runcast.wire.sse import EVENT_BYTES
from tests.unit.wire.eventsource import EventSource
from tests.unit.wire.logs import ERR, OUT, PROPERTY, RUN, Appends, Pieces, appends

BEGAN = 1763714992.5
ENDED = Outcome(Reason.EXITED, 3, ended_at=BEGAN + 4)


def shown(stream: bytes, source: EventSource | None = None) -> str:
    """Return what the events of a stream write to the player's terminal."""
    found = (source or EventSource()).read(stream)
    output = [json.loads(event.data) for event in found if event.type == "message"]
    return "".join(event[2] for event in output if isinstance(event, list) and event[1] == "o")


def test_events():
    """Everything is an unnamed event with an id that has the time zero, up to the event that ends it."""
    cast = AsciicastEvents(RUN, began=BEGAN)
    stream = cast.preamble({"name": "make"})
    stream += cast.feed(
        Reading([Chunk(0, 2, OUT, BEGAN + 0.25, b"a\n"), Chunk(2, 3, ERR, BEGAN + 1, b"b")], 3)
    )
    stream += cast.exit(State.EXITED, ENDED)

    *found, done = EventSource().read(stream)

    header, *events = [json.loads(event.data) for event in found]
    assert {event.type for event in found} == {"message"}
    assert (header["version"], header["width"], header["height"]) == (2, 80, 24)
    assert events == [
        [0.0, "o", ""],
        [0.25, "o", "a\r\n"],
        [1.0, "o", "b"],
        [4.0, "m", "exit code 3"],
        [4.0, "x", "3"],
    ]
    places = [parse_event_id(event.id) for event in found]
    assert all(place is not None and place.zero == 1763714992500000 for place in places)
    assert [place.resume_point.offset for place in places if place and place.resume_point] == [
        0,
        0,
        2,
        3,
        3,
        3,
    ]
    assert (done.type, parse_event_id(done.id)) == ("done", EventId(RUN, None))
    assert json.loads(done.data)["outcome"]["code"] == 3


def test_resumed():
    """A viewer that has the header gets no other, but the reconnection time, and its times go on."""
    first = AsciicastEvents(RUN, began=BEGAN)
    source = EventSource()
    source.read(first.preamble({}) + first.feed(Reading([Chunk(0, 1, OUT, BEGAN + 3, b"a")], 1)))
    place = parse_event_id(source.last_event_id)
    assert place is not None
    assert place.resume_point is not None
    assert place.zero is not None

    again = AsciicastEvents(RUN, place.resume_point._replace(resumed=True), began=place.zero / 1e6)
    source.retry = 0
    assert source.read(again.preamble({"name": "make"})) == []
    assert source.retry == 2000
    (event,) = source.read(again.feed(Reading([Chunk(1, 2, OUT, BEGAN + 5, b"b")], 2)))
    assert json.loads(event.data) == [5.0, "o", "b"]


def test_nothing_in_between():
    """A notice would be taken for an event of the recording: there is none. A keep-alive is a comment."""
    cast = AsciicastEvents(RUN)
    source = EventSource()

    assert source.read(cast.notice("*** Interval") + cast.heartbeat()) == []
    assert source.comments == [" keep-alive"]
    (event,) = source.read(cast.restart())
    assert event.type == "restart"


def test_messages():
    """Each message is the header or one event; the last one is the exit status."""
    cast = AsciicastMessages(RUN, began=BEGAN)
    stream = cast.preamble({"name": "make"})
    stream += cast.feed(Reading([Chunk(0, 2, OUT, BEGAN + 1, b"a\n"), Chunk(2, 2, OUT, BEGAN + 1, b"")], 2))
    stream += cast.heartbeat() + cast.notice("*** Interval") + cast.update("state", {"state": "stopping"})
    stream += cast.exit(State.EXITED, ENDED)

    header, *events = map(json.loads, messages(stream))

    assert (header["version"], header["title"]) == (2, "make")
    assert events == [[0.0, "o", ""], [1.0, "o", "a\r\n"], [4.0, "m", "exit code 3"], [4.0, "x", "3"]]
    assert messages(cast.restart()) == []


@pytest.mark.parametrize("data", [b"\x01" * CHUNK_BYTES, b"x" + "\u20ac".encode() * (CHUNK_BYTES // 3)])
def test_event_size(data: bytes):
    """No event is longer than all clients take, whatever it is made of, and no character is cut."""
    stream = AsciicastEvents(RUN).feed(Reading([Chunk(0, len(data), OUT, 0.0, data)], len(data)))

    found = EventSource().read(stream)

    assert max(len(event.data) for event in found) <= EVENT_BYTES
    assert shown(stream) == data.decode()


@PROPERTY
@given(appends(), st.integers(1, 9), st.data())
def test_cut_anywhere(parts: Appends, limit: int, data: st.DataObject):
    """An EventSource whose connections are cut anywhere shows everything once."""
    log = Pieces([(OUT, said.decode(errors="ignore").encode()) for _, said in parts])
    source, text, cast = EventSource(), "", AsciicastEvents(RUN, began=BEGAN, terminal=True)
    source.read(cast.preamble({}))
    for _ in range(data.draw(st.integers(1, 5))):
        stream = b"".join(log.feed(cast, limit))
        cut = data.draw(st.integers(0, len(stream)))
        text += shown(stream[:cut], source)
        place = parse_event_id(source.last_event_id)
        assert place is not None
        assert place.resume_point is not None
        cast = AsciicastEvents(RUN, place.resume_point._replace(resumed=True), began=BEGAN, terminal=True)

    text += shown(b"".join(log.feed(cast, limit)), source)

    assert text == log.bytes_of(OUT).decode()


def test_gap():
    """A gap is a marker, as in a file."""
    stream = AsciicastEvents(RUN).feed(Reading([Chunk(0, 9, Channel.GAP, 0.0, b"")], 9))

    (event,) = EventSource().read(stream)

    assert json.loads(event.data) == [0.0, "m", "bytes 0 to 9 are gone"]


def size(value: bytes) -> Any:
    """Return the size in an event of a resize."""
    return json.loads(value.removeprefix(b"data: ").partition(b"\nid: ")[0])


def test_resizes():
    """A resize is an object for an EventSource, and a text elsewhere."""
    changed = TerminalSize(0, 100, 30, 1.0)
    assert size(AsciicastEvents(RUN).resize(changed)) == [1.0, "r", {"cols": 100, "rows": 30}]
    assert size(AsciicastMessages(RUN).resize(changed)) == [1.0, "r", "100x30"]


def test_size_of_a_viewer_that_resumes():
    """A viewer that resumes gets no header, and the size of a run's terminal as it is there."""
    point = ResumePoint(4, at=1.0, resumed=True)
    stream = AsciicastEvents(RUN, point).preamble({"name": "top", "columns": 100, "rows": 30})
    (event,) = EventSource().read(stream)

    assert json.loads(event.data) == [1.0, "r", {"cols": 100, "rows": 30}]
    assert EventSource().read(AsciicastEvents(RUN, point).preamble({"name": "top"})) == []
