"""How a log is written: records, segments, caps, and disks that are full."""

import errno
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runcast.errors import LogClosed
from runcast.log import LogWriter, MemoryLog
from runcast.log.records import RECORD_BYTES, RECORD_SPAN, Record
from runcast.model import Channel, Chunk, Outcome, Reason
from runcast.testing import PlainLog
from tests.unit.log.disks import SECOND, ClockedMemory, SmallMemory

OUT, ERR, DATA, GAP = Channel.STDOUT, Channel.STDERR, Channel.DATA, Channel.GAP
MS = SECOND // 1000
ENDED = Outcome(Reason.EXITED, 0)


def records(log: MemoryLog) -> list[Record]:
    """Return all records of a log, segment by segment."""
    found = [extent.records(0, extent.record_count()) for extent in log._spans]
    return [record for record in itertools.chain.from_iterable(found) if record]


def chunks_of(log: MemoryLog) -> list[Chunk]:
    """Return the whole log."""
    chunks, offset = [], 0
    while (reading := log.read(offset)).next != offset:
        chunks, offset = chunks + reading.chunks, reading.next
    return chunks


def test_record_at_a_change_of_channel():
    """Each change of channel has a record, an append to the same channel has none so soon."""
    log = MemoryLog()
    writer = ClockedMemory(log)
    for channel, data in [
        (OUT, b"a\n"),
        (OUT, b"b\n"),
        (ERR, b"c\n"),
        (ERR, b""),
        (ERR, b"d"),
        (OUT, b"e\n"),
    ]:
        writer.append(channel, data)

    assert [(r.offset, r.channel, r.lines) for r in records(log)] == [(0, OUT, 0), (4, ERR, 2), (7, OUT, 3)]


def test_record_after_a_while():
    """Within a channel there is a record at most every 10 ms."""
    log = MemoryLog()
    writer = ClockedMemory(log)
    begin = writer.now
    for wait in (0, 1, 5, 3, 1, 9, 30):
        writer.now += wait * MS
        writer.append(OUT, b"a")

    assert [(r.offset, (r.time_ns - begin) // MS) for r in records(log)] == [(0, 0), (4, 10), (6, 49)]


@given(st.lists(st.tuples(st.sampled_from([OUT, ERR]), st.integers(0, 150_000)), max_size=12))
def test_record_of_many_bytes(appends: list[tuple[Channel, int]]):
    """A record never describes more than 64 KiB."""
    log = MemoryLog()
    writer = ClockedMemory(log)
    for channel, size in appends:
        writer.append(channel, bytes(size))

    begins = [record.offset for record in records(log)] + [writer.tail]
    assert all(after - before <= RECORD_SPAN for before, after in itertools.pairwise(begins))
    assert writer.tail == sum(size for _, size in appends)


class InOrder(ClockedMemory):
    """Notes in which order the hooks are called."""

    def __init__(self, log: MemoryLog) -> None:
        super().__init__(log, segment_bytes=4)
        self.calls: list[str] = []

    def _begin(self, start: int) -> None:
        self.calls.append("segment")
        super()._begin(start)

    def _write_record(self, record: bytes) -> None:
        self.calls.append("record")
        super()._write_record(record)

    def _write(self, data: bytes | memoryview) -> int:
        self.calls.append(bytes(data).decode())
        return super()._write(data)


def test_record_comes_first():
    """A record is written before the bytes that it describes, and bytes fill a segment exactly."""
    writer = InOrder(MemoryLog())
    writer.append(OUT, b"ab")
    writer.append(OUT, b"cdefghi")
    writer.append(ERR, b"j")

    assert " ".join(writer.calls) == ("segment record ab cd segment record efgh segment record i record j")


def test_clock_that_goes_back():
    """A writer that goes on with a log never gives its bytes an earlier time, whatever the clock says."""
    future = 4_000_000_000 * SECOND
    log = MemoryLog()
    log_writer = type("Later", (ClockedMemory,), {"_now": LogWriter._now})(log)
    LogWriter.__init__(log_writer, time_ns=future)

    log_writer.append(OUT, b"a")

    assert records(log)[0].time_ns >= future


def test_close():
    """After the close an append is refused; a second close and a second outcome change nothing."""
    log = MemoryLog()
    writer = ClockedMemory(log)
    writer.close(ENDED)
    writer.close(Outcome(Reason.LOST))
    writer.set_outcome(Outcome(Reason.LOST))

    assert log.outcome == ENDED
    with pytest.raises(LogClosed, match="expected an open log, this one is closed"):
        writer.append(OUT, b"a")


def test_cap_keeps_head_and_tail():
    """Of a log far beyond its cap the first half is kept, and the newest of the rest."""
    log, cap = MemoryLog(), 64 * 1024
    writer = ClockedMemory(log, cap_bytes=cap)
    for n in range(30_000):
        writer.append(OUT, b"%9d\n" % n)

    head, gap, *rest = coalesced(chunks_of(log))

    assert (head[0], gap[0], rest[0][0], len(rest)) == (OUT, GAP, OUT, 1)
    assert gap[1] - head[1] >= cap * 3 // 8
    assert 300_000 - rest[0][1] >= cap * 3 // 8
    assert sum(len(extent.data) for extent in log._spans) <= cap
    assert (writer.truncated, writer.dropped) == (True, 0)


def coalesced(chunks: list[Chunk]) -> list[tuple[Channel, int]]:
    """Return (channel, offset) of each stretch of one channel."""
    return [(key, next(group).offset) for key, group in itertools.groupby(chunks, lambda c: c.channel)]


def test_cap_bounds_the_index():
    """A program that changes channel with every byte does not fill the disk with records."""
    log, cap = MemoryLog(), 64 * 1024
    writer = ClockedMemory(log, cap_bytes=cap)
    for n in range(20_000):
        writer.append(ERR if n % 2 else OUT, b"x")

    assert sum(len(extent.data) + len(extent.index) for extent in log._spans) <= 2 * cap
    assert writer.truncated
    assert log.read(0).chunks[0].data == b"x"  # the head is kept all the same


def test_cap_counts_what_an_earlier_writer_left():
    """A writer that goes on with a log drops segments of its predecessor when the cap says so."""
    from runcast.log.writer import Segment

    log = MemoryLog()
    first = ClockedMemory(log, segment_bytes=100)
    first.append(OUT, bytes(1000))
    second = ClockedMemory(log, cap_bytes=1000)
    kept = [Segment(extent.start, len(extent.data), extent.record_count()) for extent in log._spans]
    LogWriter.__init__(second, tail=1000, kept=kept, cap_bytes=1000)

    second.append(OUT, bytes(600))

    assert sum(len(extent.data) for extent in log._spans) <= 1000
    assert second.truncated


DISK = st.one_of(
    st.tuples(st.sampled_from([OUT, ERR]), st.integers(1, 300)),  # append
    st.tuples(st.just("room"), st.integers(0, 600)),
    st.tuples(st.just("wait"), st.integers(1, 300)),  # ms
)


@settings(max_examples=2 * settings().max_examples)
@given(st.lists(DISK, max_size=40), st.integers(20, 400), st.sampled_from([errno.ENOSPC, errno.EFBIG]))
def test_disk_that_is_full_now_and_then(steps: list, segment: int, error: int):
    """Whatever a disk takes: what is kept is right, what is not is an explicit gap and is counted."""
    log, plain = MemoryLog(), PlainLog()
    writer = SmallMemory(log, segment_bytes=segment)
    writer.room, writer.error = 1000, error
    tail = 0
    for what, number in steps:
        if what == "room":
            writer.room = number
        elif what == "wait":
            writer.now += number * MS
        else:
            data = bytes(n % 7 + 7 for n in range(number))
            writer.append(what, data)
            plain.append(what, data)
        assert log.tail_offset >= tail
        tail = log.tail_offset
    writer.room = 1 << 20
    writer.close(ENDED)

    assert log.tail_offset == writer.tail == plain.tail
    assert writer.lines == plain.lines_before(plain.tail)
    offset = kept = 0
    for chunk in chunks_of(log):
        assert chunk.offset == offset
        offset = chunk.next
        if chunk.channel is not GAP:
            kept += len(chunk.data)
            assert chunk.data == plain.data(chunk.offset, chunk.next)
            assert plain.channels(chunk.offset, chunk.next) == {chunk.channel}
    assert offset == plain.tail
    assert writer.dropped == plain.tail - kept


def test_full_disk_leaves_no_litter():
    """While a disk stays full, an attempt now and then leaves neither segments nor bytes behind."""
    log = MemoryLog()
    writer = SmallMemory(log)
    writer.append(OUT, b"kept\n")
    for n in range(500):
        writer.room = RECORD_BYTES * (n % 3)  # room for nothing, a header, a record as well
        writer.append(OUT, b"lost\n")
        writer.now += SECOND
    writer.room = 1 << 20
    writer.append(OUT, b"kept again\n")

    assert [(chunk.channel, chunk.next) for chunk in chunks_of(log)] == [(OUT, 5), (GAP, 2505), (OUT, 2516)]
    assert len(log._spans) == 2
    assert log.lines == 502


def test_full_disk_is_not_asked_with_every_append():
    """A full disk is asked again after 100 ms, not sooner."""
    log = MemoryLog()
    writer = SmallMemory(log)
    writer.room = 0
    writer.append(OUT, b"lost")
    writer.room = 1 << 20
    writer.now += 50 * MS
    writer.append(OUT, b"lost")
    writer.now += 60 * MS
    writer.append(OUT, b"kept")

    assert writer.dropped == 8
    assert [(chunk.offset, chunk.data) for chunk in chunks_of(log)] == [(0, b""), (8, b"kept")]


def test_lost_bytes_do_not_count_for_the_cap():
    """What a full disk swallowed is not kept, so nothing that is kept is dropped for it."""
    log = MemoryLog()
    writer = SmallMemory(log, cap_bytes=10_000)
    writer.append(OUT, b"head")
    writer.room = 0
    writer.append(OUT, bytes(100_000))
    writer.room = 1 << 20
    writer.now += SECOND
    writer.append(OUT, b"tail")

    assert [chunk.data for chunk in chunks_of(log)] == [b"head", b"", b"tail"]
    assert not writer.truncated


def test_file_that_may_not_grow():
    """Where one file reaches its limit (RLIMIT_FSIZE), the next one takes what follows."""
    log = MemoryLog()
    writer = SmallMemory(log)
    writer.error = errno.EFBIG
    writer.room = 2 * RECORD_BYTES + 10
    with_limit = writer._begin

    def begin(start: int) -> None:
        writer.room = 2 * RECORD_BYTES + 10
        with_limit(start)

    writer._begin = begin
    writer.append(OUT, b"0123456789" * 5)

    assert writer.dropped == 0
    assert b"".join(chunk.data for chunk in chunks_of(log)) == b"0123456789" * 5
    assert len(log._spans) == 5


def test_file_that_may_not_even_begin():
    """A limit of zero loses bytes and nothing else: no endless attempt."""
    log = MemoryLog()
    writer = SmallMemory(log)
    writer.append(OUT, b"kept")
    writer.error, writer.room = errno.EFBIG, 0
    writer.append(OUT, b"lost")
    writer.close(ENDED)

    assert (writer.dropped, log.closed, log.outcome) == (4, True, ENDED)
    assert [chunk.data for chunk in chunks_of(log)] == [b"kept"]


def test_other_errors_are_raised():
    """An error that no full disk explains is raised, and the log can still be closed."""
    log = MemoryLog()
    writer = SmallMemory(log)
    writer.error, writer.room = errno.EBADF, 0
    with pytest.raises(OSError, match="Bad file descriptor"):
        writer.append(OUT, b"a")

    writer.close(ENDED)
    assert log.closed
