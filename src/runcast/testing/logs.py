"""The conformance check of a log backend.

Owns the list of promises that every backend keeps, one function each. The checks use small logs and
try every offset, so a backend over a network can be checked, too. A failure is an AssertionError
with the promise, the expected value and the actual one.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection
from functools import partial

from runcast.errors import LogClosed, OffsetBeyondTail, OffsetGone, RuncastError, UsageError
from runcast.log import Log, LogWriter
from runcast.model import Channel, Chunk, Outcome, Reason
from runcast.testing.places import LogPlace
from runcast.testing.plain import PlainLog

__all__ = ["check_log"]

_OUT, _ERR, _DATA = Channel.STDOUT, Channel.STDERR, Channel.DATA
_FILTERS: tuple[frozenset[Channel] | None, ...] = (
    None,
    frozenset({_OUT}),
    frozenset({_ERR, _DATA}),
    frozenset(),
)
_APPENDS = [
    (_OUT, b"one\ntwo\n"),
    (_ERR, b"warning: \xff\x00 "),
    (_OUT, b""),
    (_ERR, b"ends here\n"),
    (_DATA, b'{"a": 1}\n'),
    (_OUT, b"\n\n"),
    (_OUT, b"no end"),
]
_ENDED = Outcome(Reason.EXITED, 3, message="done", value={"a": [1]}, ended_at=1.5)


def check_log(factory: Callable[[], LogPlace]) -> None:
    """Check that a log backend keeps the promises of every backend.

    Args:
        factory: called for each check, returns a new and empty place; see `LogPlace`.

    Raises:
        AssertionError: a promise is broken; the message names it.
    """
    for check in _CHECKS:
        try:
            check(factory())
        except (AssertionError, RuncastError, ArithmeticError, LookupError, TypeError, ValueError) as error:
            promise = (check.__doc__ or "").split("\n")[0]
            raise AssertionError(f"promise broken: {promise} {type(error).__name__}: {error}") from error


def _same(what: str, expected: object, got: object) -> None:
    if expected != got:
        raise AssertionError(f"{what}: expected {expected!r}, got {got!r}")


def _refused(what: str, error: type[RuncastError], call: Callable[[], object]) -> RuncastError:
    try:
        got = call()
    except error as raised:
        return raised
    raise AssertionError(f"{what}: expected {error.__name__}, got {got!r}")


def _later(writer: LogWriter, seconds: float = 1.0) -> None:
    """Advance the clock of the writer, so that its next bytes get a new record."""
    writer._clock_offset += int(seconds * 1e9)


def _fill(writer: LogWriter, plain: PlainLog, appends: Collection[tuple[Channel, bytes]] = _APPENDS) -> None:
    for channel, data in appends:
        writer.append(channel, data)
        plain.append(channel, data)


def _read_all(
    log: Log, offset: int = 0, limit: int = 65536, channels: Collection[Channel] | None = None
) -> list[Chunk]:
    """Read from an offset to the tail; check that each read keeps its limit and advances."""
    chunks: list[Chunk] = []
    while (reading := log.read(offset, limit, channels)).next != offset:
        size = sum(len(chunk.data) for chunk in reading.chunks)
        if size > limit:
            raise AssertionError(f"read({offset}, {limit}): expected at most {limit} bytes, got {size}")
        _same(f"read({offset}, {limit}): does next move on", True, reading.next > offset)
        chunks += reading.chunks
        offset = reading.next
    _same("chunks of a read at the tail", [], reading.chunks)
    _same("where reading ends", log.tail_offset, offset)
    return chunks


def _check_reads(log: Log, plain: PlainLog) -> None:
    """Read at every offset, with several limits and filters, and from end to end, and compare."""
    _same("tail offset", plain.tail, log.tail_offset)
    for channels in _FILTERS:
        for limit in (1, 7, 65536):
            for offset in range(plain.tail + 1):
                log.check_offset(offset)
                _check_read(log, plain, offset, limit, channels)
            data = b"".join(chunk.data for chunk in _read_all(log, 0, limit, channels))
            _same(f"all bytes of {_names(channels)}, {limit} at a time", plain.data(0, None, channels), data)


def _check_read(
    log: Log, plain: PlainLog, offset: int, limit: int, channels: Collection[Channel] | None
) -> None:
    where = f"read({offset}, {limit}, {_names(channels)})"
    chunks, end = log.read(offset, limit, channels)
    _same(f"{where}: does next move on", offset < plain.tail, end > offset)
    _same(f"{where}: bytes", plain.data(offset, end, channels), b"".join(chunk.data for chunk in chunks))
    for chunk in chunks:
        _same(f"{where}: next of a chunk", chunk.offset + len(chunk.data), chunk.next)
        labels = plain.channels(chunk.offset, chunk.next)
        _same(f"{where}: channel of bytes {chunk.offset} to {chunk.next}", labels, {chunk.channel})
    if channels is None:
        begins = [chunk.offset for chunk in chunks] + [end]
        _same(f"{where}: without a hole", [offset] + [chunk.next for chunk in chunks], begins)


def _names(channels: Collection[Channel] | None) -> str:
    return "all channels" if channels is None else " and ".join(sorted(channels)) or "no channel"


def _check_places(log: Log, plain: PlainLog) -> None:
    """Look up every line and every tail, and compare."""
    lines = plain.lines_before(plain.tail)
    _same("lines", lines, log.lines)
    for offset in range(plain.tail + 1):
        _same(f"lines before {offset}", plain.lines_before(offset), log.lines_before(offset))
    for number in range(lines + 4):
        _same(f"offset of line {number}", plain.offset_of_line(number), log.offset_of_line(number))
        for channels in _FILTERS:
            _same(
                f"offset of the last {number} lines of {_names(channels)}",
                plain.offset_of_tail(number, channels),
                log.offset_of_tail(number, channels),
            )


def _empty(place: LogPlace) -> None:
    """An empty log has tail offset 0, no lines, nothing to read, and is not closed."""
    writer, log = place.writer(), place.log()
    writer.append(_OUT, b"")
    _check_reads(log, PlainLog())
    _check_places(log, PlainLog())
    _same("offset of a time", 0, log.offset_of_time(1e9))
    _same("outcome", None, log.outcome)
    _same("closed", False, log.closed)
    writer.close(_ENDED)
    _same("closed", True, log.closed)
    _same("bytes of a log that was closed empty", [], _read_all(place.log()))


def _bytes(place: LogPlace) -> None:
    """Appended bytes are read at any offset, in order, with their channel; lines are found."""
    writer, plain, early = place.writer(), PlainLog(), place.log()
    _same("read before the first append", [], _read_all(early))
    for append in _APPENDS:
        _fill(writer, plain, [append])
        _same("bytes right after an append", plain.data(), b"".join(c.data for c in _read_all(early)))
    _check_reads(early, plain)
    _check_places(place.log(), plain)
    _same("tail and lines of the writer", (plain.tail, early.lines), (writer.tail, writer.lines))


def _segments(place: LogPlace) -> None:
    """Where one segment ends and the next begins makes no difference to a reader."""
    writer, plain, log = place.writer(segment_bytes=16), PlainLog(), place.log()
    _fill(writer, plain, _APPENDS * 2)
    _check_reads(log, plain)
    _check_places(place.log(), plain)


def _long(place: LogPlace) -> None:
    """One long append is read back whole, and so are many small ones that alternate."""
    writer, plain, log = place.writer(), PlainLog(), place.log()
    chance = random.Random(1)
    _fill(writer, plain, [(_ERR, b"a line of some length\n" * 4_000), (_OUT, b"x" * 70_000)])
    _fill(writer, plain, [(_OUT if n % 2 else _ERR, b"%d\n" % n) for n in range(1000)])
    for limit in (1000, 65536):
        chunks = _read_all(log, 0, limit)
        _same("bytes", plain.data(), b"".join(chunk.data for chunk in chunks))
        for chunk in chunks:
            labels = plain.channels(chunk.offset, chunk.next)
            _same(f"channel of bytes {chunk.offset} to {chunk.next}", labels, {chunk.channel})
    for channels in _FILTERS[1:]:
        got = b"".join(chunk.data for chunk in _read_all(log, 0, 65536, channels))
        _same(f"bytes of {_names(channels)}", plain.data(0, None, channels), got)
    for number in [1, 2, 4000, 4001, *chance.sample(range(5000), 20)]:
        _same(f"offset of line {number}", plain.offset_of_line(number), log.offset_of_line(number))
    for offset in chance.sample(range(plain.tail), 20):
        _same(f"lines before {offset}", plain.lines_before(offset), log.lines_before(offset))


def _times(place: LogPlace) -> None:
    """Times never decrease, and the offset of a time is where the first bytes of that time or later are."""
    writer, log = place.writer(segment_bytes=40), place.log()
    for n in range(12):
        writer.append(_ERR if n % 3 else _OUT, b"number %d\n" % n)
        _later(writer)
    chunks = _read_all(log)
    times = [chunk.time for chunk in chunks]
    _same("times in order", sorted(times), times)
    _same("a second between two appends", 12, len({round(time) for time in times}))
    for time in [times[0] - 5, times[-1] + 5, *times, *(time + 0.5 for time in times)]:
        expected = next((chunk.offset for chunk in chunks if chunk.time >= time), log.tail_offset)
        _same(f"offset of time {time}", expected, log.offset_of_time(time))


def _refusals(place: LogPlace) -> None:
    """An invalid offset or limit is refused."""
    writer, log = place.writer(), place.log()
    writer.append(_OUT, b"12345")
    for offset in (-1, 6, 10**19):
        _refused(f"read({offset})", OffsetBeyondTail, partial(log.read, offset))
        error = _refused(f"check_offset({offset})", OffsetBeyondTail, partial(log.check_offset, offset))
        _same("tail of the error", 5, getattr(error, "tail", None))
    for limit in (0, -1):
        _refused(f"limit {limit}", UsageError, partial(log.read, 0, limit))


def _ending(place: LogPlace) -> None:
    """An outcome is set once; the log accepts appends until it is closed, and none after that."""
    writer, log = place.writer(), place.log()
    writer.append(_OUT, b"words\n")
    writer.set_outcome(_ENDED)
    writer.set_outcome(Outcome(Reason.LOST))
    _same("outcome once set", _ENDED, log.outcome)
    _same("closed with an outcome", False, log.closed)
    writer.append(_OUT, b"last words\n")
    writer.close(Outcome(Reason.LOST))
    writer.close(Outcome(Reason.LOST))
    _same("closed", True, log.closed)
    for reader in (log, place.log()):
        _same("outcome", _ENDED, reader.outcome)
        _same("bytes", b"words\nlast words\n", b"".join(chunk.data for chunk in _read_all(reader)))
    _refused("append after close", LogClosed, lambda: writer.append(_OUT, b"more"))


def _readers(place: LogPlace) -> None:
    """Readers do not disturb each other or the writer, and may close and read again."""
    writer, plain = place.writer(segment_bytes=30), PlainLog()
    readers = [place.log() for _ in range(3)]
    got = [b""] * 3
    offsets = [0] * 3
    for turn, append in enumerate(_APPENDS * 6):
        _fill(writer, plain, [append])
        one = turn % 3
        reading = readers[one].read(offsets[one], 7)
        got[one] += b"".join(chunk.data for chunk in reading.chunks)
        offsets[one] = reading.next
        if turn % 4 == 0 and place.durable:
            readers[one].close()
    for one, log in enumerate(readers):
        rest = b"".join(chunk.data for chunk in _read_all(log, offsets[one]))
        _same(f"all bytes, for reader {one}", plain.data(), got[one] + rest)


def _waking(place: LogPlace) -> None:
    """Subscribers are woken by each append and by the end; other logs name paths to watch."""
    writer, log = place.writer(), place.log()
    calls: list[int] = []
    end = log.subscribe(lambda: calls.append(1))
    if end is None:
        _same("anything to watch", True, bool(log.watch_paths()))
        writer.close(_ENDED)
        return
    for what, act in {
        "an append": partial(writer.append, _OUT, b"a"),
        "the outcome": partial(writer.set_outcome, _ENDED),
        "the close": partial(writer.close, _ENDED),
    }.items():
        before = len(calls)
        act()
        _same(f"woken by {what}", True, len(calls) > before)
    end()
    end()


def _cap(place: LogPlace) -> None:
    """A cap keeps head and tail; dropped bytes are an explicit gap, never a silent hole."""
    cap = 16 * 1024
    writer, plain, log = place.writer(cap_bytes=cap), PlainLog(), place.log()
    for n in range(4000):
        _fill(writer, plain, [(_ERR if n % 100 == 0 else _OUT, b"line %6d of many\n" % n)])
        if n % 500 == 0:
            _check_gaps(log, plain)
    gaps = _check_gaps(log, plain)
    kept = plain.tail - sum(gap.next - gap.offset for gap in gaps)
    _same("anything dropped", (True, True), (bool(gaps), writer.truncated))
    _same(f"at most the cap is kept ({kept} bytes)", True, cap // 2 <= kept <= cap)
    _same("the head is kept", True, gaps[0].offset >= cap // 4)
    _same("the tail is kept", True, plain.tail - gaps[-1].next >= cap // 8)
    _same("lines, dropped ones included", 4000, log.lines)
    lost = gaps[0].offset + 100
    number = plain.lines_before(lost) + 1
    _same("where a dropped line is looked for", gaps[0].offset, log.offset_of_line(number))
    _same("a line behind the gap", plain.offset_of_line(3999), log.offset_of_line(3999))
    _same("the last 2 lines", plain.offset_of_tail(2), log.offset_of_tail(2))


def _check_gaps(log: Log, plain: PlainLog) -> list[Chunk]:
    """Read a log that has gaps: gaps and bytes cover everything, and the bytes are right."""
    offset, gaps = 0, []
    for chunk in _read_all(log):
        _same("where a chunk begins", offset, chunk.offset)
        offset = chunk.next
        if chunk.channel is Channel.GAP:
            gaps.append(chunk)
            _same("bytes of a gap", b"", chunk.data)
            for inside in (chunk.offset, chunk.next - 1):
                error = _refused(f"offset {inside}", OffsetGone, partial(log.check_offset, inside))
                _same(f"where to go on from {inside}", chunk.next, getattr(error, "next", None))
        else:
            _same(f"bytes at {chunk.offset}", plain.data(chunk.offset, chunk.next), chunk.data)
            log.check_offset(chunk.offset)
    filtered = [chunk for chunk in _read_all(log, channels={_DATA}) if chunk.channel is Channel.GAP]
    _same("gaps of a filtered read", gaps, filtered)
    return gaps


def _crash(place: LogPlace) -> None:
    """Bytes appended before a crash remain, and another writer continues behind them."""
    if not place.durable:
        return
    plain, log = PlainLog(), place.log()
    for turn in range(4):
        writer = place.writer(segment_bytes=64)
        _same("where a new writer goes on", plain.tail, writer.tail)
        _same("lines before it", plain.lines_before(plain.tail), writer.lines)
        if turn != 2:  # a writer that dies before its first append leaves no trace
            _fill(writer, plain, _APPENDS[:4])
            _later(writer, 3600)
            _fill(writer, plain, [(_ERR, b"an hour later\n")])
        place.crash(writer)
        for reader in (log, place.log()):
            _same("outcome after a crash", None, reader.outcome)
            _same("closed after a crash", False, reader.closed)
            _same("bytes after a crash", plain.data(), b"".join(chunk.data for chunk in _read_all(reader)))
    times = [chunk.time for chunk in _read_all(log)]
    _same("times in order over several writers", sorted(times), times)
    _check_reads(log, plain)
    _check_places(log, plain)
    place.writer().close(_ENDED)
    _same("closed by the last writer", (True, _ENDED), (log.closed, log.outcome))


# The quick ones first, which find most faults.
_CHECKS: tuple[Callable[[LogPlace], None], ...] = (
    _empty,
    _refusals,
    _ending,
    _waking,
    _times,
    _bytes,
    _readers,
    _cap,
    _segments,
    _long,
    _crash,
)
