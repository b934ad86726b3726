"""A log that is cut into entries and copied is the same log, wherever either end stops."""

import os
import random
from pathlib import Path

import pytest

from runcast.log import FileLog
from runcast.log.copied import LogCopy
from runcast.log.entries import EntryLog
from runcast.log.records import RECORD_BYTES
from runcast.log.segments import INDEX, segment_name, segment_starts
from runcast.model import Channel
from runcast.store.run_files import RunFiles
from tests.helpers.away import make_run

OUT, ERR = Channel.STDOUT, Channel.STDERR


def appends(seed: int, count: int = 200) -> list[tuple[Channel, bytes]]:
    """Return output of two channels, in pieces of all sizes."""
    chance = random.Random(seed)
    sizes = (1, 30, 300, 5000)
    return [(chance.choice((OUT, ERR)), chance.randbytes(chance.choice(sizes))) for _ in range(count)]


def copy_of(tmp_path: Path) -> RunFiles:
    """Return the files of a run whose log is empty."""
    return RunFiles.create(str(tmp_path / "copy"), {})


def on_disk(path: str, suffix: str = "") -> bytes:
    """Return the bytes, or the records, of all segments."""
    found = sorted(one for one in Path(path, "log").iterdir() if one.suffix == suffix)
    return b"".join(one.read_bytes()[RECORD_BYTES if suffix else 0 :] for one in found)


def labels(path: str) -> list[tuple[int, Channel, float]]:
    """Return where another channel or time begins, as a reader sees it."""
    log, offset, found = FileLog(path), 0, []
    while (reading := log.read(offset)).next > offset:
        offset = reading.next
        found += [(chunk.offset, chunk.channel, chunk.time) for chunk in reading.chunks]
    return [one for at, one in enumerate(found) if not at or one[1:] != found[at - 1][1:]]


@pytest.mark.parametrize("seed", range(5))
def test_copy_is_the_same(tmp_path: Path, seed: int):
    """Bytes and records are the same, and so is each label, though both have segments of their own."""
    run = make_run(tmp_path, appends(seed), 50_000)
    chance, log, copy = random.Random(seed), EntryLog(run), LogCopy(copy_of(tmp_path), 20_000)
    while entries := log.entries(copy.tail, chance.randint(1, 4), chance.choice((7, 1000, 5000))):
        for entry in entries:
            copy.append(*entry)
    copy.sync()

    path = str(tmp_path / "copy")
    assert copy.tail == log.tail_offset
    assert on_disk(path) == on_disk(run)
    assert on_disk(path, INDEX) == on_disk(run, INDEX)
    assert labels(path) == labels(run)
    assert FileLog(path).lines == FileLog(run).lines
    assert len(segment_starts(f"{path}/log")) > len(segment_starts(f"{run}/log"))


def test_copy_goes_on_after_a_kill(tmp_path: Path):
    """Killed between any two writes, with records that have no bytes or half of one, it goes on the same."""
    run = make_run(tmp_path, appends(7, 100), 1 << 20)
    chance, log, path = random.Random(7), EntryLog(run), str(tmp_path / "copy")
    files = copy_of(tmp_path)
    kills = 0
    while (copy := LogCopy(files, 10_000)).tail < log.tail_offset:
        at = max(0, copy.tail - chance.randint(0, 500))  # where the engine's entry happens to begin
        for entry in log.entries(at, 3, 3000):
            copy.append(*entry)
        last, kills = segment_starts(f"{path}/log")[-1], kills + 1
        index = f"{path}/log/{segment_name(last)}{INDEX}"
        data = index.removesuffix(INDEX)
        size = os.path.getsize(data)
        if chance.random() < 0.5:  # the bytes of the last entry were not written, or some
            os.truncate(data, chance.randint(size // 2, size))
        elif chance.random() < 0.5:  # nor all of its records
            with open(index, "ab") as file:
                file.write(chance.randbytes(chance.randint(1, RECORD_BYTES - 1)))

    assert kills > 10
    assert on_disk(path) == on_disk(run)
    assert on_disk(path, INDEX) == on_disk(run, INDEX)
    assert labels(path) == labels(run)


def test_gaps_are_copied(tmp_path: Path):
    """What a cap dropped is a gap in the copy, in the middle and at the end."""
    run = make_run(tmp_path, [(OUT, b"%04d\n" % number) for number in range(200)], 100)
    starts = segment_starts(f"{run}/log")
    for start in (*starts[2:4], starts[-1]):
        os.unlink(f"{run}/log/{segment_name(start)}")
    Path(run, "log", segment_name(1000)).touch()  # the end, behind bytes for which there was no room
    log, copy = EntryLog(run), LogCopy(copy_of(tmp_path), 300)
    for entry in log.entries(0, 1000):
        copy.append(*entry)
    copy.append(100, 200, b"x" * 100, b"")  # it was here before, and is passed over
    other = FileLog(str(tmp_path / "copy"))

    assert copy.tail == other.tail_offset == log.tail_offset == 1000
    gaps = [
        [(chunk.offset, chunk.next) for offset in starts for chunk in one.read(offset).chunks
         if chunk.channel is Channel.GAP]
        for one in (FileLog(run), other)
    ]  # fmt: skip
    assert gaps[0] == gaps[1]
    assert len(gaps[0]) == 3
    assert on_disk(str(tmp_path / "copy")) == on_disk(run)


def test_nothing_beyond_the_tail(tmp_path: Path):
    """At the tail, and beyond it, there are no entries."""
    log = EntryLog(make_run(tmp_path, [(OUT, b"words\n")], 1000))

    assert [entry[:3] for entry in log.entries(2, 5)] == [(2, 6, b"rds\n")]
    assert log.entries(2, 5)[0].records == b""
    assert len(log.entries(0, 5)[0].records) == RECORD_BYTES
    assert log.entries(6, 5) == log.entries(100, 5) == []
