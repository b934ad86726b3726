"""The first line that matches, however its log is cut."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runcast.model import Channel, Chunk
from runcast.readers.line_search import FoundLine, LineSearch
from runcast.readers.lines import LINE_BYTES, REST_SECONDS
from tests.unit.wire.logs import ERR, OUT, PROPERTY, Pieces, appends

READY = re.compile("ready")


def search(log: Pieces, expected: re.Pattern[str] = READY, limit: int = 1 << 20) -> FoundLine | None:
    """Return what a search finds in a log that is read in pieces, at one moment: no line rests."""
    looking, offset = LineSearch(expected), 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "monotonic", lambda: 0.0)
        while offset < log.tail:
            reading = log.read(offset, limit)
            for chunk in reading.chunks:
                if found := looking.feed(chunk):
                    return found
            offset = reading.next
        return looking.flush()


@pytest.mark.parametrize("limit", range(1, 12))
def test_first_line(limit: int):
    """It is the first that matches, whole, from where it begins, though it comes in pieces."""
    log = Pieces([(OUT, b"not yet\n\nall re"), (ERR, b"an error\n"), (OUT, b"ady: 1\r\nready: 2\n")])

    assert search(log, limit=limit) == FoundLine("all ready: 1", 9, OUT)


@pytest.mark.parametrize("limit", [1, 3, 100])
def test_channels(limit: int):
    """Two channels never share a line, and the next line of one begins where its own bytes do."""
    log = Pieces([(OUT, b"rea"), (ERR, b"dy\n"), (OUT, b"l\n"), (ERR, b"x\n"), (OUT, b"ready\n")])

    assert search(log, limit=limit) == FoundLine("ready", 10, OUT)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"10%\rready\r100%\n", "10%\rready\r100%"),
        (b"\xffready\xe2\x82\n", "\ufffdready\ufffd"),
        (b"ready", "ready"),
        (b"\x1b[1mready\x1b[0m\r\n", "\x1b[1mready\x1b[0m"),
    ],
    ids=["CR", "not UTF-8", "unfinished", "escape sequences"],
)
def test_text(data: bytes, text: str):
    """States that CRs overwrite are one line; invalid bytes are replaced; the last line needs no end."""
    assert search(Pieces([(OUT, data)]), limit=2) == FoundLine(text, 0, OUT)


def test_gap():
    """A gap ends the lines: what is behind it continues none of them."""
    log = Pieces([(OUT, b"rea"), (Channel.GAP, b"..."), (OUT, b"dy\nready\n")])

    assert search(log) == FoundLine("ready", 9, OUT)


def test_none():
    """Without a match it gives nothing, and the number of lines that were searched."""
    looking = LineSearch(READY)

    assert looking.feed(Chunk(0, 7, OUT, 0.0, b"a\n\nb\r\nc")) is None
    assert looking.flush() is None
    assert looking.lines == 4


def test_prompt(monkeypatch: pytest.MonkeyPatch):
    """A line that rests counts as far as it has come; with its rest it is a line again."""
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    looking = LineSearch(re.compile("ready.*set"))

    assert looking.feed(Chunk(0, 6, OUT, 0.0, b"ready?")) is None
    now += REST_SECONDS
    assert looking.feed(None) is None
    assert looking.feed(Chunk(6, 11, OUT, 0.0, b" set?")) is None
    now += REST_SECONDS
    assert looking.feed(None) == FoundLine("ready? set?", 0, OUT)


def test_endless_line():
    """Of a line that never ends at most two of its MiBs are kept, and a text across two is found."""
    looking = LineSearch(READY)
    piece = b"x" * (LINE_BYTES // 4 - 3)
    for at in range(20):
        assert looking.feed(Chunk(at * len(piece), (at + 1) * len(piece), OUT, 0.0, piece)) is None
        assert sum(map(len, looking._begun.values())) <= LINE_BYTES
    at = 20 * len(piece)
    assert looking.feed(Chunk(at, at + 3, OUT, 0.0, b"rea")) is None

    found = looking.feed(Chunk(at + 3, at + 6, OUT, 0.0, b"dy\n"))

    assert found is not None
    assert (found.text[-6:], found.offset, len(found.text) <= 2 * LINE_BYTES) == ("xready", 0, True)


@PROPERTY
@given(appends(), st.integers(1, 9), st.sampled_from(["a", "bc", "data: x", "\u20ac", "\r", "%d"]))
def test_any_log(parts: list[tuple[Channel, bytes]], limit: int, text: str):
    """The line is one of the log's, holds the text, and its bytes are at its offset; else none does."""
    log = Pieces([(OUT, data) for _, data in parts])
    found = search(log, re.compile(re.escape(text)), limit)

    whole = log.bytes_of(OUT)
    *ended, unfinished = whole.split(b"\n")
    lines = [line.removesuffix(b"\r") for line in ended] + [unfinished]  # a CR without its LF is text
    first = next((line for line in lines if text in line.decode(errors="replace")), None)
    assert (found and found.text) == (first and first.decode(errors="replace"))
    if found is not None and first is not None:
        assert whole[found.offset :].startswith(first)
        assert found.offset == 0 or whole[found.offset - 1 : found.offset] == b"\n"
