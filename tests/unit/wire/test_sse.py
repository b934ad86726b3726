"""What both forms of event stream say beside the log."""

import json

import pytest

from runcast.model import Outcome, Reason, State
from runcast.wire.chunk_events import ChunkEvents
from runcast.wire.lines import LineEvents
from runcast.wire.resume_point import ResumePoint
from runcast.wire.sse import EventStream, event
from tests.unit.wire.eventsource import Event, EventSource
from tests.unit.wire.logs import ERR, OUT, RUN, Pieces

PLACE = ResumePoint(7, ((ERR, 5),))


@pytest.fixture(name="encoder", params=[LineEvents, ChunkEvents])
def make_encoder(request: pytest.FixtureRequest) -> EventStream:
    """Give an encoder of each form."""
    encoder: EventStream = request.param(RUN)
    return encoder


def test_event():
    """The order of fields: data before the id, lines that end at LF, an empty line last."""
    assert event(b"{}", name="run", id="a:1", retry=5) == b"retry: 5\nevent: run\ndata: {}\nid: a:1\n\n"
    assert event(b"") == b"data: \n\n"


def test_hello(encoder: EventStream):
    """The first event says the run, how soon to come back, and an id: a silent run resumes too."""
    source = EventSource()

    (hello,) = source.read(encoder.preamble({"id": RUN, "state": "running"}))

    assert hello.type == "run"
    assert json.loads(hello.data) == {"id": RUN, "state": "running", "offset": "0" * 20}
    assert source.last_event_id == f"{RUN}:{'0' * 20}"
    assert source.retry == 2000


def test_hello_again():
    """Who comes back and gets nothing but the first event keeps the place, unfinished lines included."""
    source = EventSource()

    source.read(LineEvents(RUN, PLACE).preamble({}))

    assert source.last_event_id == f"{RUN}:{'0' * 19}7-e5"


def test_what_has_no_id(encoder: EventStream):
    """Progress, state, remarks and signs of life leave the place of a viewer as it is."""
    source = EventSource()
    source.read(encoder.preamble({}))
    before = source.last_event_id

    for said in (
        encoder.update("progress", {"done": 1, "total": 2, "text": "a\nb"}),
        encoder.update("state", {"state": "stopping"}),
        encoder.notice("nothing for 5 s"),
        encoder.heartbeat(),
        encoder.restart(),
    ):
        assert b"id:" not in said
        source.read(said)

    assert source.last_event_id == before


def test_tell(encoder: EventStream):
    """The latest value of something is a named event of JSON."""
    (told,) = EventSource().read(encoder.update("progress", {"done": 1, "text": "a\nb\r"}))

    assert told == Event("progress", '{"done":1,"text":"a\\nb\\r"}', "")


def test_beat(encoder: EventStream):
    """A keep-alive is a comment: no event."""
    source = EventSource()

    assert source.read(encoder.heartbeat()) == []
    assert source.comments == [" keep-alive"]


def test_restart(encoder: EventStream):
    """A reply that ends on purpose says so, and has the browser come back sooner."""
    source = EventSource()

    (told,) = source.read(encoder.restart())

    assert told.type == "restart"
    assert source.retry == json.loads(told.data)["retry"] == 500


def test_exit(encoder: EventStream):
    """The exit says state, outcome and tail, and its id tells that nothing is left to say."""
    encoder.feed(Pieces([(OUT, b"a\n")]).read(0))

    (told,) = EventSource().read(encoder.exit(State.EXITED, Outcome(Reason.SIGNALED, signal=9, ended_at=1)))

    assert (told.type, told.id) == ("exit", f"{RUN}:end")
    value = json.loads(told.data)
    assert value["state"] == "exited"
    assert value["outcome"]["signal"] == 9
    assert value["outcome"]["ended_at"] == "1970-01-01T00:00:01.000000Z"
    assert value["offset"] == f"{2:020d}"


def test_remark_of_lines():
    """In the form of lines a remark is seen by `onmessage`, as one line whatever is in it."""
    said = LineEvents(RUN).notice("a\n\nb\rc")

    assert EventSource().read(said) == [Event("message", "a  b c", "")]


def test_remark_of_chunks():
    """In the form of chunks a remark has its own type: an unnamed event is always JSON of chunks."""
    said = ChunkEvents(RUN).notice("a\nb")

    assert EventSource().read(said) == [Event("remark", '{"text":"a\\nb"}', "")]
