"""Where shared replies end: readers who come from anywhere end at the same offsets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runcast.log import MemoryLog
from runcast.model import Channel, Outcome, Reason
from runcast.web.api.durable.waypoints import (
    COARSE_BYTES,
    FINE_BYTES,
    catch_up_end,
    common_end,
    last_waypoint,
    next_waypoint,
    present_second,
    settled,
)
from tests.unit.log.disks import SECOND, ClockedMemory

OUT = Channel.STDOUT
BEGIN = 1_700_000_000


def written(*steps: tuple[float, int]) -> tuple[MemoryLog, ClockedMemory]:
    """Return a log with so many bytes, each time so many seconds after the last."""
    log = MemoryLog()
    writer = ClockedMemory(log)
    for seconds, size in steps:
        writer.now += round(seconds * SECOND)
        writer.append(OUT, bytes(size))
    return log, writer


@given(
    st.lists(st.tuples(st.floats(0, 1.5), st.integers(1, FINE_BYTES)), min_size=2, max_size=20),
    st.data(),
)
def test_readers_meet(steps: list[tuple[float, int]], data: st.DataObject):
    """The reply from any offset before a waypoint, and behind the one before it, ends at that waypoint."""
    log, _ = written(*steps)
    first = data.draw(st.integers(0, log.tail_offset - 1))
    end, wait = next_waypoint(log, first)
    second = data.draw(st.integers(first, end - 1))

    assert first < end <= log.tail_offset
    assert next_waypoint(log, second)[0] == end
    assert (wait == 0.0) == (
        end % FINE_BYTES == 0 or log.time_before(end + 1) // 1 > log.time_before(end) // 1
    )


def test_second_that_is_not_over():
    """What came in a second waits for its end, and a moment; then it ends where the next one begins."""
    log, writer = written((0.25, 10), (0.5, 5))
    assert next_waypoint(log, 0) == (15, pytest.approx(0.3))
    assert present_second(log) == (BEGIN + 1, pytest.approx(0.3))
    assert last_waypoint(log) == 0
    writer.now += SECOND
    writer.append(OUT, b"x")
    assert next_waypoint(log, 0) == next_waypoint(log, 14) == (15, 0.0)
    assert last_waypoint(log) == 15


def test_64_kib():
    """What comes faster ends at each 64 KiB, however much there is behind it."""
    log, _ = written((0.25, FINE_BYTES), (0.0, FINE_BYTES), (0.0, 7))
    assert next_waypoint(log, 0) == next_waypoint(log, 100) == (FINE_BYTES, 0.0)
    assert next_waypoint(log, FINE_BYTES) == (2 * FINE_BYTES, 0.0)
    assert next_waypoint(log, 2 * FINE_BYTES) == (2 * FINE_BYTES + 7, pytest.approx(0.8))
    assert last_waypoint(log) == 2 * FINE_BYTES


def test_end():
    """The end of a closed log is a waypoint, in whatever second."""
    log, writer = written((0.25, 10))
    assert last_waypoint(log) == 0
    writer.set_outcome(Outcome(Reason.EXITED, 0))
    writer.close(Outcome(Reason.EXITED, 0))
    assert last_waypoint(log) == settled(log, BEGIN) == 10


def test_silence():
    """When the last second is over, all is settled; until then, what came before it."""
    log, _ = written((0.25, 10), (1.0, 5))
    assert settled(log, BEGIN + 1.5) == settled(log, BEGIN + 2.04) == 10
    assert settled(log, BEGIN + 2.06) == 15


def test_nothing_there():
    """An empty log is settled, and has its waypoint at the start."""
    log, _ = written()
    assert (last_waypoint(log), settled(log, BEGIN)) == (0, 0)


@pytest.mark.parametrize(
    ("start", "tail", "closed", "end"),
    [
        (0, 0, False, 0),
        (0, 100, False, 100),
        (0, FINE_BYTES + 100, False, FINE_BYTES),
        (FINE_BYTES, FINE_BYTES + 100, False, FINE_BYTES + 100),
        (5, 7 * FINE_BYTES + 100, False, 7 * FINE_BYTES),
        (0, 2 * COARSE_BYTES + 100, False, COARSE_BYTES),
        (COARSE_BYTES + 3, 2 * COARSE_BYTES + 100, False, 2 * COARSE_BYTES),
        (0, 7 * FINE_BYTES + 100, True, 7 * FINE_BYTES + 100),
        (5, COARSE_BYTES + 100, True, COARSE_BYTES),
        (100, 50, False, 100),  # of a reader who was given more than what has settled
    ],
)
def test_catch_up(start: int, tail: int, closed: bool, end: int):
    """The past comes in up to 4 MiB, to a multiple of that; the rest to one of 64 KiB, then to the tail."""
    assert catch_up_end(start, tail, closed=closed) == end


@pytest.mark.parametrize(
    ("now", "end"), [(0.0, 60.5), (30.4, 60.5), (30.5, 120.5), (60.5, 120.5), (89.9, 120.5), (90.5, 180.5)]
)
def test_common_end(now: float, end: float):
    """Events that begin at any time within a minute end at the same time, in 30 to 90 seconds."""
    assert common_end(BEGIN // 60 * 60 + now) == BEGIN // 60 * 60 + end
