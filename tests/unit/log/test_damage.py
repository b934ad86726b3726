"""Torn and damaged logs (promise R4): opened, read, and never told wrong.

Exhaustive on a small log of two channels in three segments. What holds everywhere: opening and
reading raise nothing, every byte that is there comes back in order, and a label is right or
`unknown`. The one limit: an index that was cut exactly between two records looks like one whose
next record was never written, so up to `RECORD_SPAN` (64 KiB) of the bytes behind the last
record that is left carry that record's channel; what lies further behind is `unknown`.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from runcast.log import FileLog
from runcast.log.records import RECORD_BYTES, RECORD_SPAN
from runcast.model import Channel, Chunk
from runcast.testing import FilePlace, PlainLog
from tests.unit.log.disks import ClockedFile

OUT, ERR, GAP, UNKNOWN = Channel.STDOUT, Channel.STDERR, Channel.GAP, Channel.UNKNOWN

APPENDS = [
    (OUT, b"one\ntwo\n"),
    (ERR, b"a warning\n"),
    (OUT, b"three\n"),
    (ERR, b"\n\nmore \xff\n"),
    (OUT, b"four\n"),
    (ERR, b"no end"),
]


class Damaged:
    """A small log whose files can be replaced, each time from the whole ones."""

    def __init__(self, path: str) -> None:
        place = FilePlace(path)
        self.path = path
        self.plain = PlainLog()
        assert place.directory.acquire()
        writer = ClockedFile(place.directory, segment_bytes=17)
        for channel, data in APPENDS:
            writer.append(channel, data)
            self.plain.append(channel, data)
            writer.now += 20_000_000
        place.crash(writer)
        self.files = {file.name: file.read_bytes() for file in sorted(Path(path, "log").iterdir())}
        self.outputs = [name for name in self.files if not name.endswith(".index")]
        self.indexes = [name for name in self.files if name.endswith(".index")]

    def put(self, name: str, data: bytes) -> FileLog:
        """Replace a file and open the log."""
        Path(self.path, "log", name).write_bytes(data)
        return FileLog(self.path)

    def heal(self, name: str) -> None:
        """Put the whole file back."""
        Path(self.path, "log", name).write_bytes(self.files[name])


@pytest.fixture
def damaged(tmp_path: Path) -> Damaged:
    """A log of three segments, not damaged yet."""
    log = Damaged(str(tmp_path / "run"))
    assert len(log.outputs) == len(log.indexes) == 3
    return log


def read_all(log: FileLog) -> list[Chunk]:
    """Read from end to end."""
    chunks, offset = [], 0
    while (reading := log.read(offset)).next != offset:
        chunks, offset = chunks + reading.chunks, reading.next
    return chunks


def wrong(chunks: list[Chunk], plain: PlainLog) -> list[tuple[int, int]]:
    """Return the ranges that are labelled, and not as they were written."""
    return [
        (chunk.offset, chunk.next)
        for chunk in chunks
        if chunk.channel not in (UNKNOWN, GAP) and plain.channels(chunk.offset, chunk.next) != {chunk.channel}
    ]


def check_whole(log: FileLog, plain: PlainLog) -> list[Chunk]:
    """Check what no damage of an index may change: bytes, order, lines, where lines are."""
    chunks = read_all(log)
    assert b"".join(chunk.data for chunk in chunks) == plain.data()
    assert [0, *(chunk.next for chunk in chunks)] == [*(chunk.offset for chunk in chunks), plain.tail]
    assert log.lines == plain.lines_before(plain.tail)
    for offset in range(5, plain.tail, 13):
        assert log.lines_before(offset) == plain.lines_before(offset)
    for number in (2, 5, 8):
        assert log.offset_of_line(number) == plain.offset_of_line(number)
    assert log.offset_of_tail(3) == plain.offset_of_tail(3)
    for chunk in chunks[::3]:
        assert log.offset_of_time(chunk.time) <= chunk.offset  # nothing of that time is missed
    return chunks


def known(chunks: list[Chunk]) -> int:
    """Return how many bytes have a label."""
    return sum(len(chunk.data) for chunk in chunks if chunk.channel is not UNKNOWN)


def test_not_damaged(damaged: Damaged):
    """Whole, the log has every label, and the check finds nothing wrong."""
    chunks = check_whole(FileLog(damaged.path), damaged.plain)

    assert (wrong(chunks, damaged.plain), known(chunks)) == ([], damaged.plain.tail)


@pytest.mark.slow
def test_index_cut(damaged: Damaged):
    """An index cut at any byte: labels are right or unknown; between two records, see above."""
    for name in damaged.indexes:
        whole = damaged.files[name]
        for size in range(len(whole)):
            chunks = check_whole(damaged.put(name, whole[:size]), damaged.plain)
            if size % RECORD_BYTES:
                assert wrong(chunks, damaged.plain) == []
            if size < 2 * RECORD_BYTES:  # no record is left of this segment: it has no label at all
                start = int(name.removesuffix(".index"))
                assert all(c.channel is UNKNOWN for c in chunks if c.offset == start)
                assert wrong(chunks, damaged.plain) == []
        damaged.heal(name)


def test_index_cut_between_records_of_a_longer_log(tmp_path: Path):
    """The limit of what a cut can hide is `RECORD_SPAN` bytes, and they take the last record's label."""
    place = FilePlace(str(tmp_path / "run"))
    writer = place.writer()
    for _ in range(3):
        writer.append(OUT, b"o" * 50_000)
        writer.append(ERR, b"e" * 50_000)
    place.crash(writer)
    (index,) = Path(place.directory.log_path).glob("*.index")
    index.write_bytes(index.read_bytes()[: 2 * RECORD_BYTES])

    assert [chunk[:3] for chunk in read_all(FileLog(place.directory.path))] == [
        (0, RECORD_SPAN, OUT),
        *((at, min(at + RECORD_SPAN, 300_000), UNKNOWN) for at in range(RECORD_SPAN, 300_000, RECORD_SPAN)),
    ]


def test_index_zeroed(damaged: Damaged):
    """Any one record zeroed, or all from one on, or the header: labels are right or unknown."""
    for name in damaged.indexes:
        whole = damaged.files[name]
        for at in range(0, len(whole), RECORD_BYTES):
            for end in (at + RECORD_BYTES, len(whole)):
                log = damaged.put(name, whole[:at] + bytes(end - at) + whole[end:])
                chunks = check_whole(log, damaged.plain)
                assert wrong(chunks, damaged.plain) == []
                assert (known(chunks) == damaged.plain.tail) == (at == 0 and end == RECORD_BYTES)
        damaged.heal(name)


@pytest.mark.slow
def test_index_flipped(damaged: Damaged):
    """Any byte of an index with a bit flipped: labels are right or unknown, and nothing else changes."""
    for name in damaged.indexes:
        whole = damaged.files[name]
        for at in range(len(whole)):
            flipped = bytes([whole[at] ^ 1 << at % 8])
            chunks = check_whole(damaged.put(name, whole[:at] + flipped + whole[at + 1 :]), damaged.plain)
            assert wrong(chunks, damaged.plain) == []
            assert (known(chunks) == damaged.plain.tail) == (at < RECORD_BYTES)
        damaged.heal(name)


def test_time_behind_a_torn_record(damaged: Damaged):
    """Where the last record of an index was torn, its bytes are not missed when their time is asked for."""
    name = damaged.indexes[0]
    assert [(chunk.offset, chunk.channel) for chunk in read_all(FileLog(damaged.path))][:2] == [
        (0, OUT),
        (8, ERR),
    ]
    time = FileLog(damaged.path).read(8, 1).chunks[0].time

    assert damaged.put(name, damaged.files[name][:-5]).offset_of_time(time) == 0


def test_index_huge(damaged: Damaged):
    """An index longer than any that a writer makes is one that was lost, and not searched for hours."""
    for name in damaged.indexes:
        log = damaged.put(name, damaged.files[name])
        os.truncate(f"{damaged.path}/log/{name}", 1 << 40)
        check_whole(log, damaged.plain)
        damaged.heal(name)


def test_index_lost(damaged: Damaged):
    """Without one index, or any: every byte is there, and the lines."""
    for name in damaged.indexes:
        Path(damaged.path, "log", name).unlink()
        chunks = check_whole(FileLog(damaged.path), damaged.plain)
        assert wrong(chunks, damaged.plain) == []
        damaged.heal(name)
    for name in damaged.indexes:
        Path(damaged.path, "log", name).unlink()

    assert known(check_whole(FileLog(damaged.path), damaged.plain)) == 0


def test_logged(damaged: Damaged, caplog: pytest.LogCaptureFixture):
    """A segment with a damaged record, or without its index, is a warning, once; a whole one is none."""
    path = f"{damaged.path}/log"
    first, second, _whole = damaged.indexes
    flipped = bytearray(damaged.files[first])
    flipped[RECORD_BYTES] ^= 1
    damaged.put(first, bytes(flipped))
    Path(path, second).unlink()

    for _ in range(2):
        read_all(FileLog(damaged.path))

    assert [(record.name, record.levelname) for record in caplog.records] == [
        ("runcast.store", "WARNING")
    ] * 2
    assert caplog.messages == [
        f"the log segment {path}/{damaged.outputs[0]} is damaged: records of its index are damaged",
        f"the log segment {path}/{damaged.outputs[1]} is damaged: its index is missing",
    ]


def test_output_cut(damaged: Damaged):
    """Output cut at any byte: what is left comes back with its labels, what is not is a gap or no more."""
    plain = damaged.plain
    for name in damaged.outputs:
        whole, start = damaged.files[name], int(name)
        for size in range(len(whole) + 1):
            log = damaged.put(name, whole[:size])
            chunks = read_all(log)
            cut, end = start + size, start + len(whole)
            last = name == damaged.outputs[-1]
            expected = plain.data(0, cut) + (b"" if last else plain.data(end))
            assert b"".join(chunk.data for chunk in chunks) == expected
            assert wrong(chunks, plain) == []
            assert UNKNOWN not in {chunk.channel for chunk in chunks}
            gaps = [(chunk.offset, chunk.next) for chunk in chunks if chunk.channel is GAP]
            assert gaps == ([] if last or cut == end else [(cut, end)])
            assert log.tail_offset == (cut if last else plain.tail)
            assert log.lines == plain.lines_before(log.tail_offset)
            check_lines_around(log, plain, cut, end)
        damaged.heal(name)


def check_lines_around(log: FileLog, plain: PlainLog, cut: int, end: int) -> None:
    """Lines before and behind what was cut away are where they were; those in it are at its beginning."""
    for number in range(1, log.lines + 2):
        offset = plain.offset_of_line(number)
        if offset <= cut or end < offset < log.tail_offset:
            assert log.offset_of_line(number) == offset
        elif offset < end:
            assert log.offset_of_line(number) in (cut, log.tail_offset)


def test_everything_cut(damaged: Damaged):
    """Files of no bytes at all are an empty log with gaps between its segments."""
    for name in damaged.files:
        damaged.put(name, b"")
    log = FileLog(damaged.path)

    assert {chunk.channel for chunk in read_all(log)} == {GAP}
    assert (log.tail_offset, log.lines) == (int(damaged.outputs[-1]), 0)


def damages(damaged: Damaged) -> Iterator[tuple[str, bytes]]:
    """Yield files of the last segment, cut as a power loss may have cut them."""
    for name in (damaged.outputs[-1], damaged.indexes[-1]):
        for size in range(0, len(damaged.files[name]), 3):
            yield name, damaged.files[name][:size]


def test_writing_on_behind_damage(tmp_path: Path):
    """A writer that goes on behind a cut log builds on nothing of it: its own bytes have their labels."""
    for number, (name, data) in enumerate(damages(Damaged(str(tmp_path / "first")))):
        damaged = Damaged(str(tmp_path / f"{number}"))
        tail = damaged.put(name, data).tail_offset
        place_log = FileLog(damaged.path)
        assert place_log.directory.acquire()
        writer = ClockedFile(place_log.directory, segment_bytes=20)
        writer.append(ERR, b"and on\n")
        writer.append(OUT, b"to the end\n")

        assert (writer.tail, place_log.tail_offset) == (tail + 18, tail + 18)
        end = [(chunk.channel, chunk.data) for chunk in place_log.read(tail).chunks]
        assert end == [(ERR, b"and on\n"), (OUT, b"to the end\n")]
        assert place_log.lines == damaged.plain.lines_before(tail) + 2
        writer._release()
