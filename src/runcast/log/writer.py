"""The writing end of a log: what is appended, when a record is due, when a segment is full.

Owns the promises of the format (records.py): a record before the bytes it describes, at every
change of channel and at most every 10 ms or 64 KiB; times that never go back; nothing rewritten.
Bytes that cannot be kept (a full disk) are counted, and the log goes on behind a gap. A backend
fills in the hooks that keep bytes. One writer at a time: the holder of the run's lock.
"""

from __future__ import annotations

import errno
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

from runcast.errors import LogClosed
from runcast.log.records import RECORD_BYTES, RECORD_SPAN, count_lines, pack
from runcast.model import Channel, Outcome

__all__ = ["CAP_BYTES", "SEGMENT_BYTES", "LogWriter", "Segment"]

SEGMENT_BYTES = 64 * 1024 * 1024  # most runs have exactly one; a cap drops whole ones
CAP_BYTES = 1024 * 1024 * 1024  # of one run's output: the first half is kept, and the newest of the rest
_CAP_PARTS = 32  # segments that a cap is made of: so much more than the cap is never on the disk
_LEAST_BYTES = 4096  # a block of the file system: smaller segments would only make more files
_RECORD_NS = 10_000_000  # a record at most so often: 16 bytes a line would double small writes
_RETRY_NS = 100_000_000  # a full disk is asked again so often
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})


class Segment(NamedTuple):
    """A segment that is finished and kept: where it begins, its bytes, the records of its index."""

    start: int
    size: int
    records: int

    @property
    def cost(self) -> int:
        """What the cap counts: the bytes, or the index where a program made that the larger one."""
        return max(self.size, self.records * RECORD_BYTES)


class LogWriter(ABC):
    """Appends to one log.

    Args:
        tail: the offset to go on from; 0 for a new log.
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
        self._unsure = False  # an append was interrupted by an exception from outside
        self._retry_ns = 0
        self._told = self._closed = False
        # Wall time once, then the monotonic clock: a jump of the clock neither reorders the
        # index nor stretches a run.
        self._clock_offset = max(time.time_ns(), time_ns) - time.monotonic_ns()

    @abstractmethod
    def _begin(self, start: int) -> None:
        """Begin a segment at `start`; its index has its header when this returns."""

    @abstractmethod
    def _write_record(self, record: bytes) -> None:
        """Append one record to the open segment's index."""

    @abstractmethod
    def _write(self, data: bytes | memoryview) -> int:
        """Append bytes to the open segment; return how many were taken, at least one."""

    @abstractmethod
    def _drop(self, start: int) -> None:
        """Remove the finished segment that begins at `start`."""

    def _catch_up(self) -> None:  # noqa: B027
        """Count what an append wrote that was interrupted before it could. Backends that can be, do."""

    def _mark(self, start: int) -> None:
        """Have the log end at `start`, behind bytes that were lost at the very end."""
        self._begin(start)

    @abstractmethod
    def _tell(self, outcome: Outcome) -> None:
        """Make the log so far and then the outcome durable."""

    @abstractmethod
    def _release(self) -> None:
        """Let go of the log: from here on it is closed."""

    def append(self, channel: Channel, data: bytes) -> None:
        """Append bytes of one channel; what cannot be kept is counted in `dropped`.

        Raises:
            LogClosed: the log was closed.
        """
        if self._closed:
            raise LogClosed("expected an open log, this one is closed: nothing more can be appended")
        if len(data) <= RECORD_SPAN:
            self._append(channel, data)
        else:
            view = memoryview(data)
            for start in range(0, len(data), RECORD_SPAN):
                self._append(channel, bytes(view[start : start + RECORD_SPAN]))

    def append_whole(self, channel: Channel, data: bytes) -> None:
        """Append bytes of one channel, all of them or none, and into one segment.

        What others append must not be lost silently, nor be there in part: if it cannot be kept,
        the log is as it was. Who may read meanwhile, and see a part, is for the caller to prevent.

        Raises:
            LogClosed: the log was closed.
            OSError: it could not be kept.
        """
        if self._closed:
            raise LogClosed("expected an open log, this one is closed: nothing more can be appended")
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
        """Take the open segment and its index back to so many bytes and records."""
        raise NotImplementedError

    def tell(self, outcome: Outcome) -> None:
        """Write the outcome, durably, once; the log may still take last words until it is closed."""
        if not self._told:
            self._told = True
            self._tell(outcome)

    def close(self, outcome: Outcome) -> None:
        """End the log, its outcome told first if it was not yet. A second close does nothing."""
        if self._closed:
            return
        self._closed = True
        try:
            if self._gap:  # bytes were lost at the very end: the tail says so
                self._mark_gap()
            self.tell(outcome)
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

    def _append(self, channel: Channel, data: bytes) -> None:
        now = self._now()
        if self._unsure:
            self._catch_up()
            self._unsure = False
        while data:
            if self._gap and now < self._retry_ns:
                return self._lose(data, now)
            try:
                taken = self._keep(channel, data, now)
            except OSError as error:
                if error.errno not in _FULL:
                    raise
                if error.errno == errno.EFBIG and self._size and not self._full:
                    self._full = True  # another file may grow
                    continue
                return self._lose(data, now)
            except BaseException:  # a signal's handler raised: some of it may be written, and not be counted
                self._unsure = True
                raise
            try:
                self.tail += taken
                self._size += taken
                self.lines += count_lines(data if taken == len(data) else data[:taken])
            except BaseException:
                self._unsure = True
                raise
            data = data[taken:]  # a disk that is nearly full takes a part, and a segment what it has room for

    def _keep(self, channel: Channel, data: bytes, now: int) -> int:
        """Write the segment, the record and the bytes that are due; return how many bytes were taken."""
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

    def _lose(self, data: bytes, now: int) -> None:
        self.tail += len(data)
        self.lines += count_lines(data)
        self.dropped += len(data)
        if not self._gap or now >= self._retry_ns:
            self._retry_ns = now + _RETRY_NS
        self._gap = True

    def _roll(self) -> None:
        """Begin a new segment at the tail, and drop what the cap no longer allows."""
        self._begin(self.tail)
        if self._segment is not None and self._size:
            self._old.append(Segment(self._segment, self._size, self._records))
            self._old_cost += self._old[-1].cost
        elif self._segment is not None:
            self._drop(self._segment)  # begun while the disk was full, and nothing went in
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
        """Return which kept segment is the first that does not belong to the head."""
        cost = 0
        for number, old in enumerate(self._old):
            cost += old.cost
            if cost > most or old.start + old.size > most:
                return number
        return 0
