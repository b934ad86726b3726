"""Characters that another channel cuts in two: whole in every form that says text.

Two channels whose letters differ, so that what a form says of both in one text can be told apart.
"""

import json
from base64 import b64decode
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runcast.model import Channel, State
from runcast.readers.lines import Lines
from runcast.run.output import Output
from runcast.utf8 import Characters
from runcast.wire.asciicast import Asciicast
from runcast.wire.chunk_events import ChunkEvents
from runcast.wire.json_lines import JsonLines, Messages, messages
from runcast.wire.lines import LineEvents
from runcast.wire.poll import poll_reply, sendable
from runcast.wire.resume_point import REACH, START, ResumePoint
from tests.unit.wire.eventsource import EventSource
from tests.unit.wire.logs import ERR, OUT, PROPERTY, RUN, Appends, Pieces

LETTERS = {OUT: "a\u00e9\u20ac\U0001f600\n", ERR: "x\u00f1\u20a4\U0001f680\n"}
Texts = dict[Channel, str]


def apart(text: str) -> Texts:
    """Return what of a text that has both channels is whose, line ends left out."""
    return {channel: "".join(one for one in text if one in own) for channel, own in LETTERS.items()}


def without_line_ends(texts: Texts) -> Texts:
    return {channel: texts.get(channel, "").replace("\n", "") for channel in LETTERS}


def of_objects(objects: list[dict[str, str]]) -> Texts:
    """Return the texts of chunks in JSON, their bytes put together by channel."""
    found = dict.fromkeys(LETTERS, b"")
    for one in objects:
        found[Channel(one["channel"])] += one["text"].encode() if "text" in one else b64decode(one["base64"])
    return {channel: data.decode() for channel, data in found.items()}


def line_events(log: Pieces, limit: int) -> Texts:
    events = EventSource().read(b"".join(log.feed(LineEvents(RUN, named=True), limit)))
    names = {OUT: "message", ERR: "stderr"}
    return {
        channel: "".join(event.data for event in events if event.type == name)
        for channel, name in names.items()
    }


def chunk_events(log: Pieces, limit: int) -> Texts:
    events = EventSource().read(b"".join(log.feed(ChunkEvents(RUN), limit)))
    return of_objects([chunk for event in events for chunk in json.loads(event.data)["chunks"]])


def ndjson(log: Pieces, limit: int) -> Texts:
    return of_objects([json.loads(line) for line in b"".join(log.feed(JsonLines(RUN), limit)).splitlines()])


def websocket(log: Pieces, limit: int) -> Texts:
    said = messages(b"".join(log.feed(Messages(RUN), limit)))
    return of_objects([chunk for message in said for chunk in json.loads(message)["chunks"]])


def polls(log: Pieces, limit: int) -> Texts:
    chunks, offset = [], 0
    while offset < log.tail:
        # A reading that holds no whole character is waited on: more of it comes.
        for size in range(limit, log.tail + limit + 1):
            reading = sendable(log.read(offset, size), final=offset + size >= log.tail)
            if reading.next > offset:
                break
        body = json.loads(
            poll_reply(
                reading, offset, state=State.RUNNING, outcome=None, progress=None, closed=False, lines=0
            )
        )
        chunks += body["chunks"]
        offset = int(body["next"])
    return of_objects(chunks)


def shown(stream: bytes) -> str:
    return "".join(data for _, kind, data in map(json.loads, stream.splitlines()) if kind == "o")


def asciicast(log: Pieces, limit: int) -> Texts:
    return apart(shown(b"".join(log.feed(Asciicast(RUN, terminal=True), limit))))


def lines(log: Pieces, limit: int) -> Texts:
    found = Lines()
    said = [line for chunk in log.chunks for line in found.feed(chunk)] + found.flush()
    return {channel: "".join(text for own, text in said if own is channel) for channel in LETTERS}


def text_of(log: Pieces) -> str | bytes:
    output = Output("utf-8")
    for chunk in log.chunks:
        output.add(chunk)
    return output.value()


def output(log: Pieces, limit: int) -> Texts:
    return apart(text_of(log))


def terminal(log: Pieces, limit: int) -> Texts:
    characters = Characters()
    said = b"".join(characters.feed(chunk.channel, chunk.data) for chunk in log.chunks)
    return apart((said + b"".join(data for _, data in characters.flush())).decode())


FORMS = [line_events, chunk_events, ndjson, websocket, polls, asciicast, lines, output, terminal]


@st.composite
def interleaved(draw: st.DrawFn) -> tuple[Texts, Appends]:
    """Return a text for each channel, and both cut anywhere and mixed."""
    texts = {channel: draw(st.text(st.sampled_from(own), max_size=8)) for channel, own in LETTERS.items()}
    left = {channel: text.encode() for channel, text in texts.items()}
    parts: Appends = []
    while any(left.values()):
        channel = draw(st.sampled_from([one for one in LETTERS if left[one]]))
        size = draw(st.integers(1, 4))
        parts.append((channel, left[channel][:size]))
        left[channel] = left[channel][size:]
    return texts, parts


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_byte_by_byte(form: Callable[[Pieces, int], Texts]):
    """Two channels whose bytes take turns have the texts that were written, in every form."""
    out, err = (LETTERS[channel].encode() for channel in (OUT, ERR))
    assert len(out) == len(err)
    log = Pieces([part for pair in zip(out, err, strict=True) for part in _pair(*pair)])

    for limit in (1, 3, 100):
        assert without_line_ends(form(log, limit)) == without_line_ends(LETTERS)


def _pair(out: int, err: int) -> Iterator[tuple[Channel, bytes]]:
    yield OUT, bytes([out])
    yield ERR, bytes([err])


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
@PROPERTY
@given(interleaved(), st.integers(1, 9))
def test_every_form(form: Callable[[Pieces, int], Texts], written: tuple[Texts, Appends], limit: int):
    """However texts are cut, mixed and read, each channel has its own, whole."""
    texts, parts = written

    assert without_line_ends(form(Pieces(parts), limit)) == without_line_ends(texts)


@PROPERTY
@given(interleaved(), st.integers(1, 9), st.data())
def test_coming_back(written: tuple[Texts, Appends], limit: int, data: st.DataObject):
    """Who goes on with a recording at any place gets the very rest of it."""
    log = Pieces(written[1])
    whole = Asciicast(RUN, terminal=True)
    places, said = [(START, 0)], b""
    while whole.next < log.tail:
        said += whole.feed(log.read(whole.next, limit))
        places.append((whole.resume_point, len(shown(said))))
    text = shown(said + whole.feed(log.read(whole.next), final=True))
    place, before = data.draw(st.sampled_from(places))

    again = Asciicast(RUN, place, terminal=True)
    rest = ""
    for _ in range(data.draw(st.integers(0, 3))):  # and is overtaken, at any moment of coming back
        if again.next < log.tail:
            rest += shown(again.feed(log.read(again.next, data.draw(st.integers(1, 4)))))
    again = Asciicast(RUN, again.resume_point, terminal=True)
    rest += shown(b"".join(log.feed(again, limit)))

    assert text[:before] + rest == text


def test_gap():
    """What a gap cuts is not made whole with what comes behind it."""
    log = Pieces([(OUT, b"a\xe2"), (Channel.GAP, b"..."), (OUT, b"\x82\xac")])

    assert shown(b"".join(log.feed(Asciicast(RUN)))) == "a\ufffd\ufffd\ufffd"
    assert text_of(log) == "a\ufffd\ufffd\ufffd"


def test_reach():
    """Half a character is given up when a MiB of others passed: coming back never reads more."""
    log = Pieces([(OUT, b"\xe2"), *[(ERR, b"x" * 1000)] * (REACH // 1000 + 2), (OUT, b"\x82\xac")])
    cast = Asciicast(RUN)

    for _ in range(REACH // 65536 + 1):
        before = cast.resume_point
        cast.feed(log.read(cast.next, 65536))

    assert before.read_from == 0 < before.offset
    assert cast.resume_point == ResumePoint(cast.next)
