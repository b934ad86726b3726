"""Cursors, and where to begin to read."""

import pytest

from runcast.errors import OffsetBeyondTail, OffsetGone, UsageError
from runcast.log import MemoryLog
from runcast.model import Channel
from runcast.readers import Cursor, begin
from tests.unit.log.disks import SECOND, ClockedMemory

OUT, ERR = Channel.STDOUT, Channel.STDERR


@pytest.fixture
def log() -> MemoryLog:
    """Three lines, a second apart; the second one is on stderr."""
    log = MemoryLog()
    writer = ClockedMemory(log)
    for channel, line in [(OUT, b"one\n"), (ERR, b"two\n"), (OUT, b"three\n")]:
        writer.append(channel, line)
        writer.now += SECOND
    return log


def test_cursor_moves(log: MemoryLog):
    """A read moves the cursor past what it gave; at the tail it stays."""
    cursor = Cursor(log)

    assert [chunk.data for chunk in cursor.read(6)] == [b"one\n", b"tw"]
    assert cursor.offset == 6
    assert b"".join(chunk.data for chunk in cursor.read()) == b"o\nthree\n"
    assert (cursor.read(), cursor.offset) == ([], 14)


def test_cursor_with_a_filter(log: MemoryLog):
    """A cursor of one channel skips the others, and moves past them at the end."""
    cursor = Cursor(log, 4, {ERR})

    assert [chunk.data for chunk in cursor.read()] == [b"two\n"]
    while cursor.offset < 14:
        assert cursor.read() == []


@pytest.mark.parametrize(
    ("place", "offset"),
    [
        ({}, 0),
        ({"offset": 0}, 0),
        ({"offset": 5}, 5),
        ({"offset": 14}, 14),
        ({"tail": 0}, 14),
        ({"tail": 1}, 8),
        ({"tail": 2}, 4),
        ({"tail": 99}, 0),
        ({"tail": 1, "channels": {ERR}}, 0),
        ({"tail": 2, "channels": {OUT}}, 0),
        ({"tail": 1, "channels": {OUT}}, 4),
        ({"tail_bytes": 3}, 11),
        ({"tail_bytes": 99}, 0),
        ({"line": 0}, 0),
        ({"line": 1}, 0),
        ({"line": 3}, 8),
        ({"line": 9}, 14),
        ({"since": 0}, 0),
        ({"since": 1_700_000_001.0}, 4),
        ({"since": 1_700_000_001.5}, 8),
        ({"since": 4_000_000_000}, 14),
    ],
)
def test_places(log: MemoryLog, place: dict, offset: int):
    """Each way to say where to begin finds its offset."""
    assert begin(log, **place) == offset


def test_one_place_only(log: MemoryLog):
    """Two places are one too many, and both are named."""
    with pytest.raises(UsageError, match="expected one place to begin, got line and tail"):
        begin(log, tail=1, line=2)


@pytest.mark.parametrize("name", ["offset", "tail", "tail_bytes", "line", "since"])
def test_negative_places(log: MemoryLog, name: str):
    """A negative place is refused by its name."""
    with pytest.raises(UsageError, match=f"expected {name} to be 0 or more, got -1"):
        begin(log, **{name: -1})


@pytest.mark.parametrize(
    ("name", "value"), [("offset", "3"), ("tail", "2"), ("tail", 1.5), ("line", "2"), ("since", "5m")]
)
def test_places_that_are_no_numbers(log: MemoryLog, name: str, value: object):
    """What came from a query as text is refused by its name, before anything is compared with it."""
    with pytest.raises(UsageError, match=f"expected {name} as a (whole )?number, got {value!r}"):
        begin(log, **{name: value})


def test_offset_that_cannot_be_read():
    """An offset past the tail, or in a gap, is refused at once, not at the first read."""
    log = MemoryLog()
    writer = ClockedMemory(log, segment_bytes=10, cap_bytes=100)
    writer.append(OUT, bytes(1000))

    with pytest.raises(OffsetBeyondTail):
        begin(log, offset=1001)
    with pytest.raises(OffsetGone) as gone:
        begin(log, offset=500)
    assert begin(log, offset=gone.value.next) == gone.value.next
