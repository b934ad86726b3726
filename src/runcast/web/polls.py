"""A long-poll: one reply, as soon as there is something to say.

Owns the wait, which a poll shares with every other viewer, and what a client needs to come again:
the next offset, a URL with it, a count so far. A poll counts as a viewer while it waits.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable

from runcast.log import Log
from runcast.model import Reading, format_offset
from runcast.readers import Steps, Wait, hub
from runcast.run import Run
from runcast.web.streams import CUT_SHORT, Viewing
from runcast.wire import POLL_BYTES, Query, poll_reply, settle

__all__ = ["PollViewing"]

_POLL_SECONDS, _POLL_MOST = 20.0, 55.0  # proxies cut a request that is silent for 60 s


class PollViewing(Viewing):
    """One poll.

    Args:
        run: the run.
        query: what was asked for.
        offset: where to begin.
        url: of the next poll, with its parameters but the offset, which goes behind it unless `keyed`.
        keyed: whether the same URL goes on by itself.
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
        wait = _POLL_SECONDS if query.wait is None else min(query.wait, _POLL_MOST)
        self._until = time.monotonic() + (wait if query.follow else 0)
        self.form: Hashable = id(self)
        self.kind = "poll"
        self.confirms = keyed

    @property
    def place(self) -> int:
        """Where it is; shared with nobody."""
        return self.offset

    def copy(self) -> PollViewing:
        """Return itself: the reply is one, nobody shares it."""
        return self

    def steps(self, *, begin: bool = True) -> Steps[bytes]:
        """Wait for something, and say it."""
        if self.finished:
            return
        log = self._run.open_log()
        watch = hub().watch(log)
        try:
            woken = False
            while True:
                if self._run.request.get("stop_unwatched"):
                    self._run.directory.touch_watched()
                seen = [(watch, watch.version)]
                closed = log.closed  # before the read: so that nothing can come behind it
                reading = self._read(log, closed)
                left = self._until - time.monotonic()
                if reading.next == self.offset and not closed:
                    self._run.want(self.offset)
                if reading.next != self.offset or closed or left <= 0 or self.stopping:
                    break
                if woken:
                    self._run.settle()
                yield Wait(seen, min(left, 1.0))
                woken = True
            self.finished = True
            end = closed and reading.next == log.tail_offset
            yield poll_reply(
                reading,
                self.offset,
                state=self._run.state,
                outcome=self._run.outcome,
                progress=self._run.progress,
                closed=end,
                lines=log.lines,
                count=log.lines_before(reading.next),
                next_url=None if end else self._next_url(reading.next),
            )
            self._delivered(reading.next, end)  # who takes the reply comes back here when it has
        except CUT_SHORT:  # since it began: whoever comes again is told
            self.finished = self.cut = True
        finally:
            watch.close()
            log.close()

    def _read(self, log: Log, closed: bool) -> Reading:
        reading = log.read(self.offset, POLL_BYTES, self._query.channels)
        return settle(reading, max=self._query.max, final=closed and reading.next == log.tail_offset)

    def _next_url(self, offset: int) -> str:
        return self._url if self._keyed else f"{self._url}&offset={format_offset(offset)}"
