"""The writing end of a log: appends, the records of the index, segments and the cap.

Owns the invariants of the format (records.py): a record precedes the bytes it describes; there is
one at every change of channel, and otherwise at most one per 10 ms or 64 KiB; times never decrease;
nothing is rewritten. Bytes that cannot be written (a full disk) are counted, and the log continues
behind a gap. A backend implements the methods that store bytes. There is one writer at a time: the
holder of the run's lock.
"""

from __future__ import annotations

import errno
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

from runcast import loggers
from runcast.errors import LogClosed
from runcast.log.records import RECORD_BYTES, RECORD_SPAN, count_lines, pack
from runcast.model import CAP_BYTES, Channel, Outcome

__all__ = ["CAP_BYTES", "SEGMENT_BYTES", "LogWriter", "Segment"]

SEGMENT_BYTES = 64 * 1024 * 1024  # most runs have exactly one; a cap drops whole ones
_CAP_PARTS = 32  # segments in a cap: the disk use exceeds the cap by at most one of them
_LEAST_BYTES = 4096  # a block of the file system: smaller segments would only make more files
_FEW_BYTES = 4096  # of a line that is written by itself
_RECORD_NS = 10_000_000  # between records: one per line would double the size of small writes
_RETRY_NS = 100_000_000  # between attempts to write to a full disk
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})


class Segment(NamedTuple):
    """A segment that is finished and kept: where it begins, its bytes, the records of its index."""

    start: int
    size: int
    records: int

    @property
    def cost(self) -> int:
        """The size that the cap counts: that of the bytes, or of the index if it is larger."""
        return max(self.size, self.records * RECORD_BYTES)


class LogWriter(ABC):
    """Appends to one log.

    Args:
        tail: the offset to continue from; 0 for a new log.
        lines: line feeds before it.
        time_ns: time of the last record before it, in nanoseconds since the epoch.
        kept: the segments before it.
        segment_bytes: size at which a new segment is begun.
        cap_bytes: total to keep, head and tail; None for no bound.
    """

    def __init__(
        self,
        *,
        tail: int = 0,
        lines: int = 0,
        time_ns: int = 0,
        kept: Sequence[Segment] = (),
        segment_bytes: int = SEGMENT_BYTES,
        cap_bytes: int | None = CAP_BYTES,
    ) -> None:
        self.name = "a log"  # for messages
        self.tail = tail
        self.lines = lines
        self.dropped = 0
        self.truncated = False
        self._cap = cap_bytes
        self._segment_bytes = segment_bytes
        if cap_bytes is not None:
            least = min(cap_bytes // 4, _LEAST_BYTES)
            self._segment_bytes = min(segment_bytes, max(cap_bytes // _CAP_PARTS, least, 1))
        self._old = list(kept)
        self._old_cost = sum(segment.cost for segment in self._old)
        self._segment: int | None = None  # where the open one begins, its bytes and records
        self._size = self._records = self._lines_before = 0
        self._full = False  # the open one takes no more: RLIMIT_FSIZE
        self._channel: Channel | None = None
        self._record = 0  # offset and time of the last record
        self._record_ns = time_ns
        self._gap = False  # bytes were lost since the last append
        self._plain_until = 0  # the offset up to which an append may need no record, no segment and no care
        self._unsure = False  # an append was interrupted by an exception from outside
        self._retry_ns = 0
        self._has_outcome = self._closed = False
        # The wall clock is read once, then the monotonic clock: a clock that is set neither reorders
        # the index nor changes the duration of a run.
        self._clock_offset = max(time.time_ns(), time_ns) - time.monotonic_ns()

    @abstractmethod
    def _begin(self, start: int) -> None:
        """Begin a segment at `start`; its index has its header when this returns."""

    @abstractmethod
    def _write_record(self, record: bytes) -> None:
        """Append one record to the open segment's index."""

    @abstractmethod
    def _write(self, data: bytes | memoryview) -> int:
        """Append bytes to the open segment; return how many were written, at least one."""

    @abstractmethod
    def _drop(self, start: int) -> None:
        """Remove the finished segment that begins at `start`."""

    def _catch_up(self) -> None:  # noqa: B027
        """Count the bytes of an append that was interrupted. For backends whose writes can be."""

    def _mark(self, start: int) -> None:
        """Set the end of the log to `start`, behind bytes that were lost at the very end."""
        self._begin(start)

    @abstractmethod
    def _store_outcome(self, outcome: Outcome) -> None:
        """Make the log so far and then the outcome durable."""

    @abstractmethod
    def _release(self) -> None:
        """Release the log, which closes it."""

    def append(self, channel: Channel, data: bytes) -> None:
        """Append bytes of one channel; those that cannot be written are counted in `dropped`.

        Raises:
            LogClosed: the log was closed.
        """
        if self._closed:
            raise LogClosed("expected an open log, this one is closed: nothing more can be appended")
        now = self._now()
        size = len(data)
        if (
            self.tail + size <= self._plain_until
            and channel is self._channel
            and now - self._record_ns < _RECORD_NS
            and 0 < size < _FEW_BYTES
        ):  # most lines: in as few steps as there can be
            try:
                taken = self._write(data)
                self.tail += taken
                self._size += taken
                if taken == size:
                    self.lines += data.count(b"\n")
                    return
                self.lines += data.count(b"\n", 0, taken)
                data = data[taken:]
            except OSError as error:
                if error.errno not in _FULL:
                    raise
            except BaseException:  # a signal handler raised: some bytes may be written but not counted
                self._plain_until, self._unsure = 0, True
                raise
        if size <= RECORD_SPAN:
            self._append(channel, data, now)
        else:
            view = memoryview(data)
            for start in range(0, size, RECORD_SPAN):
                self._append(channel, bytes(view[start : start + RECORD_SPAN]), self._now())

    def append_whole(self, channel: Channel, data: bytes) -> None:
        """Append bytes of one channel, all of them or none, and into one segment.

        For streams, whose appends must be neither lost silently nor stored in part: if writing fails,
        the log is restored. The caller must keep readers from seeing a part meanwhile.

        Raises:
            LogClosed: the log was closed.
            OSError: writing failed.
        """
        if self._closed:
            raise LogClosed("expected an open log, this one is closed: nothing more can be appended")
        self._plain_until = 0
        full = self._records * RECORD_BYTES >= max(self._segment_bytes, _LEAST_BYTES)
        if self._segment is None or (self._size and (full or self._size + len(data) > self._segment_bytes)):
            self._roll()
        size, records, known = self._size, self._records, (self._channel, self._record, self._record_ns)
        try:
            lines = self._whole(channel, data)
        except BaseException:
            self._records = records
            self._channel, self._record, self._record_ns = known
            self._cut(size, records)
            raise
        self.lines += lines
        self.tail += len(data)
        self._size += len(data)

    def _whole(self, channel: Channel, data: bytes) -> int:
        """Write the records that are due for `data`, and then all of it; return its line feeds."""
        now, lines = self._now(), 0
        for start in range(0, len(data), RECORD_SPAN):
            offset, end = self.tail + start, min(start + RECORD_SPAN, len(data))
            span = self.tail + end - self._record
            if channel is not self._channel or span > RECORD_SPAN or now - self._record_ns >= _RECORD_NS:
                self._write_record(pack(offset, now, self.lines + lines, channel))
                self._channel, self._record, self._record_ns = channel, offset, now
                self._records += 1
            lines += count_lines(data if len(data) <= RECORD_SPAN else data[start:end])
        view = memoryview(data)
        while view:
            view = view[self._write(view) :]
        return lines

    def _cut(self, size: int, records: int) -> None:
        """Truncate the open segment to `size` bytes, and its index to `records` records."""
        raise NotImplementedError

    def set_outcome(self, outcome: Outcome) -> None:
        """Write the outcome durably; only the first call does. The log accepts appends until it is closed."""
        if not self._has_outcome:
            self._has_outcome = True
            self._store_outcome(outcome)

    def close(self, outcome: Outcome) -> None:
        """Close the log, with this outcome unless it has one. A second close does nothing."""
        if self._closed:
            return
        self._closed = True
        try:
            if self._gap:  # bytes were lost at the very end: the tail must lie behind them
                self._mark_gap()
            self.set_outcome(outcome)
        finally:
            self._release()

    def _mark_gap(self) -> None:
        try:
            self._mark(self.tail)
        except OSError as error:
            if error.errno not in _FULL:
                raise

    def _now(self) -> int:
        return time.monotonic_ns() + self._clock_offset

    def _append(self, channel: Channel, data: bytes, now: int) -> None:
        self._plain_until = 0
        if self._unsure:
            self._catch_up()
            self._unsure = False
        while data:
            if self._gap and now < self._retry_ns:
                return self._discard(data, now)
            try:
                taken = self._keep(channel, data, now)
            except OSError as error:
                if error.errno not in _FULL:
                    raise
                if error.errno == errno.EFBIG and self._size and not self._full:
                    self._full = True  # another file may grow
                    continue
                if not self._gap:
                    loggers.warning(
                        "runs", "%s: there is no room for its output: %s", self.name, error.strerror
                    )
                return self._discard(data, now)
            except BaseException:  # a signal handler raised: some bytes may be written but not counted
                self._unsure = True
                raise
            try:
                self.tail += taken
                self._size += taken
                self.lines += count_lines(data if taken == len(data) else data[:taken])
            except BaseException:
                self._unsure = True
                raise
            data = data[taken:]  # a write may be partial: the disk or the segment is nearly full
        self._plain_until = min(self._record + RECORD_SPAN, self.tail - self._size + self._segment_bytes)

    def _keep(self, channel: Channel, data: bytes, now: int) -> int:
        """Write the bytes, after the segment and the record that are due; return how many were written."""
        room = self._segment_bytes - self._size
        if self._records * RECORD_BYTES >= max(self._segment_bytes, _LEAST_BYTES):
            room = 0  # the index is as large as a segment may be
        if self._gap or self._full or self._segment is None or room <= 0:
            self._roll()
            room = self._segment_bytes
        if len(data) > room:
            data = data[:room]
        span = self.tail + len(data) - self._record
        if channel is not self._channel or span > RECORD_SPAN or now - self._record_ns >= _RECORD_NS:
            self._write_record(pack(self.tail, now, self.lines, channel))
            self._channel, self._record, self._record_ns = channel, self.tail, now
            self._records += 1
        return self._write(data)

    def _discard(self, data: bytes, now: int) -> None:
        self.tail += len(data)
        self.lines += count_lines(data)
        self.dropped += len(data)
        if not self._gap or now >= self._retry_ns:
            self._retry_ns = now + _RETRY_NS
        self._gap = True

    def _roll(self) -> None:
        """Begin a new segment at the tail, and drop segments over the cap."""
        self._begin(self.tail)
        if self._segment is not None and self._size:
            self._old.append(Segment(self._segment, self._size, self._records))
            self._old_cost += self._old[-1].cost
        elif self._segment is not None:
            self._drop(self._segment)  # begun while the disk was full, and still empty
        self._segment, self._size, self._records = self.tail, 0, 0
        self._lines_before = self.lines
        self._channel, self._gap, self._full = None, False, False
        if self._cap is None:
            return
        while self._old_cost > self._cap - self._segment_bytes and self._old:
            segment = self._old.pop(self._behind_head(self._cap // 2))
            self._old_cost -= segment.cost
            self._drop(segment.start)
            self.truncated = True

    def _behind_head(self, most: int) -> int:
        """Return the index of the first kept segment that is not part of the head."""
        cost = 0
        for number, old in enumerate(self._old):
            cost += old.cost
            if cost > most or old.start + old.size > most:
                return number
        return 0
