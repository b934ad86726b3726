"""Every backend passes the same check, and the check notices a backend that does not."""

from collections.abc import Callable, Collection, Sequence
from itertools import count
from pathlib import Path

import pytest

from runcast.log import SEGMENT_BYTES, Log, LogWriter, MemoryLog, MemoryLogWriter
from runcast.log.spans import Span
from runcast.model import Channel, Chunk, Outcome, Reading
from runcast.testing import FilePlace, MemoryPlace, check_log


def test_memory():
    """The log in memory keeps every promise."""
    check_log(MemoryPlace)


@pytest.mark.slow
def test_file(tmp_path: Path):
    """The log in files keeps every promise."""
    names = count()
    check_log(lambda: FilePlace(str(tmp_path / f"{next(names)}")))


class Mislabels(MemoryLog):
    """Labels the last byte of a long chunk together with what comes before, whosever it is."""

    def read(self, offset: int, limit: int = 65536, channels: Collection[Channel] | None = None) -> Reading:
        chunks, end = super().read(offset, limit, channels)
        if len(chunks) < 2:
            return Reading(chunks, end)
        first, second, *others = chunks
        longer = Chunk(first.offset, second.next, first.channel, first.time, first.data + second.data)
        return Reading([longer, *others], end)


class HidesGaps(MemoryLog):
    """Passes over what was dropped as if it had never been."""

    def read(self, offset: int, limit: int = 65536, channels: Collection[Channel] | None = None) -> Reading:
        reading = super().read(offset, limit, channels)
        return Reading([chunk for chunk in reading.chunks if chunk.channel is not Channel.GAP], reading.next)


class LateTail(MemoryLog):
    """Says that there is a byte more than there is."""

    @property
    def tail_offset(self) -> int:
        return super().tail_offset + 1


class LosesLines(MemoryLog):
    """Does not count the lines of all segments but the last."""

    def lines_before(self, offset: int) -> int:
        return sum(
            span.extent.pread(span.start, max(min(offset, span.end) - span.start, 0)).count(b"\n")
            for span in self._extents()[-1:]
        )


class ForgetsSegments(MemoryLog):
    """Keeps the newest segments only."""

    def _extents(self) -> Sequence[Span]:
        return super()._extents()[-3:]


class OutcomeCloses(MemoryLog):
    """Is closed as soon as there is an outcome, before the last words."""

    @property
    def closed(self) -> bool:
        return self.outcome is not None


class SleepsOn(MemoryLog):
    """Wakes nobody."""

    def _wake(self) -> None:
        pass


class SwapsBytes(MemoryLogWriter):
    """Turns every NUL into a blank."""

    def _write(self, data: bytes | memoryview) -> int:
        return super()._write(bytes(data).replace(b"\0", b" "))


class NeverCloses(MemoryLogWriter):
    """Takes bytes after its close."""

    def close(self, outcome: Outcome) -> None:
        super().close(outcome)
        self._closed = False


class IgnoresCap(MemoryLogWriter):
    """Keeps everything."""

    def _drop(self, start: int) -> None:
        pass


class DropsTheHead(MemoryLogWriter):
    """Keeps the tail only."""

    def _drop(self, start: int) -> None:
        super()._drop(self._log._spans[0].start)


class StandsStill(MemoryLogWriter):
    """Has a clock that goes back."""

    def _now(self) -> int:
        return 2_000_000_000_000_000_000 - super()._now()


def place_of(log: type[MemoryLog], writer: type[MemoryLogWriter]) -> Callable[[], MemoryPlace]:
    """Return what makes places with this log and this writer."""

    class Place(MemoryPlace):
        def __init__(self) -> None:
            self.kept = log()

        def writer(self, *, segment_bytes: int = SEGMENT_BYTES, cap_bytes: int | None = None) -> LogWriter:
            return writer(self.kept, segment_bytes=segment_bytes, cap_bytes=cap_bytes)

    return Place


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Mislabels, "a second between two appends|channel of bytes"),
        (HidesGaps, "where a chunk begins"),
        (LateTail, "tail offset|where reading ends"),
        (LosesLines, "lines.*: expected .*, got"),
        (ForgetsSegments, "without a hole|bytes"),
        (OutcomeCloses, "closed with an outcome: expected False, got True"),
        (SleepsOn, "woken by an append: expected True, got False"),
        (SwapsBytes, "bytes"),
        (NeverCloses, "append after close: expected LogClosed"),
        (IgnoresCap, "anything dropped|at most the cap"),
        (DropsTheHead, "head|anything dropped|cap"),
        (StandsStill, "times in order|offset of time"),
    ],
)
def test_planted_fault_is_found(fault: type[Log] | type[LogWriter], said: str):
    """A backend with one fault fails the check, and the message says which promise is broken."""
    log = fault if issubclass(fault, MemoryLog) else MemoryLog
    writer = fault if issubclass(fault, MemoryLogWriter) else MemoryLogWriter

    with pytest.raises(AssertionError, match=f"promise broken: .*({said})"):
        check_log(place_of(log, writer))
