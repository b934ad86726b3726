"""Where replies that caches share end: at offsets that are the same for all readers.

Owns the waypoints of a log: each multiple of 64 KiB, where the bytes of each second begin by the times of the
log's own index, and the end; so each host has the same ones. Readers meet at waypoints, however they came:
from then on they request the same URLs, and a cache forwards one request for all of them. Where the last
second ends is known when a later one begins, and else a moment after it is over; a host that is behind then
ends a reply at another offset, and the next reply from there ends at a waypoint again.

Must not know requests. docs/explanation/a-million-viewers.md has the reasons and the figures.
"""

from __future__ import annotations

from runcast.log import Log

__all__ = [
    "COARSE_BYTES",
    "FINE_BYTES",
    "_LATE_SECONDS",
    "catch_up_end",
    "common_end",
    "last_waypoint",
    "next_waypoint",
    "settled",
]

FINE_BYTES = 64 * 1024  # between waypoints: what a live reply may gather
COARSE_BYTES = 4 * 1024 * 1024  # of a past that is complete, one reply has so much
_SECOND = 1.0  # the other waypoints: how long a live reply gathers, at most
_LATE_SECONDS = 0.05  # by which bytes may come after the time that their record says: it counts for 10 ms
_EVENTS_SECONDS = 60.0  # event streams end at multiples of this, and last at least half of it
_EVENTS_HALF = 0.5  # … in the middle of a second: clocks that differ a little agree on which one it is


def next_waypoint(log: Log, start: int) -> tuple[int, float]:
    """Return where a live reply from an offset ends, and in how many seconds it may be sent.

    By the times of the log alone: the clock of its writer was set when the run began, and may be off by now.

    Args:
        log: the log, which has bytes behind the offset.
        start: the offset.
    """
    tail = log.tail_offset
    line = start - start % FINE_BYTES + FINE_BYTES
    second = _second_of(log, start + 1)
    begins = log.offset_of_time(second)
    if start < begins < tail:
        return min(begins, line), 0.0
    if line <= tail:
        return line, 0.0
    return tail, present_second(log)[1]


def present_second(log: Log) -> tuple[float, float]:
    """Return when the second of a log's last byte is over, and in how many seconds its bytes are there."""
    written = log.time_before(log.tail_offset)
    over = written // _SECOND * _SECOND + _SECOND
    return over, over - written + _LATE_SECONDS


def last_waypoint(log: Log) -> int:
    """Return the last waypoint of a log: what follows may go on."""
    closed = log.closed
    tail = log.tail_offset
    if closed:
        return tail
    begins = log.offset_of_time(_second_of(log, tail) - _SECOND)
    return max(min(begins, tail), tail - tail % FINE_BYTES)


def settled(log: Log, now: float) -> int:
    """Return the last waypoint of a log, or its tail where nothing came since the second of that was over.

    Args:
        log: the log.
        now: seconds since the epoch.
    """
    tail = log.tail_offset
    return tail if now >= _second_of(log, tail) + _LATE_SECONDS else last_waypoint(log)


def catch_up_end(start: int, tail: int, *, closed: bool) -> int:
    """Return where a reply ends that has what is there.

    Args:
        start: where it begins.
        tail: how far it may reach.
        closed: whether the log ends there.
    """
    line = start - start % COARSE_BYTES + COARSE_BYTES
    if line <= tail:
        return line
    fine = tail - tail % FINE_BYTES
    return fine if fine > start and not closed else max(start, tail)


def common_end(now: float) -> float:
    """Return when event streams end, with a second of their log: others and one that begins now.

    Both times are in seconds since the epoch.
    """
    ends = (now + _EVENTS_SECONDS / 2 - _EVENTS_HALF) // _EVENTS_SECONDS * _EVENTS_SECONDS
    return ends + _EVENTS_SECONDS + _EVENTS_HALF


def _second_of(log: Log, offset: int) -> float:
    """Return when the second is over in which the byte before an offset was appended."""
    return log.time_before(offset) // _SECOND * _SECOND + _SECOND
