"""One event a line."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from runcast.model import Channel
from runcast.wire.lines import LINE_BYTES, LineEvents
from runcast.wire.resume_point import ResumePoint, parse_event_id
from tests.unit.wire.eventsource import Event, EventSource
from tests.unit.wire.logs import DATA, ERR, OUT, PROPERTY, RUN, Appends, Pieces, appends, lines_of, words

LIMITS = st.sampled_from([1, 2, 3, 7, 100])
FILTERS = st.sampled_from([None, frozenset({ERR}), frozenset({OUT, DATA})])
CHANNELS = {"message": OUT, "stderr": ERR, "data": DATA}


def at(offset: int, rests: str = "") -> str:
    return f"{RUN}:{offset:020d}{rests}"


def read(log: Pieces, encoder: LineEvents | None = None, limit: int = 64) -> list[Event]:
    encoder = encoder or LineEvents(RUN, named=True)
    return EventSource().read(b"".join(log.feed(encoder, limit)))


def data_of(events: list[Event]) -> list[str]:
    return [event.data for event in events]


def visit(
    log: Pieces,
    limits: list[int],
    cuts: list[float],
    channels: frozenset[Channel] | None = None,
    **bounds: int,
) -> list[Event]:
    """Read a log as a browser does whose connections are cut, and return the lines it saw."""
    source = EventSource()
    seen: list[Event] = []
    for hop, limit in enumerate(limits):
        found = parse_event_id(source.last_event_id)
        place = found.resume_point if found and found.resume_point else ResumePoint(0)
        encoder = LineEvents(RUN, place, named=True, **bounds)
        stream = encoder.preamble({"id": RUN}) + b"".join(log.feed(encoder, limit, channels))
        cut = int(cuts[hop] * len(stream)) if hop < len(cuts) else len(stream)
        seen += source.read(stream[:cut])
    return [event for event in seen if event.type in CHANNELS]


def test_bytes():
    """The bytes of an event are those of the reference: data first, the id last, LF only."""
    log = Pieces([(OUT, b"hello\n"), (ERR, b"oh\n")])

    assert next(log.feed(LineEvents(RUN))) == (
        b"data: hello\nid: 01kahz5m3q8w7e6r5t4y3v2b1n:00000000000000000006\n\n"
        b"data: oh\nid: 01kahz5m3q8w7e6r5t4y3v2b1n:00000000000000000009\n\n"
    )


def test_all_channels_unnamed():
    """Whoever only has `onmessage` sees the lines of all channels, in the order in which they ended."""
    log = Pieces([(OUT, b"1\n"), (ERR, b"2\n"), (DATA, b"3\n"), (Channel.UNKNOWN, b"4\n")])

    events = read(log, LineEvents(RUN))

    assert [(event.type, event.data) for event in events] == [("message", text) for text in "1234"]


def test_named():
    """With names, stderr and data have event types of their own."""
    log = Pieces([(OUT, b"1\n"), (ERR, b"2\n"), (DATA, b"3\n"), (ERR, b"4")])

    events = read(log)

    assert [(event.type, event.data) for event in events] == [
        ("message", "1"),
        ("stderr", "2"),
        ("data", "3"),
        ("stderr", "4"),
    ]


@PROPERTY
@given(appends(), LIMITS, FILTERS)
@example([(OUT, b"x\ndata: y\n\nid: 7\nretry: 1\n: z\n")], 100, None)
@example([(OUT, b"a\r"), (OUT, b"\nb\r\r\n\rc\r"), (ERR, b"\r"), (OUT, b"d\r")], 1, None)
def test_lines(parts: Appends, limit: int, channels: frozenset[Channel] | None):
    """Whatever the output, each channel's lines are read back as they are, and nothing else is."""
    log = Pieces(parts)

    events = EventSource().read(b"".join(log.feed(LineEvents(RUN, named=True), limit, channels)))

    assert {event.type for event in events} <= set(CHANNELS)
    for kind, channel in CHANNELS.items():
        expected = lines_of(log.bytes_of(channel)) if channels is None or channel in channels else []
        assert [event.data for event in events if event.type == kind] == expected


@PROPERTY
@given(
    appends(),
    st.lists(LIMITS, min_size=1, max_size=6),
    st.lists(st.floats(0, 1), max_size=5),
    FILTERS,
)
@example([(OUT, b"pass"), (ERR, b"x\ny\n"), (OUT, b"word\n"), (ERR, b"z\n")], [3, 2, 100], [0.5, 0.7], None)
def test_cut_anywhere(
    parts: Appends, limits: list[int], cuts: list[float], channels: frozenset[Channel] | None
):
    """Connections cut at any bytes and resumed by their last id give every event once, in one order."""
    log = Pieces(parts)
    cuts = cuts[: len(limits) - 1]

    assert visit(log, limits, cuts, channels) == visit(log, [100], [], channels)


@PROPERTY
@given(appends(), LIMITS, LIMITS)
def test_cut_after_every_event(parts: Appends, limit: int, other: int):
    """A cut after any event, resumed by its id, gives exactly the events that follow it."""
    log = Pieces(parts)
    events = read(log, limit=limit)

    for count, event in enumerate(events, 1):
        found = parse_event_id(event.id)
        assert found is not None
        assert found.resume_point is not None
        assert read(log, LineEvents(RUN, found.resume_point, named=True), other) == events[count:]


@PROPERTY
@given(
    words(),
    st.lists(LIMITS, min_size=1, max_size=6),
    st.lists(st.floats(0, 1), max_size=5),
    st.integers(12, 40),
    st.integers(1, 60),
)
def test_cut_long_lines(parts: Appends, limits: list[int], cuts: list[float], most: int, reach: int):
    """Lines given out in parts, for their length or their age, lose and repeat nothing either."""
    log = Pieces(parts)

    seen = visit(log, limits, cuts[: len(limits) - 1], line_bytes=most, reach=reach)

    for kind, channel in CHANNELS.items():
        lines = [event.data for event in seen if event.type == kind]
        assert "".join(lines) == "".join(lines_of(log.bytes_of(channel)))
        assert all(len(line) <= most for line in lines)


@PROPERTY
@given(appends(), LIMITS, LIMITS, st.integers(0, 30))
def test_equal_keys_equal_bytes(parts: Appends, limit: int, other: int, which: int):
    """Encoders with the same key say the same from there on, wherever they began."""
    log = Pieces(parts)
    steady = LineEvents(RUN)
    keys = []
    said = []
    places = [ResumePoint(0)]
    while steady.next < log.tail:
        said.append(steady.feed(log.read(steady.next, limit)))
        keys.append(steady.key)
        places.append(steady.resume_point)
    said.append(steady.feed(log.read(steady.next), final=True))
    late = LineEvents(RUN, places[which % len(places)])

    while late.key not in keys and late.next < log.tail:
        late.feed(log.read(late.next, other))

    if late.key in keys:
        expected = said[keys.index(late.key) + 1 :]
        assert b"".join(log.feed(late, limit)) == b"".join(expected)


@PROPERTY
@given(appends(), st.integers(0, 40), LIMITS)
def test_any_offset(parts: Appends, offset: int, limit: int):
    """Who begins at an offset inside a line gets what is left of it, and then whole lines."""
    log = Pieces(parts)
    offset = min(offset, log.tail)
    behind = Pieces(
        [
            (chunk.channel, chunk.data[max(offset - chunk.offset, 0) :])
            for chunk in log.chunks
            if chunk.next > offset
        ]
    )

    assert data_of(read(log, LineEvents(RUN, ResumePoint(offset)), limit)) == data_of(
        read(behind, LineEvents(RUN))
    )


def test_prompt_does_not_hold_others_back():
    """While a line of stdout is unfinished, lines of stderr go out; their ids tell where it began."""
    log = Pieces([(OUT, b"ab\npass"), (ERR, b"x\n"), (OUT, b"word\n"), (ERR, b"y\n")])

    assert read(log, LineEvents(RUN)) == [
        Event("message", "ab", at(3)),
        Event("message", "x", at(9, "-o3")),
        Event("message", "password", at(14)),
        Event("message", "y", at(16)),
    ]


def test_place():
    """The place tells at any time where a viewer comes back: the offset, and unfinished lines."""
    log = Pieces([(ERR, b"e"), (OUT, b"a\nb"), (DATA, b"1\n")])
    encoder = LineEvents(RUN)

    encoder.feed(log.read(0))

    assert encoder.resume_point == ResumePoint(6, ((ERR, 0), (OUT, 3)))
    assert encoder.resume_point.read_from == 0
    assert encoder.next == 6


def test_filter_moves_on():
    """A reading of which the filter left nothing says nothing, and the place moves on."""
    log = Pieces([(OUT, b"a\nb\n")])
    encoder = LineEvents(RUN)

    assert encoder.feed(log.read(0, 100, {ERR})) == b""
    assert encoder.resume_point == ResumePoint(4)


def test_progress_bar():
    """Each state of a line that is redrawn with CR is an event, as soon as the next one begins."""
    log = Pieces([(OUT, b"\r 10%"), (OUT, b"\r 20%"), (OUT, b"\r100%\ndone\n")])
    encoder = LineEvents(RUN)
    source = EventSource()

    seen = [data_of(source.read(encoder.feed(log.read(encoder.next, 5)))) for _ in range(2)]
    rest = data_of(source.read(b"".join(log.feed(encoder))))

    assert seen == [[], [" 10%"]]
    assert rest == [" 20%", "100%", "done"]


def test_cr_at_the_beginning_is_nothing():
    """CRs with nothing before them are not held back: whatever follows, the line is the same."""
    encoder = LineEvents(RUN)

    encoder.feed(Pieces([(OUT, b"a\n\r\r")]).read(0))

    assert encoder.resume_point == ResumePoint(4)


def test_crlf_cut():
    """A CRLF that a reading's end or another channel cuts is one line end."""
    log = Pieces([(OUT, b"a\r"), (ERR, b"x\n"), (OUT, b"\nb\n")])

    assert data_of(read(log)) == ["x", "a", "b"]


def test_terminal():
    """CRLF and CRCRLF, which a terminal makes of LF and CRLF, end one line; so does each in a burst."""
    log = Pieces([(OUT, b"a\r\nb\r\n"), (OUT, b"c\r\r\nd\r\n")])

    assert data_of(read(log)) == ["a", "b", "c", "d"]
    assert [event.id for event in read(log)] == [at(3), at(6), at(10), at(13)]


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\0"])
def test_no_other_line_ends(separator: str):
    """What other systems call a line end is text."""
    text = f"a{separator}b"

    assert data_of(read(Pieces([(OUT, text.encode() + b"\n")]))) == [text]


def test_byte_order_mark():
    """A byte order mark in the output is text, also when it comes first."""
    encoder = LineEvents(RUN)
    stream = encoder.preamble({}) + encoder.feed(Pieces([(OUT, b"\xef\xbb\xbfa\n")]).read(0))

    assert data_of(EventSource().read(stream))[1:] == ["\ufeffa"]


@pytest.mark.parametrize("size", range(1, 4))
def test_character_cut_by_reading(size: int):
    """A character that readings cut, at whichever byte, is whole in its event."""
    log = Pieces([(OUT, "\U0001f600\n".encode())])

    assert data_of(read(log, limit=size)) == ["\U0001f600"]


def test_invalid_bytes():
    """Bytes that are no UTF-8 become U+FFFD on the wire, the rest of the burst stays as it is."""
    log = Pieces([(OUT, "a\xff\n\u20ac\n".encode("latin-1", "ignore") + "\u20ac\n".encode())])

    said = b"".join(log.feed(LineEvents(RUN)))

    assert data_of(EventSource().read(said)) == ["a\ufffd", "", "\u20ac"]
    said.decode()


@pytest.mark.parametrize("unit", [b"a", "\u20ac".encode(), b"\xff", b"\xff\xe2\x82\xac", b"\r"])
@pytest.mark.parametrize("limit", [1000, 64 * 1024])
def test_long_line(unit: bytes, limit: int):
    """Events have at most 64 KiB, whatever the output, cut between characters; and all of it comes."""
    data = unit * (200_000 if len(unit) == 1 else 30_000)
    log = Pieces([(OUT, data + b"\nend\n")])

    stream = b"".join(log.feed(LineEvents(RUN, named=True), limit))
    lines = data_of(EventSource().read(stream))

    assert all(len(event) <= 64 * 1024 for event in stream.split(b"\n\n"))
    assert "".join(lines) == "".join(lines_of(data)) + "end"
    assert lines[-1] == "end"


@pytest.mark.parametrize("unit", [b"a", b"\xff"])
def test_line_without_end(unit: bytes):
    """A line that never ends goes out while it grows: no more than the limit is ever held back."""
    log = Pieces([(OUT, unit * 200_000)])
    encoder = LineEvents(RUN)

    for _ in range(20):
        encoder.feed(log.read(encoder.next, 10_000))
        assert encoder.resume_point.offset - encoder.resume_point.read_from <= LINE_BYTES


def test_line_of_the_limit():
    """A line of just the limit stays whole; a byte more cuts it."""
    for extra, expected in ((0, [LINE_BYTES]), (1, [LINE_BYTES, 1])):
        log = Pieces([(OUT, b"x\n" + b"a" * (LINE_BYTES + extra) + b"\nx\n")])
        lines = [len(event.data) for event in read(log, limit=1 << 20)]
        assert lines == [1, *expected, 1]


def test_unfinished_line_waits_for_a_megabyte_at_most():
    """A line that stays unfinished while a MiB of others passes is given out, so no id reaches further."""
    other = b"y" * 79 + b"\n"
    log = Pieces([(OUT, b"prompt"), *[(ERR, other * 800)] * 20, (OUT, b"!\n")])

    events = read(log, limit=64 * 1024)

    prompt = next(count for count, event in enumerate(events) if event.data == "prompt")
    assert events[-1].data == "!"
    assert events[prompt - 1].id.endswith("-o0")
    assert events[prompt + 1].id[-3:].isdigit()
    assert prompt < len(events) - 1000


def test_last_lines_without_end():
    """At the end of a closed log, lines without an end go out too, each with an id to resume from."""
    log = Pieces([(OUT, b"a\nlast"), (ERR, b"words")])

    events = read(log)

    assert [(event.data, event.id) for event in events] == [
        ("a", at(2)),
        ("last", at(11, "-e6")),
        ("words", at(11)),
    ]
    found = parse_event_id(events[1].id)
    assert found is not None
    assert found.resume_point is not None
    assert data_of(read(log, LineEvents(RUN, found.resume_point))) == ["words"]


def test_gap():
    """A gap is told by name, with its range and an id behind it; lines that it cut go out before."""
    log = Pieces([(OUT, b"a\nhalf"), (Channel.GAP, b"." * 10), (OUT, b"rest\n")])

    assert read(log) == [
        Event("message", "a", at(2)),
        Event("message", "half", at(6)),
        Event("gap", '{"offset":"00000000000000000006","next":"00000000000000000016"}', at(16)),
        Event("message", "rest", at(21)),
    ]


@PROPERTY
@given(appends(), appends(), appends(), st.floats(0, 1), LIMITS)
def test_cut_beside_gap(before: Appends, between: Appends, behind: Appends, cut: float, limit: int):
    """Gaps are told once too, whoever comes back where."""
    gap = (Channel.GAP, b"." * 5)
    log = Pieces([*before, gap, *between, gap, *behind])
    whole = read(log)
    source = EventSource()
    stream = b"".join(log.feed(LineEvents(RUN, named=True), limit))
    seen = source.read(stream[: int(cut * len(stream))])
    found = parse_event_id(source.last_event_id)

    encoder = LineEvents(
        RUN, found.resume_point if found and found.resume_point else ResumePoint(0), named=True
    )
    seen += read(log, encoder, limit)

    assert seen == whole


def test_bytes_dropped_behind_a_viewer():
    """Who comes back to find the beginning of an unfinished line dropped is told, and gets its rest."""
    log = Pieces([(Channel.GAP, b"." * 8), (OUT, b"word\n"), (ERR, b"new\n")])
    place = ResumePoint(10, ((OUT, 3),))

    events = read(log, LineEvents(RUN, place))

    assert [(event.type, event.data[:4]) for event in events] == [
        ("gap", '{"of'),
        ("message", "word"),
        ("message", "new"),
    ]
    assert events[0].id == at(10, "-o8")


def test_bytes_dropped_on_both_sides_of_a_place():
    """A gap that begins before the place of a viewer who comes back and ends behind it is told once."""
    log = Pieces([(Channel.GAP, b"." * 20), (OUT, b"x\n")])

    events = read(log, LineEvents(RUN, ResumePoint(10, ((OUT, 3),))))

    assert [(event.type, event.id) for event in events] == [("gap", at(20)), ("message", at(22))]


def test_place_with_nothing_there():
    """An id that names an unfinished line where the channel has none does no harm."""
    log = Pieces([(OUT, b"a\nb\n"), (OUT, b"c\n")])

    events = read(log, LineEvents(RUN, ResumePoint(4, ((ERR, 1), (DATA, 0)))))

    assert events == [Event("message", "c", at(6))]


def test_percent():
    """Percent signs are text, in the output and in the id of a log that is not ours."""
    encoder = LineEvents("50%d")

    said = encoder.feed(Pieces([(OUT, b"100%\n%d %s\n")]).read(0))

    assert [(event.data, event.id[:5]) for event in EventSource().read(said)] == [
        ("100%", "50%d:"),
        ("%d %s", "50%d:"),
    ]


def test_unknown_channel_is_kept_apart():
    """Where the index is damaged, lines are still whole and resumed exactly."""
    log = Pieces([(OUT, b"a"), (Channel.UNKNOWN, b"b\nc"), (OUT, b"d\n"), (Channel.UNKNOWN, b"e\n")])

    events = read(log, LineEvents(RUN))

    assert [(event.data, event.id) for event in events] == [
        ("b", at(3, "-o0")),
        ("ad", at(6, "-u3")),
        ("ce", at(8)),
    ]


def rested(parts: Appends, limit: int, rests: list[bool], most: int) -> tuple[Pieces, bytes]:
    """Return a log, and its events where lines rest at some moments."""
    log, said = Pieces(parts), b""
    encoder = LineEvents(RUN, named=True, line_bytes=most)
    number = 0
    while encoder.next < log.tail:
        said += encoder.feed(log.read(encoder.next, limit))
        if rests[number : number + 1] == [True]:
            said += encoder.partial_lines(set(encoder.unfinished_lines))
        number += 1
    return log, said + encoder.feed(log.read(log.tail), final=True)


def shown(events: list[Event], kind: str) -> str:
    """Return what a page shows that begins a new line behind each event but those of parts."""
    mine = [event for event in events if event.type == kind]
    return "".join(event.data if event.id.endswith("+") else f"{event.data}\n" for event in mine)


RESTS = st.lists(st.booleans(), max_size=10)


@PROPERTY
@given(appends(), LIMITS, RESTS, st.sampled_from([12, 64, LINE_BYTES]))
@example([(OUT, b"Go? \r"), (OUT, b"\n")], 5, [True], LINE_BYTES)
@example([(OUT, b"10%"), (OUT, b"\r20%")], 3, [True], LINE_BYTES)
@example([(OUT, b"twelve bytes\r\n")], 1, [], 12)
@example([(OUT, b"twelve bytes" + b"\r" * 99 + b"\n")], 1, [], 12)
@example([(OUT, b"a\r"), (ERR, b"b"), (OUT, b"c\r\r\n")], 2, [True, True, True], LINE_BYTES)
def test_parts_are_the_line(parts: Appends, limit: int, rests: list[bool], most: int):
    """However often a line rests, and however long it is, its parts are the line, once."""
    log, said = rested(parts, limit, rests, most)
    events = EventSource().read(said)

    for kind, channel in CHANNELS.items():
        expected = "".join(f"{line}\n" for line in lines_of(log.bytes_of(channel)))
        assert shown(events, kind).removesuffix("\n") == expected.removesuffix("\n")


@PROPERTY
@given(appends(), LIMITS, RESTS, LIMITS)
def test_back_after_a_part(parts: Appends, limit: int, rests: list[bool], other: int):
    """Who comes back with any id, those of parts among them, gets the rest of each line, once."""
    log, said = rested(parts, limit, rests, LINE_BYTES)
    events = EventSource().read(said)

    for count, event in enumerate(events, 1):
        found = parse_event_id(event.id)
        assert found is not None
        assert found.resume_point is not None
        back = events[:count] + read(log, LineEvents(RUN, found.resume_point, named=True), other)
        for kind, channel in CHANNELS.items():
            expected = "".join(f"{line}\n" for line in lines_of(log.bytes_of(channel)))
            assert shown(back, kind).removesuffix("\n") == expected.removesuffix("\n")


def test_part_says_that_it_goes_on():
    """The ids of parts end in a plus: of what rested, and of what is longer than an event may be."""
    log = Pieces([(OUT, b"Go? "), (ERR, b"oh\n"), (OUT, b"yes\n")])
    encoder = LineEvents(RUN)
    said = encoder.feed(log.read(0, 7))
    assert encoder.unfinished_lines == {OUT: 4}
    said += encoder.partial_lines({OUT}) + encoder.feed(log.read(7), final=True)
    long = Pieces([(OUT, b"x" * (LINE_BYTES + 9) + b"\n")])

    events = EventSource().read(said)
    assert [(event.data, event.id) for event in events] == [
        ("oh", at(7, "-o0")),
        ("Go? ", at(7, "-O4+")),
        ("yes", at(11)),
    ]
    assert [event.id for event in read(long)] == [
        at(LINE_BYTES, f"-O{LINE_BYTES}+"),
        at(LINE_BYTES + 10),
    ]
