"""Entries of a log: where their records end, and what one of a line takes."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from runcast.log.entries import EntryLog, count_before
from runcast.log.records import pack, unpack
from runcast.model import Channel
from runcast.testing import FilePlace
from tests.helpers.counted_calls import FILE_CALLS, built_in_calls

OUT = Channel.STDOUT


@given(
    st.lists(st.tuples(st.integers(0, 60), st.sampled_from([b"", b"", b"\xff", b"\0" * 8])), max_size=40),
    st.integers(0, 2000),
)
def test_records_before_an_offset(steps: list[tuple[int, bytes]], offset: int):
    """The records before the first good one from an offset on are counted, whichever are damaged."""
    at, data = 0, bytearray()
    for step, damage in steps:
        at += step
        record = bytearray(pack(at, 0, 0, Channel.STDOUT))
        record[: len(damage)] = damage
        data += record
    records = unpack(bytes(data))
    expected = next((n for n, one in enumerate(records) if one and one.offset >= offset), len(records))

    assert count_before(bytes(data) + b"torn", offset) == expected


def test_entries_of_lines(tmp_path: Path):
    """What is appended is an entry that takes two reads, and no look at anything else."""
    place = FilePlace(str(tmp_path / "run"))
    writer = place.writer()
    writer.append(OUT, b"first\n")
    log = EntryLog(str(tmp_path / "run"))
    assert [one.data for one in log.entries(0, 8)] == [b"first\n"]
    assert (log.entries(writer.tail, 8), log.listed_anew) == ([], True)
    for number in range(3):
        at = writer.tail
        writer.append(OUT, b"%d\n" % number)
        found: list[bytes] = []

        def ship(at: int = at, found: list[bytes] = found) -> None:
            found.extend(one.data for one in log.entries(at, 8))
            assert not log.listed_anew

        took = built_in_calls(ship)
        assert found == [b"%d\n" % number]
        assert {name: took[name] for name in took.keys() & FILE_CALLS} == {"pread": 2}


def test_entries_behind_a_new_segment(tmp_path: Path):
    """The rest of a segment that is the newest no more comes without a look for others, the next with it."""
    place = FilePlace(str(tmp_path / "run"))
    writer = place.writer(segment_bytes=10)
    writer.append(OUT, b"first\n")
    log = EntryLog(str(tmp_path / "run"))
    at = log.entries(0, 8)[-1].end
    writer.append(OUT, b"rest")
    writer.append(OUT, b"next\n")

    [rest] = log.entries(at, 8)
    assert (rest.data, log.listed_anew) == (b"rest", False)
    assert [(one.start, one.data) for one in log.entries(rest.end, 8)] == [(10, b"next\n")]
    assert log.listed_anew
