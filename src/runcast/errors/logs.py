"""Errors of logs: what cannot be read or appended there, or not yet."""

from __future__ import annotations

from runcast.errors.root import RuncastError

__all__ = ["LogClosed", "MirrorBehind", "OffsetBeyondTail", "OffsetGone", "SegmentAway"]


class LogClosed(RuncastError):
    """An append to a log that is closed, or that another writer holds."""

    http_status = 409


class OffsetBeyondTail(RuncastError):
    """An offset past the last byte; `tail` is the largest valid offset now."""

    http_status = 416

    def __init__(self, offset: int, tail: int) -> None:
        super().__init__(
            f"expected an offset up to the tail, which is {tail} now, got {offset}: "
            f"use {tail} (or `now`) to wait for further output"
        )
        self.offset = offset
        self.tail = tail


class OffsetGone(RuncastError):
    """The bytes at an offset were dropped; `next` is the first offset that can be read."""

    http_status = 410

    def __init__(self, offset: int, next_offset: int) -> None:
        super().__init__(
            f"the bytes from offset {offset} to {next_offset} are no longer kept: continue at {next_offset}"
        )
        self.offset = offset
        self.next = next_offset


class SegmentAway(RuncastError):
    """Bytes of a run's log, from offset `start` to `end`, that are kept elsewhere and not on this disk.

    `until`, in monotonic seconds, is where the request that needs them ends; None for one without a bound.
    """

    http_status = 503
    until: float | None = None

    def __init__(self, path: str, start: int, end: int) -> None:
        super().__init__(
            f"expected bytes {start} to {end} of run {path.rpartition('/')[2]} on this disk, they are kept "
            "elsewhere and were not brought here: see that the store's agent runs, then read again"
        )
        self.path, self.start, self.end = path, start, end  # the path is the run's folder


class MirrorBehind(SegmentAway):
    """An offset of another host's run that this host does not know of yet; `tail` is how far it does."""

    def __init__(self, path: str, offset: int, tail: int) -> None:
        run_id = path.rpartition("/")[2]
        RuncastError.__init__(
            self,
            f"expected an offset up to {tail}, got {offset}: run {run_id} is on another host, and this one "
            "knows no more of it yet; try again, `runcast ls` says whether the link is up",
        )
        self.path, self.start, self.end = path, offset, offset
        self.tail = tail
