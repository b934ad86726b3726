"""Readers of bytes that are not on this disk: they request them, wait, and get the same as anybody else."""

import random
from itertools import count, pairwise
from pathlib import Path

import pytest

from runcast.errors import SegmentAway
from runcast.log import SEGMENT_BYTES, FileLog, Log, LogWriter
from runcast.log import fetch as fetching
from runcast.log.fetch import patient
from runcast.log.segments import segment_starts
from runcast.model import Channel
from runcast.testing import FilePlace, check_log
from tests.helpers.away import Agent, AwayLog, make_run, take

OUT, ERR = Channel.STDOUT, Channel.STDERR
APPENDS = [(ERR if n % 7 == 0 else OUT, b"line %d\n" % n) for n in range(300)]
TEXT = b"".join(data for _, data in APPENDS)


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """Where the bytes go that are taken away."""
    return tmp_path / "shelf"


@pytest.fixture
def run(tmp_path: Path) -> str:
    """A run that has ended, in segments of 256 bytes."""
    return make_run(tmp_path, APPENDS, 256)


def test_nobody_fetches(run: str, shelf: Path, monkeypatch: pytest.MonkeyPatch):
    """A reader that waits says so after a while where nobody hears it."""
    monkeypatch.setattr(fetching, "_UNHEARD_SECONDS", 0.0)
    take(run, shelf)

    with pytest.raises(SegmentAway, match="see that the store's agent runs, then read again"):
        patient(FileLog(run)).read(0)


def test_tail_needs_two_segments(tmp_path: Path, shelf: Path):
    """Of a long log that is away, a tail brings at most two segments, a line and a time at most as many."""
    run = make_run(tmp_path, [(OUT, b"%7d\n" % n) for n in range(20_000)], 4096)
    whole = FileLog(run)
    expected = whole.offset_of_tail(100), whole.offset_of_line(10_000), whole.offset_of_tail(3, [OUT])
    whole.close()
    with Agent(tmp_path, shelf) as agent:
        for number, find in enumerate(
            (
                lambda log: log.offset_of_tail(100),
                lambda log: log.offset_of_line(10_000),
                lambda log: log.offset_of_tail(3, [OUT]),
            )
        ):
            take(run, shelf)
            agent.forget()
            log = patient(FileLog(run))
            assert find(log) == expected[number]
            assert len(log.read(expected[number], 800, labelled=False).chunks) == 1
            assert 1 <= len(set(agent.asked)) <= 2


class AwayPlace(FilePlace):
    """Keeps a log in a folder, of which everything is away whenever a read begins, or often."""

    def __init__(self, path: str, shelf: Path, chance: random.Random) -> None:
        super().__init__(path)
        self._shelf, self._chance = shelf, chance

    def writer(self, *, segment_bytes: int = SEGMENT_BYTES, cap_bytes: int | None = None) -> LogWriter:
        take(self.directory.path, self._shelf)
        return super().writer(segment_bytes=segment_bytes, cap_bytes=cap_bytes)

    def log(self) -> Log:
        return patient(AwayLog(self.directory.path, self._shelf, lambda: self._chance.random() < 0.006))


@pytest.mark.slow
def test_every_promise_is_kept(tmp_path: Path, shelf: Path):
    """The log in files keeps every promise while all that can be spared of it is taken away again."""
    numbers, chance = count(), random.Random(5)
    with Agent(tmp_path, shelf) as agent:
        check_log(lambda: AwayPlace(str(tmp_path / f"{next(numbers)}"), shelf, chance))

        assert len(agent.asked) > 50


@pytest.mark.parametrize("seed", range(4))
def test_any_segments(tmp_path: Path, shelf: Path, seed: int):
    """Whichever segments are away, a reader at any offset gets the same bytes."""
    chance = random.Random(seed)
    appends = [
        (chance.choice([OUT, ERR]), chance.randbytes(chance.randrange(1, 60)) + b"\n" * chance.randrange(2))
        for _ in range(60)
    ]
    data = b"".join(part for _, part in appends)
    run = make_run(tmp_path, appends, chance.choice([64, 200, 500]))
    plain = FileLog(run)
    labels = [list(plain.read(offset, 100).chunks) for offset in range(0, len(data), 37)]
    lines = [plain.offset_of_line(number) for number in range(1, plain.lines + 2)]
    tails = [plain.offset_of_tail(number, [ERR]) for number in (1, 3, 9)]
    plain.close()
    with Agent(tmp_path, shelf):
        for _ in range(3):
            kept = {start for start in segment_starts(f"{run}/log") if chance.random() < 0.4}
            take(run, shelf, kept.__contains__)
            log = patient(FileLog(run))
            assert joined(log, chance.randrange(len(data))) == data
            take(run, shelf, kept.__contains__)
            assert [list(log.read(offset, 100).chunks) for offset in range(0, len(data), 37)] == labels
            take(run, shelf, kept.__contains__)
            assert [log.offset_of_line(number) for number in range(1, log.lines + 2)] == lines
            assert [log.offset_of_tail(number, [ERR]) for number in (1, 3, 9)] == tails


def joined(log: Log, at: int) -> bytes:
    """Return the whole log, read in two pieces that meet at an offset."""
    parts: list[bytes] = []
    for start, end in pairwise((0, at, log.tail_offset)):
        while start < end:
            reading = log.read(start, end - start)
            parts += [chunk.data for chunk in reading.chunks]
            start = reading.next
    return b"".join(parts)
