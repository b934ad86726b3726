"""The journal: every record that is whole and true counts, and nothing behind one that is not."""

from pathlib import Path

import pytest

from runcast.durable.journal import Journal
from runcast.durable.stream import AppendState
from runcast.wire.durable import Appending, Producer

ASKS = [
    (Appending(producer=Producer("a", 0, 0)), 5),
    (Appending(seq="x" * 1024), 9),
    (Appending(producer=Producer("é" * 256, 3, 2**53 - 1), seq="z"), 12),
    (Appending(producer=Producer("a", 0, 1), close=True), 12),
]


# The same without the room that names may take, for tests that look at each byte.
SHORT = [
    (Appending(producer=Producer("a", 0, 0)), 5),
    (Appending(seq="x" * 260), 9),  # its length has two bytes
    (Appending(producer=Producer("éé", 3, 2**53 - 1), seq="z"), 12),
    (Appending(producer=Producer("a", 0, 1), close=True), 12),
]


def written(path: Path, asks: list[tuple[Appending, int]] = ASKS) -> Journal:
    """Return a journal with all records."""
    journal = Journal(str(path))
    journal.load(0)
    for ask, end in asks:
        journal.write(ask, end)
    return journal


def loaded(path: Path, tail: int) -> AppendState:
    """Return what a journal says of a log that reaches to `tail`."""
    journal = Journal(str(path))
    known = journal.load(tail)
    journal.close()
    return known


def state(count: int, asks: list[tuple[Appending, int]] = ASKS) -> AppendState:
    """Return what the first records say."""
    known = AppendState()
    for ask, _ in asks[:count]:
        known.apply(ask)
    return known


def test_load(tmp_path: Path):
    """What was written is known again."""
    written(tmp_path / "journal").close()

    assert loaded(tmp_path / "journal", 12) == state(4)


@pytest.mark.parametrize(("tail", "count"), [(12, 4), (11, 2), (9, 2), (8, 1), (4, 0)])
def test_bytes_that_never_came(tmp_path: Path, tail: int, count: int):
    """A record whose bytes are not in the log does not count, now or when other bytes came."""
    path = tmp_path / "journal"
    written(path).close()

    assert loaded(path, tail) == state(count)
    assert loaded(path, 1000) == state(count)


def test_every_cut(tmp_path: Path):
    """A journal that is cut anywhere gives the records before the cut, and goes on from there."""
    whole = tmp_path / "whole"
    written(whole, SHORT).close()
    data = whole.read_bytes()
    seen = set()
    for size in range(len(data)):
        path = tmp_path / "cut"
        path.write_bytes(data[:size])
        journal = Journal(str(path))
        known = journal.load(1000)
        count = next(count for count in range(4, -1, -1) if known == state(count, SHORT))
        seen.add(count)
        journal.write(Appending(producer=Producer("new", 0, 0)), 13)
        journal.close()
        assert loaded(path, 1000).producers["new"] == (0, 0)
    assert seen == {0, 1, 2, 3}


def test_every_flipped_byte(tmp_path: Path):
    """A damaged record ends what is known, whichever byte of it is damaged."""
    whole = tmp_path / "whole"
    written(whole, SHORT).close()
    data = whole.read_bytes()
    for at in range(16, len(data)):
        path = tmp_path / "flipped"
        path.write_bytes(data[:at] + bytes([data[at] ^ 0x40]) + data[at + 1 :])

        assert loaded(path, 1000) in [state(count, SHORT) for count in range(4)]


def test_take_back(tmp_path: Path):
    """What was told of an append that was not made is taken back."""
    journal = written(tmp_path / "journal")
    mark = journal.size
    journal.write(Appending(producer=Producer("late", 0, 0)), 12)
    journal.truncate(mark)
    journal.close()

    assert loaded(tmp_path / "journal", 12) == state(4)


def test_shorten(tmp_path: Path):
    """A journal does not grow for ever: many records of one producer become one."""
    path = tmp_path / "journal"
    journal = Journal(str(path))
    known = journal.load(0)
    for number in range(5000):
        ask = Appending(producer=Producer("p", 0, number), seq=f"{number:05}")
        journal.compact(known, number)
        journal.write(ask, number + 1)
        known.apply(ask)
    journal.close()

    assert path.stat().st_size < 100_000
    assert loaded(path, 5000) == known
