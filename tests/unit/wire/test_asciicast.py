"""Recordings in asciicast v2, held against its specification by what a player would show."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runcast.model import Channel, Chunk, Outcome, Reading, Reason, State
from runcast.utf8 import mend
from runcast.wire.asciicast import Asciicast
from runcast.wire.place import Place
from tests.unit.wire.logs import ERR, OUT, PROPERTY, RUN, Appends, Pieces, appends

BEGAN = 1763714992.5


def events(stream: bytes) -> list[Any]:
    """Return the lines as a player parses them."""
    return [json.loads(line) for line in stream.splitlines()]


def shown(stream: bytes) -> str:
    """Return what a player writes to its terminal."""
    return "".join(data for _, kind, data in events(stream) if kind == "o")


def test_header():
    """The header is version 2, the size of a terminal, when the run began and what it is called."""
    (header,) = events(Asciicast(RUN, began=BEGAN).hello({"name": "make"}))

    assert header == {"version": 2, "width": 80, "height": 24, "timestamp": 1763714992, "title": "make"}


def test_times():
    """Every chunk is an event at its own time since the beginning, of stdout and stderr alike."""
    chunks = [
        Chunk(0, 2, OUT, BEGAN + 0.25, b"a\n"),
        Chunk(2, 3, OUT, BEGAN + 0.26, b"b"),
        Chunk(3, 4, ERR, BEGAN + 2, b"c"),
    ]

    found = events(Asciicast(RUN, began=BEGAN).feed(Reading(chunks, 4)))

    assert found == [[0.25, "o", "a\r\n"], [0.26, "o", "b"], [2.0, "o", "c"]]


@pytest.mark.parametrize("time", [0.0, BEGAN - 9])
def test_times_never_go_back(time: float):
    """What has no time, or one before the beginning, is shown with what was before it."""
    chunks = [Chunk(0, 1, OUT, BEGAN + 3, b"a"), Chunk(1, 2, Channel.UNKNOWN, time, b"b")]

    assert [at for at, _, _ in events(Asciicast(RUN, began=BEGAN).feed(Reading(chunks, 2)))] == [3.0, 3.0]


def test_markers():
    """A gap and the end are markers."""
    cast = Asciicast(RUN, began=BEGAN)

    said = cast.feed(Reading([Chunk(0, 9, Channel.GAP, 0.0, b"")], 9))
    said += cast.exit(State.EXITED, Outcome(Reason.EXITED, 3, ended_at=BEGAN + 4))

    assert events(said) == [[0.0, "m", "bytes 0 to 9 are gone"], [4.0, "m", "exit code 3"]]


def test_line_ends():
    """A LF gets the CR that a terminal would give it; one that has it, or a terminal of its own, keeps it."""
    log = Pieces([(OUT, b"a\nb\r\n\nc\r")])

    assert shown(b"".join(log.feed(Asciicast(RUN)))) == "a\r\nb\r\n\r\nc\r"
    assert shown(b"".join(log.feed(Asciicast(RUN, terminal=True)))) == "a\nb\r\n\nc\r"


def test_cut_character():
    """A character that a read cuts is one, and until it is whole the place names its beginning."""
    cast = Asciicast(RUN)

    first = cast.feed(Reading([Chunk(0, 3, OUT, 0.0, b"x\xe2\x82")], 3))
    assert shown(first) == "x"
    assert cast.place == Place(3, ((OUT, 1),))
    assert cast.place.start == 1
    assert shown(cast.feed(Reading([Chunk(3, 4, OUT, 0.0, b"\xac")], 4))) == "\u20ac"


@PROPERTY
@given(appends(), st.integers(1, 9))
def test_every_byte(parts: Appends, limit: int):
    """However a log is read, a player shows all of it, in order."""
    log = Pieces([(OUT, data) for _, data in parts])

    said = b"".join(log.feed(Asciicast(RUN, terminal=True), limit))

    whole = log.bytes_of(OUT)
    assert said.isascii()
    if mend(whole) is whole:
        assert shown(said) == whole.decode()
    assert shown(said).isascii() is whole.isascii()


@PROPERTY
@given(appends(), st.integers(1, 9), st.data())
def test_coming_back(parts: Appends, limit: int, data: st.DataObject):
    """Who comes back at the place of a recording gets the rest of what it shows."""
    log = Pieces([(OUT, said.decode(errors="ignore").encode()) for _, said in parts])
    first = Asciicast(RUN, terminal=True)
    begun = ""
    for _ in range(data.draw(st.integers(0, 9))):
        if first.next < log.tail:
            begun += shown(first.feed(log.read(first.next, limit)))

    rest = shown(b"".join(log.feed(Asciicast(RUN, first.place, terminal=True), limit)))

    assert begun + rest == log.bytes_of(OUT).decode()
