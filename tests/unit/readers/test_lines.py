"""Bytes into lines, however they are cut."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runcast.model import Channel, Chunk
from runcast.readers.lines import REST_SECONDS, Line, Lines
from runcast.utf8 import cut as utf8_cut

OUT, ERR, GAP, UNKNOWN = Channel.STDOUT, Channel.STDERR, Channel.GAP, Channel.UNKNOWN

PARTS = st.sampled_from(
    [
        *(b"\n", b"\r\n", b"\r", b"a", b"word", b"\0", b"\t"),
        *(
            "\u2028\u2029\u0085\x0b\x0c\x1c".encode(),
            "äöü".encode(),
            "€".encode(),
            "😀".encode(),
            b"\xef\xbb\xbf",
        ),
        *(b"\xff", b"\xc3", b"\xe2\x82", b"\xf0\x9f\x98", b"\x80\x80", b"\xed\xa0\x80", b"\xc0\xaf"),
    ]
)
DATA = st.lists(PARTS | st.binary(max_size=3), max_size=20).map(b"".join)
CUTS = st.lists(st.integers(0, 60), max_size=8)


def chunks(data: bytes, cuts: list[int], channel: Channel = OUT) -> list[Chunk]:
    """Cut bytes into chunks."""
    places = sorted({0, len(data), *(min(cut, len(data)) for cut in cuts)})
    return [Chunk(start, end, channel, 1.0, data[start:end]) for start, end in pairwise(places)]


def lines_of(data: bytes) -> list[str]:
    """Return the lines the plain way, all bytes at once."""
    *ended, last = data.split(b"\n")
    whole = [line.removesuffix(b"\r").decode(errors="replace") for line in ended]
    return [*whole, last.decode(errors="replace")] if last else whole


@given(DATA, CUTS)
def test_any_cut(data: bytes, cuts: list[int]):
    """Wherever the bytes are cut, the lines are the same: LF and CRLF end one, nothing else does."""
    lines = Lines()
    said = [line for chunk in chunks(data, cuts) for line in lines.feed(chunk)] + lines.flush()

    assert said == [(OUT, line) for line in lines_of(data)]
    assert lines.flush() == []


@given(DATA, DATA, CUTS, CUTS, st.randoms())
def test_channels_apart(one: bytes, other: bytes, cuts: list[int], more: list[int], chance):
    """Each channel has its own unfinished line, however the chunks alternate."""
    queues = [chunks(one, cuts), chunks(other, more, ERR)]
    lines = Lines()
    said = []
    while any(queues):
        said += lines.feed(chance.choice([queue for queue in queues if queue]).pop(0))
    said += lines.flush()

    assert [line for channel, line in said if channel is OUT] == lines_of(one)
    assert [line for channel, line in said if channel is ERR] == lines_of(other)


def test_lines_come_as_soon_as_they_end():
    """A chunk gives all lines that it ends, and what has no end waits."""
    lines = Lines()

    assert lines.feed(Chunk(0, 5, OUT, 1.0, b"a\nb\nc")) == [(OUT, "a"), (OUT, "b")]
    assert lines.feed(Chunk(5, 6, OUT, 1.0, b"d")) == []
    assert lines.feed(Chunk(6, 7, OUT, 1.0, b"\r")) == []
    assert lines.feed(Chunk(7, 8, OUT, 1.0, b"\n")) == [(OUT, "cd")]


def test_gap_ends_lines():
    """What comes behind a gap is not the rest of a line before it."""
    lines = Lines()
    lines.feed(Chunk(0, 3, OUT, 1.0, b"abc"))
    lines.feed(Chunk(3, 6, ERR, 1.0, b"def"))

    assert lines.feed(Chunk(6, 100, GAP, 0.0, b"")) == [(OUT, "abc"), (ERR, "def")]
    assert lines.feed(Chunk(100, 102, OUT, 1.0, b"g\n")) == [(OUT, "g")]
    assert lines.flush() == []


@given(DATA, CUTS, st.integers(5, 12))
def test_long_lines(data: bytes, cuts: list[int], most: int):
    """A line that is too long comes in parts, which joined are the line; no line is made up."""
    lines = Lines(most)
    parts = []
    for chunk in chunks(data, cuts):
        for _, part in lines.feed(chunk):
            parts.append(part)
        assert sum(map(len, lines._rest.get(OUT, []))) < most
    parts += [part for _, part in lines.flush()]

    assert "".join(parts) == "".join(lines_of(data))
    assert len(parts) <= len(lines_of(data)) + len(data) // (most - 4)


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_line_as_long_as_a_part(end: bytes):
    """A line that was given out whole has no empty line behind it when its end comes."""
    lines = Lines(8)

    assert lines.feed(Chunk(0, 8, OUT, 1.0, b"12345678")) == [(OUT, "12345678")]
    assert lines.feed(Chunk(8, 10, OUT, 1.0, end + b"a\n\n")) == [(OUT, "a"), (OUT, "")]


def test_carriage_return_at_the_end_of_a_part():
    """A part does not take the CR of the line's end with it."""
    lines = Lines(8)

    assert lines.feed(Chunk(0, 8, OUT, 1.0, b"1234567\r")) == [(OUT, "1234567")]
    assert lines.feed(Chunk(8, 9, OUT, 1.0, b"\n")) == []
    assert lines.flush() == []


def test_memory_of_an_endless_line():
    """A line that never ends is given out as it comes, and little of it is held."""
    lines = Lines(1000)
    given = 0
    for n in range(500):
        given += sum(len(part) for _, part in lines.feed(Chunk(n, n, OUT, 1.0, b"x" * 99)))
        assert sum(map(len, lines._rest[OUT])) < 1000

    assert given > 48_000


@given(DATA, DATA)
def test_utf8_is_not_cut(data: bytes, more: bytes):
    """Decoding what is kept, and then the rest, gives what decoding all at once gives."""
    keep = utf8_cut(data)
    rest = data[keep:] + more

    assert len(data) - 3 <= keep <= len(data)
    assert data[:keep].decode(errors="replace") + rest.decode(errors="replace") == (data + more).decode(
        errors="replace"
    )


@pytest.mark.parametrize("letter", ["a", "ä", "€", "😀"])
def test_whole_letters_are_kept(letter: str):
    """A whole letter at the end is kept whole; a cut one is left out whole."""
    data = b"x" + letter.encode()

    assert utf8_cut(data) == len(data)
    for cut in range(2, len(data)):
        assert utf8_cut(data[:cut]) == 1


RESTS = st.lists(st.booleans(), max_size=10)
SOON = {"slack": REST_SECONDS}


def shown(said: list[tuple[Channel, str]]) -> str:
    """Return what somebody sees who prints each item, and a line end where its line ends."""
    parts = []
    for _channel, line in said:
        assert isinstance(line, Line)
        parts.append(line if line.partial else f"{line}\n")
    return "".join(parts)


@given(DATA, CUTS, RESTS, st.integers(5, 40))
def test_parts_of_lines_are_the_line(data: bytes, cuts: list[int], rests: list[bool], most: int):
    """However often a line rests, its parts are the line: nothing is lost, and nothing comes twice."""
    lines = Lines(most, partial=True)
    said: list[tuple[Channel, str]] = []
    for number, chunk in enumerate(chunks(data, cuts)):
        said += lines.feed(chunk)
        if rests[number : number + 1] == [True]:
            said += lines.rested(**SOON)
    said += lines.flush()

    whole = "".join(f"{line}\n" for line in lines_of(data))
    assert shown(said).removesuffix("\n") == whole.removesuffix("\n")


def test_prompt():
    """A prompt is given out once it has rested, and the answer is the rest of its line."""
    lines = Lines(partial=True)

    assert lines.due is None
    assert lines.feed(Chunk(0, 9, OUT, 1.0, b"Go? [y] \xe2")) == lines.rested() == []
    assert lines.due is not None
    assert lines.rested(**SOON) == [(OUT, "Go? [y] ")]
    assert lines.due is None
    assert lines.rested(**SOON) == []
    assert lines.feed(Chunk(9, 12, OUT, 1.0, b"\x82\xac\n")) == [(OUT, "€")]


def test_prompt_beside_a_channel_that_never_rests():
    """What rests on one channel is due, however much another says."""
    lines = Lines(partial=True)
    lines.feed(Chunk(0, 4, OUT, 1.0, b"Go? "))
    due = lines.due

    for at in range(4, 100):
        lines.feed(Chunk(at, at + 2, ERR, 1.0, b".\n"))

    assert lines.due == due
    assert lines.rested(**SOON) == [(OUT, "Go? ")]


def test_end_alone_is_an_empty_rest():
    """Where nothing of a line comes behind its part but the end, the rest is empty, and ends it."""
    lines = Lines(partial=True)
    lines.feed(Chunk(0, 4, OUT, 1.0, b"Go?\r"))
    (part,) = lines.rested(**SOON)
    rest = lines.feed(Chunk(4, 5, OUT, 1.0, b"\n"))

    assert [part, *rest] == [(OUT, "Go?"), (OUT, "")]
    assert shown([part, *rest]) == "Go?\n"


def last_state(line: str) -> str:
    """Return what a terminal shows of a line that is drawn over whole."""
    return line.rstrip("\r").rpartition("\r")[2]


@given(DATA, CUTS)
def test_last_states(data: bytes, cuts: list[int]):
    """Of a line that CRs draw over, the last state is given, wherever the bytes are cut."""
    lines = Lines(progress=True)
    said = [line for chunk in chunks(data, cuts) for _, line in lines.feed(chunk)]
    said += [line for _, line in lines.flush()]

    plain = data.decode("latin-1").split("\n")
    expected = [last_state(line).encode("latin-1").decode(errors="replace") for line in plain]
    assert said == (expected if plain[-1] else expected[:-1])


def test_memory_of_an_endless_bar():
    """A bar that never ends its line is kept as one state, however long it goes on."""
    lines = Lines(progress=True)
    at = 0
    for percent in range(100):
        state = b"\r%3d%%" % percent + b"#" * 1000
        assert lines.feed(Chunk(at, at + len(state), OUT, 1.0, state)) == []
        at += len(state)
        assert sum(map(len, lines._rest[OUT])) <= len(state)

    assert lines.flush() == [(OUT, " 99%" + "#" * 1000)]
