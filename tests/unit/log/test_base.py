"""Reading a log at offsets, against a list of labelled bytes."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runcast.errors import OffsetBeyondTail, OffsetGone, UsageError
from runcast.log import Log, LogWriter, MemoryLog
from runcast.log.memory import _MemoryExtent
from runcast.model import CHUNK_BYTES, Channel, Chunk, Outcome, Reason
from runcast.testing import FilePlace, MemoryPlace, PlainLog
from tests.unit.log.disks import SECOND, ClockedMemory

OUT, ERR, DATA, GAP = Channel.STDOUT, Channel.STDERR, Channel.DATA, Channel.GAP

BYTES = st.lists(
    st.sampled_from([b"\n", b"\n", b"a", b"bc", b"\xff", b"\0", b"\r\n", b"\r", b"word "]), max_size=6
)
APPENDS = st.lists(st.tuples(st.sampled_from([OUT, ERR, DATA]), BYTES.map(b"".join)), max_size=16)
FILTERS = st.one_of(st.none(), st.sets(st.sampled_from([OUT, ERR, DATA])))
PLACES = st.lists(st.tuples(st.integers(0, 200), st.integers(1, 40), FILTERS), min_size=1, max_size=6)


def fill(writer: LogWriter, appends: list[tuple[Channel, bytes]], plain: PlainLog) -> None:
    for channel, data in appends:
        writer.append(channel, data)
        plain.append(channel, data)


def check(log: Log, plain: PlainLog, places: list[tuple[int, int, set[Channel] | None]]) -> None:
    """Ask for everything at some places and compare."""
    assert log.tail_offset == plain.tail
    assert log.lines == plain.lines_before(plain.tail)
    for at, limit, channels in places:
        offset = at % (plain.tail + 1)
        chunks, end = log.read(offset, limit, channels)
        assert offset < end or offset == plain.tail
        assert b"".join(chunk.data for chunk in chunks) == plain.data(offset, end, channels)
        assert sum(len(chunk.data) for chunk in chunks) <= limit
        for chunk in chunks:
            assert plain.channels(chunk.offset, chunk.next) == {chunk.channel}
            assert plain.data(chunk.offset, chunk.next) == chunk.data
        assert log.lines_before(offset) == plain.lines_before(offset)
        for channel in (OUT, ERR, DATA):
            assert log.lines_of(channel, offset) == plain.data(0, offset, {channel}).count(b"\n")
        assert log.offset_of_line(at) == plain.offset_of_line(at)
        assert log.offset_of_tail(limit, channels) == plain.offset_of_tail(limit, channels)


@given(st.lists(APPENDS, min_size=1, max_size=3), st.integers(1, 50), PLACES)
def test_memory(bursts: list[list[tuple[Channel, bytes]]], segment: int, places: list):
    """Whatever is appended, a log in memory answers as a list of labelled bytes does, while it grows."""
    place, plain = MemoryPlace(), PlainLog()
    writer, log = place.writer(segment_bytes=segment), place.log()
    for appends in bursts:
        fill(writer, appends, plain)
        check(log, plain, places)


@settings(max_examples=settings().max_examples // 2)
@given(st.lists(APPENDS, min_size=1, max_size=4), st.integers(1, 50), PLACES)
def test_file(memory: Path, bursts: list[list[tuple[Channel, bytes]]], segment: int, places: list):
    """So does a log in files, for a reader that stays and for a new one, over writers that die."""
    with TemporaryDirectory(dir=memory) as path:  # for one example: `tmp_path` is one for all of them
        place, plain = FilePlace(f"{path}/run"), PlainLog()
        log = place.log()
        for appends in bursts:
            writer = place.writer(segment_bytes=segment)
            fill(writer, appends, plain)
            check(log, plain, places)
            place.crash(writer)
            check(place.log(), plain, places)


@given(
    st.lists(st.tuples(st.sampled_from([OUT, ERR]), st.integers(1, 400)), max_size=40),
    st.integers(1, 3000),
    st.integers(1, 1000),
)
def test_cap(appends: list[tuple[Channel, int]], cap: int, segment: int):
    """With a cap, gaps cover exactly what is missing, and never more than the cap is kept."""
    log, plain = MemoryLog(), PlainLog()
    writer = ClockedMemory(log, segment_bytes=segment, cap_bytes=cap)
    for channel, size in appends:
        fill(writer, [(channel, bytes(n % 251 for n in range(size)))], plain)
        assert sum(len(extent.data) for extent in log._spans) <= cap

    kept = check_whole(log, plain)

    assert kept == sum(len(extent.data) for extent in log._spans)
    assert writer.truncated == (kept < plain.tail)


def check_whole(log: Log, plain: PlainLog) -> int:
    """Read everything: bytes and gaps lie side by side and are right; return how many bytes there are."""
    offset = kept = 0
    chunks: list[Chunk] = []
    while (reading := log.read(offset, 100)).next != offset:
        offset = reading.next
        chunks += reading.chunks
    assert [0, *(chunk.next for chunk in chunks)] == [*(chunk.offset for chunk in chunks), plain.tail]
    for chunk in chunks:
        if chunk.channel is GAP:
            for inside in {chunk.offset, (chunk.offset + chunk.next) // 2, chunk.next - 1}:
                with pytest.raises(OffsetGone) as gone:
                    log.check_offset(inside)
                assert gone.value.next == chunk.next
                assert log.read(inside).chunks == [chunk._replace(offset=inside)]
        else:
            log.check_offset(chunk.offset)
            kept += len(chunk.data)
            assert chunk.data == plain.data(chunk.offset, chunk.next)
            assert plain.channels(chunk.offset, chunk.next) == {chunk.channel}
    return kept


@given(
    st.lists(st.integers(0, 40), min_size=1, max_size=20),
    st.lists(st.integers(-1, 600), min_size=1),
    st.integers(1, 60),
)
def test_times(steps: list[int], asked: list[int], segment: int):
    """The offset of a time is where the first record begins that is not earlier."""
    log = MemoryLog()
    writer = ClockedMemory(log, segment_bytes=segment)
    for step in steps:
        writer.now += step * 1_000_000
        writer.append(OUT, b"12345")
    chunks = [chunk for chunk in log.read(0).chunks if chunk.data]
    while (reading := log.read(chunks[-1].next)).chunks:
        chunks += reading.chunks

    assert [chunk.time for chunk in chunks] == sorted(chunk.time for chunk in chunks)
    for time in [1_700_000_000 + at / 1000 for at in asked] + [chunk.time for chunk in chunks]:
        expected = next((chunk.offset for chunk in chunks if chunk.time >= time), log.tail_offset)
        assert log.offset_of_time(time) == expected
    for chunk in chunks:
        assert log.time_before(chunk.offset + 1) == log.time_before(chunk.next) == chunk.time
    assert log.time_before(0) == 0.0


def test_time_that_was_lost():
    """Where a record is damaged, the answer is too early rather than too late: nothing is missed."""
    log = MemoryLog()
    writer = ClockedMemory(log)
    for n in range(4):
        writer.now += SECOND
        writer.append(OUT, b"1234%d" % n)
    log._spans[0].index[2 * 32] ^= 1

    asked = log.read(15).chunks[0].time - 1

    assert log.offset_of_time(asked) == 5


def test_lines_before_what_is_not_there_yet():
    """Lines before an offset past the tail are those that there are, also when more come later."""
    place = MemoryPlace()
    writer, log = place.writer(), place.log()
    writer.append(OUT, b"one\n")
    assert log.lines_before(100) == 1

    writer.append(OUT, b"two\nthree\n")
    assert (log.lines_before(100), log.lines_before(8), log.lines) == (3, 2, 3)


@pytest.mark.parametrize(("lines", "offset"), [(0, 12), (1, 8), (2, 4), (3, 0), (9, 0)])
@pytest.mark.parametrize("end", [b"", b"\n"])
def test_tail_lines(lines: int, offset: int, end: bytes):
    """A last line counts as one, with its end or without."""
    place = MemoryPlace()
    place.writer().append(OUT, b"one\ntwo\nfour" + end)
    log = place.log()

    assert log.offset_of_tail(lines) == (offset if lines else 12 + len(end))
    assert log.offset_of_tail(lines, {OUT}) == log.offset_of_tail(lines)


def test_tail_of_a_rare_channel():
    """The last line of a channel is found behind much of another, whole blocks away."""
    place, plain = MemoryPlace(), PlainLog()
    fill(
        place.writer(), [(ERR, b"a\nb\n"), (OUT, b"x" * 100_000), (ERR, b"c\n"), (OUT, b"y" * 100_000)], plain
    )

    for lines in range(5):
        assert place.log().offset_of_tail(lines, {ERR}) == plain.offset_of_tail(lines, {ERR})


def test_long_tail_of_one_channel_among_others():
    """However many lines are asked for, and from however many small pieces, they are counted exactly."""
    place, plain = MemoryPlace(), PlainLog()
    appends = [((OUT, ERR, DATA)[n % 3], (b"a\n", b"b", b"c\nd\n", b"\n")[n % 4]) for n in range(3000)]
    fill(place.writer(), appends, plain)
    log = place.log()

    for channels in ({OUT}, {ERR}, {DATA}, {OUT, DATA}, set()):
        for lines in (1, 2, 99, 100, 600, 900, 1000, 1050, 4500):
            assert log.offset_of_tail(lines, channels) == plain.offset_of_tail(lines, channels)


def test_tail_that_was_lost():
    """Where an index is damaged, the tail of a channel begins too early rather than too late."""
    place, plain = MemoryPlace(), PlainLog()
    fill(place.writer(), [((OUT, ERR)[n % 2], b"x\n") for n in range(2000)], plain)
    log = place.log()
    for at in range(0, 32 * 2000, 32 * 50 + 1):
        log._spans[0].index[at] ^= 1

    for lines in (1, 30, 500, 900):
        for channel in (OUT, ERR, DATA):
            found = log.offset_of_tail(lines, {channel})
            shown = log.read(found, plain.tail, {channel}).chunks
            assert found == 0 or sum(chunk.data.count(b"\n") for chunk in shown) >= lines


def test_filter_that_finds_nothing_goes_on_later():
    """A filtered read over many pieces gives up for now and says where to go on."""
    place, plain = MemoryPlace(), PlainLog()
    fill(place.writer(), [(OUT if n % 2 else ERR, b"x") for n in range(10_000)] + [(DATA, b"1\n")], plain)
    log = place.log()

    first = log.read(0, CHUNK_BYTES, {DATA})
    offset, chunks, reads = first.next, first.chunks, 1
    while (reading := log.read(offset, CHUNK_BYTES, {DATA})).next != offset:
        offset, chunks, reads = reading.next, chunks + reading.chunks, reads + 1

    assert (first.chunks, 0 < first.next < 10_000) == ([], True)
    assert [chunk[:3] for chunk in chunks] == [(10_000, 10_002, DATA)]
    assert 1 < reads < 20


def test_filter_fills_a_read():
    """A filtered read gathers up to its limit, over whatever lies between."""
    place, plain = MemoryPlace(), PlainLog()
    fill(place.writer(), [(ERR if n % 10 else OUT, b"%05d" % n) for n in range(200)], plain)

    chunks, end = place.log().read(3, 42, {OUT})

    assert b"".join(chunk.data for chunk in chunks) == plain.data(3, None, {OUT})[:42]
    assert end == chunks[-1].next


def test_refusals():
    """An offset past the tail and a limit below 1 are refused in one sentence."""
    place = MemoryPlace()
    place.writer().append(OUT, b"12345")
    log = place.log()

    with pytest.raises(OffsetBeyondTail, match="expected an offset up to the tail, which is 5 now, got 6"):
        log.read(6)
    with pytest.raises(OffsetBeyondTail):
        log.read(-1)
    with pytest.raises(UsageError, match="expected a limit of 1 byte or more, got 0"):
        log.read(0, 0)


def test_lines_of_a_gap():
    """Lines that were dropped keep their numbers: those behind the gap are found, the lost are at it."""
    log, plain = MemoryLog(), PlainLog()
    writer = ClockedMemory(log, segment_bytes=100, cap_bytes=1000)
    for n in range(500):
        fill(writer, [(OUT, b"line %4d\n" % (n + 1))], plain)
    (gap,) = log.read(gap_start(log)).chunks

    assert gap.channel is GAP
    assert log.lines == 500
    for number in (1, 2, gap.offset // 10, 490, 499, 500):
        assert log.offset_of_line(number) == plain.offset_of_line(number)
    for number in (gap.offset // 10 + 2, 100, gap.next // 10 - 1):
        assert log.offset_of_line(number) == gap.offset
    assert log.offset_of_tail(499 - gap.offset // 10) == gap.offset
    assert log.offset_of_tail(3) == plain.offset_of_tail(3)


def gap_start(log: Log) -> int:
    """Return where the first gap begins."""
    offset = 0
    while (reading := log.read(offset)).chunks[0].channel is not GAP:
        offset = reading.next
    return offset


class CountingExtent(_MemoryExtent):
    """An extent that notes how many bytes were fetched from it."""

    fetched = 0

    def pread(self, offset: int, count: int) -> bytes:
        self.fetched += count
        return super().pread(offset, count)


class CountingWriter(ClockedMemory):
    """Writes a log of such extents."""

    def _begin(self, start: int) -> None:
        self._log._spans.append(CountingExtent(start))


def test_lines_of_a_lost_index_are_counted_once():
    """Lines that no index tells are counted once, not with every question."""
    log, plain = MemoryLog(), PlainLog()
    writer = CountingWriter(log, segment_bytes=200_000)
    fill(writer, [(OUT, b"x" * 99 + b"\n")] * 5_000, plain)
    for extent in log._spans:
        extent.index[:] = bytes(len(extent.index))

    assert log.lines == 5_000
    assert sum(extent.fetched for extent in log._spans) == 500_000
    for _ in range(20):
        fill(writer, [(OUT, b"y\n")], plain)
        assert log.lines == plain.lines_before(plain.tail)
    assert sum(extent.fetched for extent in log._spans) == 500_000 + 20 * 2


def test_outcome_of_a_log_that_goes_on():
    """There is none; the log is closed only when its writer closed it."""
    place = MemoryPlace()
    writer, log = place.writer(), place.log()
    assert (log.outcome, log.closed) == (None, False)

    writer.close(Outcome(Reason.EXITED, 0))

    assert (log.outcome, log.closed) == (Outcome(Reason.EXITED, 0), True)


def test_filtered_read_ends_before_a_gap():
    """A filtered read that found something ends where a gap begins; the next one tells the gap."""
    log, plain = MemoryLog(), PlainLog()
    writer = ClockedMemory(log, segment_bytes=100, cap_bytes=1000)
    for n in range(500):
        fill(writer, [(ERR if n % 2 else OUT, b"line %4d\n" % (n + 1))], plain)
    begin = gap_start(log)

    chunks, end = log.read(begin - 40, CHUNK_BYTES, {OUT})
    (gap,), after = log.read(end, CHUNK_BYTES, {OUT})

    assert b"".join(chunk.data for chunk in chunks) == plain.data(begin - 40, begin, {OUT})
    assert (end, gap.offset, gap.channel, after) == (begin, begin, GAP, gap.next)
