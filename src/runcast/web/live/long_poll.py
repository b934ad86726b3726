"""A long-poll: one reply, as soon as there is output or the log is closed.

Owns the wait, which a poll shares with every other viewer, and what a client needs for the next poll:
the next offset, a URL with it, a count so far. A poll counts as a viewer while it waits.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Hashable, Mapping
from functools import partial

from runcast.errors import SegmentAway
from runcast.log import Log
from runcast.model import Channel, Reading, TerminalSize
from runcast.offsets import format_offset
from runcast.readers import Steps, Wait, fetched, hub
from runcast.run import Run
from runcast.run.base import files_of
from runcast.web.http.response_stream import ResponseStream
from runcast.web.live.log_stream import CUT_SHORT, before_offset
from runcast.web.live.until import Line, until_of
from runcast.web.live.watched import note_watched
from runcast.wire import POLL, POLL_BYTES, Query, ResumePoint, poll_reply, sendable

__all__ = ["PollStream", "away_until", "wait_of"]

_TRACEBACK_SECONDS = 0.2  # so that the reply with the traceback has the outcome as well
_POLL_SECONDS, _POLL_MOST = 20.0, 55.0  # proxies cut a request that is silent for 60 s
_AWAY_SECONDS = 2.0  # for bytes that are not on this disk, where a poll does not wait as long for output


def wait_of(query: Query) -> float:
    """Return for how many seconds a poll waits for output."""
    if not query.follow:
        return 0.0
    return _POLL_SECONDS if query.wait is None else min(query.wait, _POLL_MOST)


def away_until(query: Query, arrived: float) -> float:
    """Return when a poll ends that lacks bytes on this disk, which may only have to be brought."""
    return arrived + max(wait_of(query), _AWAY_SECONDS)


class PollStream(ResponseStream):
    """One poll.

    Args:
        run: the run.
        query: the parameters of the request.
        offset: where to begin.
        url: of the next poll, without the offset, which is appended unless `keyed`.
        keyed: whether the server keeps the offset, so that the same URL continues.
        delivered: called with the next offset, and whether that is the end, when the reply was taken.
    """

    def __init__(
        self,
        run: Run,
        query: Query,
        offset: int,
        url: str,
        *,
        keyed: bool = False,
        delivered: Callable[[int, bool], object] = lambda offset, end: None,
    ) -> None:
        self._run, self._query = run, query
        self._url, self._keyed, self._delivered = url, keyed, delivered
        self.offset = offset
        now = time.monotonic()
        self._until, self._away_until = now + wait_of(query), away_until(query, now)
        self.form: Hashable = id(self)
        self.kind = POLL.name
        self._search = until_of(run, query)(ResumePoint(offset)) if query.until is not None else None
        self.confirms = keyed

    @property
    def position(self) -> int:
        """The offset; no other stream has the same form."""
        return self.offset

    def copy(self) -> PollStream:
        """Return itself: one reply, for one viewer."""
        return self

    def steps(self, *, begin: bool = True) -> Steps[bytes]:
        """Wait for output or the end, and yield the one reply."""
        if self.finished:
            return
        log = self._run.log()
        watch = hub().watch(log)
        try:
            woken, give_up = False, None
            line: Line | None = None
            waiting = files_of(self._run).state().get("waiting")
            while True:
                note_watched(self._run)
                seen = [(watch, watch.version)]
                closed = log.closed  # before the read: so that nothing can come behind it
                try:
                    reading = yield from fetched(
                        log, partial(self._read, log, closed), self._ends, until=self._away_until
                    )
                except SegmentAway:  # like output that has not come yet
                    closed, reading = False, Reading([], self.offset)
                    break
                line = yield from self._last_line(reading, closed and reading.next == log.tail_offset)
                if line is not None:
                    reading = before_offset(reading, line.next)
                    break
                left = self._until - time.monotonic()
                if not closed and self._may_be_traceback(reading, log):
                    now = time.monotonic()
                    give_up = give_up or now + min(left, _TRACEBACK_SECONDS)
                    if now < give_up and not self.stopping:
                        yield Wait(seen, give_up - now)
                        continue
                if reading.next == self.offset and not closed:
                    self._run.want(self.offset)
                if reading.next != self.offset or closed or left <= 0 or self.stopping:
                    break
                if waiting != (waiting := files_of(self._run).state().get("waiting")):
                    break
                if woken:
                    self._run.settle()
                yield Wait(seen, min(left, 1.0))
                woken = True
            self.finished = True
            end = closed and reading.next == log.tail_offset and line is None
            reply = partial(self._reply, log, reading, line, end)
            yield (yield from fetched(log, reply, self._ends))
            self._delivered(reading.next, end)  # this step comes once the reply was taken
        except CUT_SHORT:  # since it began: the next request gets the error
            self.finished = self.cut = True
        finally:
            watch.close()
            log.close()

    def _ends(self) -> bool:
        return self.stopping

    def _reply(self, log: Log, reading: Reading, line: Line | None, end: bool) -> bytes:
        return poll_reply(
            reading,
            self.offset,
            state=self._run.state,
            outcome=self._run.outcome,
            progress=self._run.progress,
            note=next(reversed(self._run.notes), None),
            waiting=self._run.waiting,
            closed=end,
            line=log.lines_before(self.offset) + 1,
            lines=log.lines,
            # Of a generator that fails, the lines of the traceback are none of its values.
            count=log.lines_before(reading.next) - log.lines_of(Channel.STDERR, reading.next),
            next_url=None if end or line else self._next_url(reading.next),
            sizes=self._sizes(reading.next),
            chunk_lines=self._lines(reading, log),
            until=self._found(line, end),
        )

    def _last_line(self, reading: Reading, end: bool) -> Generator[Wait, None, Line | None]:
        """Return the line with which polls are to end, if it is in this reading."""
        if self._search is None:
            return None
        line = None
        if reading.next != self.offset:
            line = yield from self._search.up_to(reading.next)
        if line is None:
            line = yield from (self._search.last() if end else self._search.rested())
        return line

    def _found(self, line: Line | None, end: bool) -> Mapping[str, object] | None:
        if line is not None:
            return {"found": True, **line.value}
        if self._search is None or not (end or self._search.stopped):
            return None
        return {"found": False, "stopped": self._search.stopped}

    def _sizes(self, end: int) -> list[TerminalSize]:
        """Return the size of the terminal at the offset, and the changes up to `end`."""
        sizes = [size for size in self._run.sizes if size.offset <= end]
        before = sum(size.offset <= self.offset for size in sizes)
        return sizes[max(before - 1, 0) :]

    def _lines(self, reading: Reading, log: Log) -> list[int]:
        """Return the line that each chunk begins in, where nobody can count: others are left out."""
        if self._query.channels is None:
            return []
        return [log.lines_before(chunk.offset) + 1 for chunk in reading.chunks]

    def _read(self, log: Log, closed: bool) -> Reading:
        reading = log.read(self.offset, POLL_BYTES, self._query.channels)
        return sendable(reading, max=self._query.max, final=closed and reading.next == log.tail_offset)

    def _may_be_traceback(self, reading: Reading, log: Log) -> bool:
        """Return whether this may be the traceback of a generator, which ends within some milliseconds."""
        error = reading.chunks and reading.chunks[-1].channel is Channel.STDERR
        at_tail = reading.next == log.tail_offset
        return bool(error and at_tail and self._run.request["source"] == "generator")

    def _next_url(self, offset: int) -> str:
        return self._url if self._keyed else f"{self._url}&offset={format_offset(offset)}"
