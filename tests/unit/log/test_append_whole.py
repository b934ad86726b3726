"""Appends that are there as a whole or not at all, writers that go on in a segment, and forks in memory."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runcast.errors import LogClosed
from runcast.log import FileLog, FileLogWriter, MemoryLog, MemoryLogWriter
from runcast.log.records import RECORD_SPAN
from runcast.model import Channel, Outcome, Reason
from runcast.store.run_files import RunFiles
from tests.unit.log.disks import SmallFile, SmallMemory

OUT, DATA = Channel.STDOUT, Channel.DATA
ENDED = Outcome(Reason.EXITED, 0)


def content(log: FileLog | MemoryLog) -> bytes:
    """Return all bytes of a log, each of them labelled."""
    data, offset = b"", 0
    while (reading := log.read(offset)).next != offset:
        assert all(chunk.channel is OUT for chunk in reading.chunks)
        data += b"".join(chunk.data for chunk in reading.chunks)
        offset = reading.next
    return data


@given(st.lists(st.integers(1, 3 * RECORD_SPAN), min_size=1, max_size=6), st.integers(1, 4 * RECORD_SPAN))
def test_bytes_labels_and_lines(sizes: list[int], segment: int):
    """Whatever the sizes, bytes, labels and lines are those of the same bytes appended otherwise."""
    log, plain = MemoryLog(), MemoryLog()
    whole, usual = MemoryLogWriter(log, segment_bytes=segment), MemoryLogWriter(plain)
    for number, size in enumerate(sizes):
        data = (b"%d\n" % number * size)[:size]
        whole.append_whole(OUT, data)
        usual.append(OUT, data)

    assert content(log) == content(plain)
    assert log.lines == plain.lines == whole.lines
    for line in (1, 2, log.lines // 2 + 1, log.lines + 1):
        assert log.offset_of_line(line) == plain.offset_of_line(line)
    starts = [span.start for span in log._extents()]
    assert all(start in (0, *(sum(sizes[:count]) for count in range(len(sizes)))) for start in starts)


def test_no_room_in_memory():
    """What does not fit leaves the log as it was, index and lines included; what fits goes in later."""
    log = MemoryLog()
    writer = SmallMemory(log)
    writer.append_whole(OUT, b"kept\n")
    before = (writer.tail, writer.lines, bytes(log._spans[0].index))
    writer.room = 70_000
    with pytest.raises(OSError, match="No space left"):
        writer.append_whole(OUT, b"x\n" * 100_000)

    assert (writer.tail, writer.lines, bytes(log._spans[0].index)) == before
    assert content(log) == b"kept\n"
    writer.room = 1 << 40
    writer.append_whole(OUT, b"more\n")
    assert content(log) == b"kept\nmore\n"
    assert (log.lines, writer.dropped) == (2, 0)


def test_no_room_in_files(tmp_path: Path):
    """The same in files."""
    directory = RunFiles.create(str(tmp_path / "run"), {})
    writer = SmallFile(directory)
    writer.append_whole(OUT, b"kept\n")
    writer.room = 70_000
    with pytest.raises(OSError, match="No space left"):
        writer.append_whole(OUT, b"x\n" * 100_000)
    writer.room = 1 << 40
    writer.append_whole(OUT, b"more\n")

    log = FileLog(str(tmp_path / "run"))
    assert content(log) == b"kept\nmore\n"
    assert log.lines == 2


def test_closed():
    """A closed log takes nothing."""
    writer = MemoryLogWriter(MemoryLog())
    writer.close(ENDED)

    with pytest.raises(LogClosed):
        writer.append_whole(OUT, b"x")


def test_go_on(tmp_path: Path):
    """A writer that knows the last append to be whole goes on in its segment, others begin a new one."""
    directory = RunFiles.create(str(tmp_path / "run"), {})
    for number, go_on in enumerate((False, True, True, False)):
        writer = FileLogWriter(directory, go_on=go_on)
        assert (writer.tail, writer.lines) == (number * 5, number)
        writer.append_whole(OUT, b"line\n")
        writer.park()

    log = FileLog(str(tmp_path / "run"))
    assert content(log) == b"line\n" * 4
    assert [span.start for span in log._extents()] == [0, 15]
    assert log.offset_of_line(3) == 10


def test_go_on_behind_a_torn_index(tmp_path: Path):
    """Behind a part of a record no other one would be found: a new segment is begun."""
    directory = RunFiles.create(str(tmp_path / "run"), {})
    FileLogWriter(directory).append_whole(OUT, b"line\n")
    with (tmp_path / "run" / "log" / f"{0:020}.index").open("ab") as index:
        index.write(b"part")
    FileLogWriter(directory, go_on=True).append_whole(OUT, b"more\n")

    assert [span.start for span in FileLog(str(tmp_path / "run"))._extents()] == [0, 5]


def test_fork_in_memory():
    """A fork has its parent's bytes and labels up to an offset, and lines of its own behind it."""
    parent = MemoryLog()
    writer = MemoryLogWriter(parent)
    writer.append_whole(OUT, b"one\ntwo\nthree\n")
    fork = parent.fork(6)
    writer.append_whole(OUT, b"four\n")
    MemoryLogWriter(fork).append_whole(OUT, b"o!\n")

    assert content(parent) == b"one\ntwo\nthree\nfour\n"
    assert content(fork) == b"one\ntwo!\n"
    assert fork.lines == 2
    assert fork.offset_of_line(2) == 4
