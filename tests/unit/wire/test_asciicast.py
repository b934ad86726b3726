"""Recordings in asciicast v2 and v3, held against their specifications by what a player would show."""

import json
from itertools import accumulate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runcast.model import Channel, Chunk, Outcome, Reading, Reason, State
from runcast.utf8 import mend
from runcast.wire.asciicast import Asciicast, AsciicastV3
from runcast.wire.resume_point import ResumePoint
from tests.unit.wire.logs import ERR, OUT, PROPERTY, RUN, Appends, Pieces, appends

BEGAN = 1763714992.5
both = pytest.mark.parametrize("form", [Asciicast, AsciicastV3])


def events(stream: bytes) -> list[Any]:
    """Return the lines as a player parses them."""
    return [json.loads(line) for line in stream.splitlines()]


def shown(stream: bytes) -> str:
    """Return what a player writes to its terminal."""
    return "".join(data for _, kind, data in events(stream) if kind == "o")


def test_header():
    """The header is version 2, the size of a terminal, when the run began and what it is called."""
    header, first = events(Asciicast(RUN, began=BEGAN).preamble({"name": "make"}))

    assert header == {"version": 2, "width": 80, "height": 24, "timestamp": 1763714992, "title": "make"}
    assert first == [0.0, "o", ""]


@both
def test_header_of_a_terminal(form: type[Asciicast]):
    """The header has the size of the run's own terminal, and the limit of silences where there is one."""
    cast = form(RUN, began=BEGAN, idle_time_limit=1.5)

    header, _ = events(cast.preamble({"name": "vim", "columns": 100, "rows": 30}))

    size = header.get("term") or {"cols": header["width"], "rows": header["height"]}
    assert size == {"cols": 100, "rows": 30}
    assert header["idle_time_limit"] == 1.5


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


def test_times_of_a_new_encoder():
    """A viewer that falls behind gets an encoder of its own, which knows the time of the last event."""
    cast = Asciicast(RUN, began=BEGAN)
    cast.feed(Reading([Chunk(0, 1, OUT, BEGAN + 3, b"a")], 1))

    again = Asciicast(RUN, cast.resume_point, began=BEGAN)

    assert events(again.feed(Reading([Chunk(1, 2, Channel.UNKNOWN, 0.0, b"b")], 2))) == [[3.0, "o", "b"]]


def test_markers():
    """A gap and the end are markers."""
    cast = Asciicast(RUN, began=BEGAN)

    said = cast.feed(Reading([Chunk(0, 9, Channel.GAP, 0.0, b"")], 9))
    said += cast.exit(State.EXITED, Outcome(Reason.EXITED, 3, ended_at=BEGAN + 4))

    assert events(said) == [[0.0, "m", "bytes 0 to 9 are gone"], [4.0, "m", "exit code 3"]]


def test_header_v3():
    """A recording in v3 begins with its header and an event without output: it is never a header alone."""
    header, first = events(AsciicastV3(RUN, began=BEGAN).preamble({"name": "make"}))

    term = {"cols": 80, "rows": 24}
    assert header == {"version": 3, "term": term, "timestamp": 1763714992, "title": "make"}
    assert first == [0.0, "o", ""]


def test_intervals():
    """In v3 a time is the interval since the previous event, and none is negative."""
    times = [BEGAN + 0.25, BEGAN + 0.25, BEGAN + 2, 0.0, BEGAN + 1, BEGAN + 3]
    chunks = [Chunk(at, at + 1, OUT, time, b"a") for at, time in enumerate(times)]

    found = events(AsciicastV3(RUN, began=BEGAN).feed(Reading(chunks, 6)))

    assert [interval for interval, _, _ in found] == [0.25, 0.0, 1.75, 0.0, 0.0, 1.0]


@PROPERTY
@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=40), st.data())
def test_intervals_add_up(times: list[float], data: st.DataObject):
    """The intervals of v3 add up to the times of v2, to the microsecond, though an encoder takes over."""
    chunks = [Chunk(at, at + 1, OUT, BEGAN + time, b"a") for at, time in enumerate(times)]
    cut = data.draw(st.integers(0, len(chunks)))
    first = AsciicastV3(RUN, began=BEGAN)

    said = first.feed(Reading(chunks[:cut], cut))
    said += AsciicastV3(RUN, first.resume_point, began=BEGAN).feed(Reading(chunks[cut:], len(chunks)))

    whole = events(Asciicast(RUN, began=BEGAN).feed(Reading(chunks, len(chunks))))
    added = accumulate(interval for interval, _, _ in events(said))
    assert [round(time, 6) for time in added] == [time for time, _, _ in whole]


@pytest.mark.parametrize(
    ("outcome", "text", "status"),
    [
        (Outcome(Reason.EXITED, 3, ended_at=BEGAN + 4), "exit code 3", "3"),
        (Outcome(Reason.SIGNALED, signal=15, ended_at=BEGAN + 4), "killed by SIGTERM", "143"),
        (Outcome(Reason.LOST, ended_at=BEGAN + 4), "lost", "1"),
    ],
)
def test_exit_status(outcome: Outcome, text: str, status: str):
    """In v3 the end is a marker and an exit event, with the status as in a shell."""
    said = AsciicastV3(RUN, began=BEGAN).exit(State.EXITED, outcome)

    assert events(said) == [[4.0, "m", text], [0.0, "x", status]]


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
    assert cast.resume_point == ResumePoint(3, ((OUT, 1),))
    assert cast.resume_point.read_from == 1
    assert shown(cast.feed(Reading([Chunk(3, 4, OUT, 0.0, b"\xac")], 4))) == "\u20ac"


@both
@PROPERTY
@given(appends(), st.integers(1, 9))
def test_every_byte(form: type[Asciicast], parts: Appends, limit: int):
    """However a log is read, a player shows all of it, in order."""
    log = Pieces([(OUT, data) for _, data in parts])

    said = b"".join(log.feed(form(RUN, terminal=True), limit))

    whole = log.bytes_of(OUT)
    assert said.isascii()
    if mend(whole) is whole:
        assert shown(said) == whole.decode()
    assert shown(said).isascii() is whole.isascii()


@both
@PROPERTY
@given(appends(), st.integers(1, 9), st.data())
def test_coming_back(form: type[Asciicast], parts: Appends, limit: int, data: st.DataObject):
    """Who comes back at the place of a recording gets the rest of what it shows."""
    log = Pieces([(OUT, said.decode(errors="ignore").encode()) for _, said in parts])
    first = form(RUN, terminal=True)
    begun = ""
    for _ in range(data.draw(st.integers(0, 9))):
        if first.next < log.tail:
            begun += shown(first.feed(log.read(first.next, limit)))

    rest = shown(b"".join(log.feed(form(RUN, first.resume_point, terminal=True), limit)))

    assert begun + rest == log.bytes_of(OUT).decode()
