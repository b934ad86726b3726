"""Searches in an index, damaged or not, against looking at every record."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from runcast.log import extent as extent_module
from runcast.log.extent import Extent, Piece
from runcast.log.records import RECORD_BYTES, RECORD_SPAN, Record, lines_of, pack
from runcast.model import Channel

START = 1000


class ListExtent(Extent):
    """An extent of records in a list; counts how many records were fetched."""

    def __init__(self, records: list[Record | None], size: int = 0, *, torn: bool = False) -> None:
        super().__init__(START)
        self.index = records
        self.bytes = size
        self.is_torn = torn
        self.fetched = 0

    def size(self) -> int:
        return self.bytes

    def pread(self, offset: int, count: int) -> bytes:
        return bytes(max(min(count, START + self.bytes - offset), 0))

    def record_count(self) -> int:
        return len(self.index)

    def packed(self, first: int, count: int) -> bytes:
        found = self.index[first : first + count]
        self.fetched += len(found)
        torn = b"torn" if self.is_torn and first + count > len(self.index) else b""
        return b"".join(pack(*record) if record else bytes(RECORD_BYTES) for record in found) + torn

    def torn(self) -> bool:
        return self.is_torn


CHANNELS = [Channel.STDOUT, Channel.STDERR, Channel.DATA]


@st.composite
def extents(draw: st.DrawFn) -> ListExtent:
    """Draw an extent whose index is damaged here and there, also over long ranges."""
    steps = draw(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 3)), min_size=1, max_size=60))
    records: list[Record | None] = []
    offset, lines = START, 0
    for number, (step, more) in enumerate(steps):
        records.append(Record(offset, offset * 10, lines, CHANNELS[number % 3]))
        offset, lines = offset + step, lines + more
    for first in draw(st.lists(st.integers(0, len(records) - 1), max_size=3)):
        for at in range(first, min(first + draw(st.sampled_from([1, 2, 30])), len(records))):
            records[at] = None
    return ListExtent(records, offset - START, torn=draw(st.booleans()))


def labels_by_looking(extent: ListExtent) -> list[Channel]:
    """Return the label of each byte: that of the record before it, unless damage may lie between."""
    labels = []
    for offset in range(START, START + extent.bytes):
        label = Channel.UNKNOWN
        for record in extent.index:
            if record is None:
                label = Channel.UNKNOWN
            elif record.offset <= offset:
                label = record.channel
            else:
                break
        else:
            if extent.is_torn:
                label = Channel.UNKNOWN
        labels.append(label)
    return labels


def labels_of(pieces: list[Piece], start: int, end: int) -> list[Channel]:
    """Return the label of each byte; the pieces must lie side by side from start to end."""
    assert [start, *(piece.end for piece in pieces)] == [*(piece.start for piece in pieces), end]
    return [piece.channel for piece in pieces for _ in range(piece.start, piece.end)]


@given(extents(), st.lists(st.tuples(st.integers(0, 300), st.integers(1, 300)), max_size=6))
def test_newest_label(extent: ListExtent, ranges: list[tuple[int, int]]):
    """What has the label of the last record has it by looking at every record, too."""
    expected = labels_by_looking(extent)
    for first, size in ranges:
        start, end = START + first, min(START + first + size, START + extent.bytes)
        if start < end and (label := extent.newest_label(start, end)) is not None:
            assert labels_of([label], start, end) == expected[first : first + end - start]
            assert label.channel is not Channel.UNKNOWN
            assert list(extent.pieces(start, end)) == [label]


def test_newest_label_of_lines():
    """Lines at the tail have the label of the last record, found by one fetch of the records since then."""
    extent = ListExtent([Record(START, 1, 0, Channel.STDOUT)], size=10)
    assert extent.newest_label(START, START + 10) == (START, START + 10, Channel.STDOUT, 1)
    extent.index.append(Record(START + 10, 2, 1, Channel.STDERR))
    extent.fetched = 0
    assert extent.newest_label(START + 10, START + 15) == (START + 10, START + 15, Channel.STDERR, 2)
    assert extent.newest_label(START + 15, START + 20) == (START + 15, START + 20, Channel.STDERR, 2)
    assert extent.fetched == 3
    assert extent.newest_label(START + 5, START + 15) is None
    assert extent.newest_label(START + 20, START + 20 + RECORD_SPAN) is None
    extent.is_torn = True
    assert extent.newest_label(START + 15, START + 20) is None


@given(extents(), st.lists(st.tuples(st.integers(0, 300), st.integers(1, 300)), max_size=6))
def test_pieces(extent: ListExtent, ranges: list[tuple[int, int]]):
    """Any range, asked for in any order, is labelled byte for byte as looking at every record says."""
    expected = labels_by_looking(extent)
    for first, length in ranges:
        start = START + first % extent.bytes
        end = min(start + length, START + extent.bytes)

        found = labels_of(list(extent.pieces(start, end)), start, end)

        assert found == expected[start - START : end - START]


@given(extents(), st.integers(1, 300), st.sets(st.sampled_from(CHANNELS)))
def test_parts_back(extent: ListExtent, length: int, channels: set[Channel]):
    """From the end towards the start no wanted byte is passed over, and the line feeds told are right."""
    extent_module._MANY, before = 4, extent_module._MANY  # so that an index of 60 has many parts
    try:
        end = START + min(length, extent.bytes)
        parts = list(extent.parts_back(end, channels))
    finally:
        extent_module._MANY = before
    wanted = {
        START + at
        for at, label in enumerate(labels_by_looking(extent)[: end - START])
        if label in channels or label is Channel.UNKNOWN
    }

    borders = [border for part in reversed(parts) for border in part[:2]]
    assert borders == sorted(borders)
    assert wanted <= {offset for part in parts for offset in range(part.start, part.end)}
    records = extent.index
    for part in parts:
        if part.lines is not None:
            assert part.lines == sum(
                after.lines - record.lines
                for record, after in pairwise(records)
                if record and after and part.start <= record.offset < part.end and record.channel in channels
            )


@given(extents(), st.sampled_from([0, 1, 2]), st.integers(-1, 500), st.booleans())
def test_last_before(extent: ListExtent, key: int, step: int, strict: bool):
    """The search finds the good record that looking at all of them finds."""
    for _ in range(2):  # the second time with what it remembers of the damage
        value = step if key == 2 else (START + step) * (10 if key == 1 else 1)
        fits = [
            (number, record)
            for number, record in enumerate(extent.index)
            if record is not None and (record[key] < value or (record[key] == value and not strict))
        ]

        assert extent.last_before(key, value, strict=strict) == (fits[-1] if fits else (-1, None))


def test_span():
    """What lies further behind a record than any record describes had one of its own, now lost."""
    extent = ListExtent([Record(START, 5, 0, Channel.STDERR)], RECORD_SPAN + 10)
    end = START + RECORD_SPAN

    assert list(extent.pieces(START, end + 10)) == [
        Piece(START, end, Channel.STDERR, 5),
        Piece(end, end + 10, Channel.UNKNOWN, 5),
    ]
    assert list(extent.pieces(end + 2, end + 9)) == [Piece(end + 2, end + 9, Channel.UNKNOWN, 5)]


def test_no_index():
    """Without any record every byte is there, of unknown channel and time."""
    extent = ListExtent([], 100)

    assert list(extent.pieces(START, START + 100)) == [Piece(START, START + 100, Channel.UNKNOWN, 0)]
    assert list(extent.parts_back(START + 100, {Channel.DATA})) == [(START, START + 100, None)]
    assert extent.last_before(0, 10**9) == (-1, None)


def test_grown():
    """An index that has grown since the last look is seen to its new end."""
    extent = ListExtent([Record(START, 5, 0, Channel.STDERR)], 10)
    assert labels_of(list(extent.pieces(START, START + 10)), START, START + 10) == [Channel.STDERR] * 10

    extent.index += [None] * 20
    extent.bytes = 30
    assert [piece.channel for piece in extent.pieces(START + 10, START + 30)] == [Channel.UNKNOWN]
    extent.index += [Record(START + 30 + n, 5, 0, Channel.DATA) for n in range(20)]
    extent.bytes = 50

    expected = [Channel.UNKNOWN] * 20 + [Channel.DATA] * 20
    assert labels_of(list(extent.pieces(START + 10, START + 50)), START + 10, START + 50) == expected


def test_work_of_reading():
    """Reading from end to end fetches each record a few times, however many there are."""
    count = 5000
    extent = ListExtent([Record(START + n, n, n, CHANNELS[n % 2]) for n in range(count)], count)
    for offset in range(START, START + count, 100):
        list(extent.pieces(offset, offset + 100))

    assert extent.fetched < 5 * count


def test_good_records_between_damaged_ones():
    """Two long ranges of damage, met from the right to the left, hide nothing that lies between."""
    records: list[Record | None] = [Record(START + n, n, n, CHANNELS[n % 3]) for n in range(400)]
    records[300:350] = [None] * 50
    records[50:150] = [None] * 100
    extent = ListExtent(records, 400)
    for number in (349, 149, 200):
        list(extent.pieces(START + number, START + number + 1))
        found = extent.last_before(0, START + number)[0]
        assert found == {349: 299, 149: 49, 200: 200}[number]

    assert labels_of(list(extent.pieces(START, START + 400)), START, START + 400) == labels_by_looking(extent)


def test_work_of_searching_back():
    """Records that are not wanted are fetched once, many at a time, and no part is made of them."""
    count = 20_000
    records: list[Record | None] = [Record(START + n, n, n, CHANNELS[n % 2]) for n in range(count)]
    records[100] = Record(START + 100, 100, 100, Channel.DATA)
    extent = ListExtent(records, count)

    last, rare = extent.parts_back(START + count, {Channel.DATA})

    assert (last.start, last.end, last.lines) == (START + count - 1, START + count, None)
    assert rare.start <= START + 100 < rare.end
    assert rare.lines == 1
    assert extent.fetched < 1.1 * count


def test_records_that_contradict_one_another():
    """Line feeds are not told of records that skip more bytes than one may describe, or that are damaged."""
    near = [Record(START + n, n, n, Channel.DATA) for n in range(3)]
    far = Record(START + RECORD_SPAN + 3, 3, 3, Channel.DATA)

    assert lines_of(b"".join(pack(*record) for record in near), {Channel.DATA}) == 2
    assert lines_of(b"".join(pack(*record) for record in [*near, far]), {Channel.DATA}) is None
    for at in range(RECORD_BYTES):
        packed = bytearray(b"".join(pack(*record) for record in near))
        packed[RECORD_BYTES + at] ^= 1
        assert lines_of(bytes(packed), {Channel.DATA}) is None


def test_work_of_searching_a_lost_index():
    """A search that runs into a long range of damage does not look at all of it again."""
    extent = ListExtent([*[None] * 20_000, Record(START + 10, 1, 0, Channel.STDOUT)], 20)
    for _ in range(50):
        assert extent.last_before(0, START + 5) == (-1, None)
        assert extent.last_before(0, START + 10)[0] == 20_000

    assert extent.fetched < 2 * 20_000


def test_work_of_reading_a_lost_index():
    """A long range of damage is looked at once, not again with every read behind it."""
    count = 20_000
    records: list[Record | None] = [Record(START, 1, 0, Channel.STDOUT), *[None] * count]
    extent = ListExtent(records, count)
    for offset in range(START, START + count, 100):
        list(extent.pieces(offset, offset + 100))

    assert extent.fetched < 3 * count
