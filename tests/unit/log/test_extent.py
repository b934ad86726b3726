"""Searches in an index, damaged or not, against looking at every record."""

from hypothesis import given
from hypothesis import strategies as st

from runcast.log.extent import Extent, Piece
from runcast.log.records import RECORD_SPAN, Record
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

    def records(self, first: int, count: int) -> list[Record | None]:
        found = self.index[first : first + count]
        self.fetched += len(found)
        return found

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
def test_pieces(extent: ListExtent, ranges: list[tuple[int, int]]):
    """Any range, asked for in any order, is labelled byte for byte as looking at every record says."""
    expected = labels_by_looking(extent)
    for first, length in ranges:
        start = START + first % extent.bytes
        end = min(start + length, START + extent.bytes)

        found = labels_of(list(extent.pieces(start, end)), start, end)

        assert found == expected[start - START : end - START]


@given(extents(), st.integers(1, 300))
def test_pieces_back(extent: ListExtent, length: int):
    """From the end towards the start the labels are the same ones."""
    end = START + min(length, extent.bytes)

    pieces = list(extent.pieces_back(end))[::-1]

    assert labels_of(pieces, START, end) == labels_by_looking(extent)[: end - START]


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
    assert list(extent.pieces_back(START + 100)) == [Piece(START, START + 100, Channel.UNKNOWN, 0)]
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
