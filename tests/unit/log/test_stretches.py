"""Stretches of a log: the same bytes and channels as reads give, in few pieces."""

from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runcast.errors import StoreUnusable
from runcast.log import FileLog, Log, MemoryLog
from runcast.log.extent import Dropped
from runcast.log.stretches import stretches
from runcast.model import Channel
from runcast.testing import FilePlace
from tests.unit.log.disks import ClockedMemory

OUT, ERR, DATA, GAP = Channel.STDOUT, Channel.STDERR, Channel.DATA, Channel.GAP
APPENDS = st.lists(st.tuples(st.sampled_from([OUT, OUT, ERR, DATA]), st.binary(max_size=9)), max_size=16)


def labelled(log: Log, start: int, end: int) -> list[tuple[Channel, float, int, int]]:
    """Return channel, time and value of each byte, and of each gap its ends, as reads have them."""
    found: list[tuple[Channel, float, int, int]] = []
    while start < end:
        reading = log.read(start, end - start)
        for chunk in reading.chunks:
            if chunk.channel is GAP:
                found.append((GAP, 0.0, chunk.offset, chunk.next))
            found += [
                (chunk.channel, chunk.time, chunk.offset + at, value) for at, value in enumerate(chunk.data)
            ]
        start = reading.next
    return found


def check(log: Log, start: int, size: int) -> None:
    """Compare stretches with reads."""
    tail = log.tail_offset
    start = start % (tail + 1)
    expected = labelled(log, start, tail)
    found: list[tuple[Channel, float, int, int]] = []
    pieces = list(stretches(log, start, tail, size))
    for stretch in pieces:
        chunk = stretch.chunk
        assert len(chunk.data) <= size
        if chunk.channel is GAP:
            found.append((GAP, 0.0, chunk.offset, chunk.next))
            continue
        assert chunk.time == stretch.time(chunk.offset)
        for at, value in enumerate(chunk.data, chunk.offset):
            found.append((chunk.channel, stretch.time(at), at, value))
    assert found == expected
    err = b"".join(stretch.chunk.data for stretch in stretches(log, start, tail, size, {ERR}))
    assert err == bytes(value for channel, _, _, value in expected if channel is ERR)
    if not any(channel is GAP for channel, *_ in expected) and size >= tail and len(log._extents()) == 1:
        assert len(pieces) == len(list(groupby(expected, key=lambda byte: byte[0])))


@given(APPENDS, st.integers(1, 200), st.integers(0, 200), st.integers(1, 200))
def test_memory(appends: list[tuple[Channel, bytes]], segment: int, start: int, size: int):
    """Stretches have the bytes, channels and times that reads have, and neighbours of one channel are one."""
    log = MemoryLog()
    writer = ClockedMemory(log, segment_bytes=segment)
    for channel, data in appends:
        writer.append(channel, data)
    check(log, start, size)


@given(APPENDS, st.integers(1, 50), st.integers(1, 100), st.integers(1, 50))
def test_gaps(appends: list[tuple[Channel, bytes]], segment: int, cap: int, size: int):
    """What a cap dropped is a gap."""
    log = MemoryLog()
    writer = ClockedMemory(log, segment_bytes=segment, cap_bytes=cap)
    for channel, data in appends:
        writer.append(channel, data)
    check(log, 0, size)


@given(APPENDS, st.integers(1, 50), st.integers(0, 200), st.integers(1, 50))
def test_file(appends: list[tuple[Channel, bytes]], segment: int, start: int, size: int):
    """So it is in files."""
    with TemporaryDirectory() as folder:
        place = FilePlace(f"{folder}/run")
        writer = place.writer(segment_bytes=segment)
        for channel, data in appends:
            writer.append(channel, data)
        check(place.log(), start, size)


def test_dropped_while_it_is_read(tmp_path: Path):
    """Segments that are dropped meanwhile are a gap."""
    place = FilePlace(str(tmp_path / "run"))
    writer = place.writer(segment_bytes=100, cap_bytes=400)
    for _ in range(4):
        writer.append(OUT, b"x" * 100)
    log = place.log()
    reader = stretches(log, 0, log.tail_offset, 100)

    assert next(reader).chunk.next == 100
    for _ in range(3):
        writer.append(OUT, b"y" * 100)

    rest = [stretch.chunk for stretch in reader]
    assert GAP in {chunk.channel for chunk in rest}
    assert [100, *(chunk.next for chunk in rest[:-1])] == [chunk.offset for chunk in rest]
    assert rest[-1].next >= 400  # a gap may end behind what was there


def test_never_in_place(tmp_path: Path):
    """A log whose bytes vanish each time that it is listed is an error in the end."""

    class Vanishing(FileLog):
        def _extents(self) -> list:  # type: ignore[override]
            raise Dropped

    with pytest.raises(StoreUnusable, match="stay in place"):
        list(stretches(Vanishing(str(tmp_path)), 0, 1, 1))
