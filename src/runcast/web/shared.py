"""Shared replies: one set of steps for all threads that stream the same run in the same form.

Owns what feeds.py does for an event loop, where every viewer has a thread or a greenlet of its own.
A viewer who is behind has steps of its own; when it would wait, it takes a seat in the feed of its
form. One of those seated drives: it waits in the hub, reads and encodes, for all. What the steps
said is kept in a short chain, and each seat takes all that it has not had yet as one piece, so
whoever is late gets more at a time. A seat that is further behind than the chain reaches leaves
with a viewing of its own: a slow viewer keeps nothing else alive, and nobody is waited for.

Seats are called one after the other, those who wait longest first; who is called takes its piece and
calls the next before it sends, which may block. To wake all at once costs several times as much:
a thousand threads that want the interpreter look for it every 5 ms. Must not know what is said.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Hashable, Iterator
from typing import TYPE_CHECKING

from runcast.readers import Steps, Wait, hub
from runcast.web.shutdown import stopping

if TYPE_CHECKING:
    from runcast.web.streams import Viewing

__all__ = ["Seat", "patience", "take_seat"]

_PIECES = 256  # how far behind a seat may be: this many pieces,
_BYTES = 256 * 1024  # … and so many bytes; from there on it reads the log by itself
_CALLS = 2  # seats that are called and have not answered
_TURN = 16  # readings that say nothing before others have their turn
_LOOK_SECONDS = 0.5  # after so much silence a seat looks after its viewer, when who drives comes round
_SOON = 0.02  # how long a viewer waits that is ahead of the others: they have the same news by then


class Seat:
    """One viewer in a feed. Iterate over it for what is new; at an empty piece, see if it is still there."""

    def __init__(self, feed: _Feed, at: int, mark: object) -> None:
        self._feed = feed
        self.at = at  # the number of the next piece
        self.mark = mark  # where its viewer is
        self.called = False
        self.since = self.looked = time.monotonic()
        self.bell = threading.Lock()  # held, but for the moment at which it is called
        self.bell.acquire()

    def __iter__(self) -> Iterator[bytes]:
        """Yield what is new until the reply is over or this seat is too far behind."""
        while (data := self._feed.take(self)) is not None:
            yield data

    def close(self) -> None:
        """Leave the feed."""
        _feeds.leave(self._feed, self)

    @property
    def viewing(self) -> Viewing:
        """Whose words these were."""
        return self._feed.viewing

    def rest(self) -> Viewing | None:
        """Return a viewing for what the feed no longer has; None where the reply has ended with it."""
        return self._feed.rest(self)


class _Feed:
    """All who are at the tail of one run, or nearly, in one form."""

    def __init__(self, viewing: Viewing, steps: Steps[bytes], wait: Wait) -> None:
        self.viewing = viewing
        self.form = viewing.form
        self.steps = steps
        self.members = 0
        self._wait: Wait | None = wait  # what the steps wait for; None when they can go on
        self._lock = threading.RLock()  # a viewer may be collected as garbage while it is held
        self._pieces: deque[tuple[bytes, object]] = deque()  # each with the mark behind it
        self._first = self._end = 0  # numbers of the first piece and of the one to come
        self._size = 0
        self._queue: deque[Seat] = deque()
        self._calls = 0
        self._driven = False
        self._over = False  # the steps have ended
        self._error: BaseException | None = None  # … by this
        self._settle()

    def _settle(self) -> None:
        """Note where the steps are; by whoever drives only."""
        self.mark, self.offset = self.viewing.mark, self.viewing.offset

    def find(self, mark: object) -> int | None:
        """Return the number of the piece that follows a mark; None if the chain does not have it."""
        with self._lock:
            if self._over:
                return None
            if mark == self.mark:
                return self._end
            number = self._end
            for _, behind in reversed(self._pieces):
                if behind == mark:
                    return number
                number -= 1
            return None

    def take(self, seat: Seat) -> bytes | None:
        """Return what is new for a seat, as soon as there is something and it is its turn."""
        while True:
            now = time.monotonic()
            with self._lock:
                called = self._answer(seat)
                try:
                    if seat.at < self._first or (self._over and seat.at == self._end):
                        return None
                    if seat.at < self._end and (called or not self._queue or self._queue[0].at > seat.at):
                        return self._collect(seat)
                    if now - seat.looked >= _LOOK_SECONDS:
                        seat.looked = now
                        return b""
                    drives = not self._driven and seat.at == self._end
                    if drives:
                        self._driven = True
                    else:
                        seat.since = now
                        self._queue.append(seat)
                finally:
                    self._call(now)
            if drives:
                self._drive()
            else:
                seat.bell.acquire()

    def _answer(self, seat: Seat) -> bool:
        """Take note that a seat is awake; return whether it was called."""
        called, seat.called = seat.called, False
        if called:
            self._calls -= 1
        return called

    def _call(self, now: float) -> None:
        """Call those who wait longest, as far as there is anything for them; the lock is held."""
        while self._queue and self._calls < _CALLS:
            seat = self._queue[0]
            idle = seat.at == self._end and not self._over
            if idle and self._driven and now - seat.since < _LOOK_SECONDS:
                return
            seat = self._queue.popleft()
            seat.called = True
            self._calls += 1
            seat.bell.release()

    def _collect(self, seat: Seat) -> bytes:
        count = self._end - seat.at
        seat.at = self._end
        last, seat.mark = self._pieces[-1]
        if count == 1:
            return last
        pieces = self._pieces
        return b"".join([pieces[index][0] for index in range(len(pieces) - count, len(pieces))])

    def _drive(self) -> None:
        """Have the steps go on until they say something or have waited once."""
        try:
            waited = False
            for _ in range(_TURN):
                if waited and self._wait:
                    return
                if self._wait:
                    hub().wait(self._wait.seen, self._wait.timeout)
                    waited, self._wait = True, None
                    self.viewing.stopping = self.viewing.stopping or stopping()
                step = next(self.steps, None)
                if step is None:
                    self._finish(None)
                    return
                if isinstance(step, Wait):
                    self._wait = step
                elif step:
                    self._append(step)
                    return
                self._settle()
        except BaseException as error:
            if self._wait is None:  # not while it waited: the steps are no more
                self._finish(error)
            raise
        finally:
            with self._lock:
                self._driven = False
                self._call(time.monotonic())

    def _append(self, data: bytes) -> None:
        with self._lock:
            self._settle()
            self._pieces.append((data, self.mark))
            self._end += 1
            self._size += len(data)
            while len(self._pieces) > 1 and (len(self._pieces) > _PIECES or self._size > _BYTES):
                self._size -= len(self._pieces.popleft()[0])
                self._first += 1

    def _finish(self, error: BaseException | None) -> None:
        _feeds.forget(self)
        with self._lock:
            self._over, self._error = True, error

    def leave(self, seat: Seat) -> None:
        """Take a seat away, wherever it is."""
        with self._lock:
            self._answer(seat)
            if seat in self._queue:
                self._queue.remove(seat)
            self._call(time.monotonic())

    def rest(self, seat: Seat) -> Viewing | None:
        """Return a viewing for what a seat has not had; None if it has had all."""
        with self._lock:
            if seat.at == self._end and self._over:
                if isinstance(self._error, Exception):
                    raise self._error  # each would have met it
                if self._error is None:
                    return None
        return self.viewing.at(seat.mark)


class _Feeds:
    """All feeds of this process."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._feeds: dict[Hashable, _Feed] = {}

    def join(self, viewing: Viewing, steps: Steps[bytes], wait: Wait) -> Seat | None:
        with self._lock:
            mark = viewing.mark
            feed = self._feeds.get(viewing.form)
            if feed is None:
                feed = self._feeds[viewing.form] = _Feed(viewing, steps, wait)
            at = feed.find(mark)
            if at is None:
                return None
            feed.members += 1
        if feed.steps is not steps:
            steps.close()
        return Seat(feed, at, mark)

    def patience(self, viewing: Viewing, wait: Wait) -> float:
        with self._lock:
            feed = self._feeds.get(viewing.form)
            if feed is None or feed.offset == viewing.offset:
                return wait.timeout
            return 0 if feed.offset > viewing.offset else min(_SOON, wait.timeout)

    def leave(self, feed: _Feed, seat: Seat) -> None:
        feed.leave(seat)
        with self._lock:
            feed.members -= 1
            last = not feed.members
            if last and self._feeds.get(feed.form) is feed:
                del self._feeds[feed.form]
        if last:
            feed.steps.close()

    def forget(self, feed: _Feed) -> None:
        with self._lock:
            if self._feeds.get(feed.form) is feed:
                del self._feeds[feed.form]


def take_seat(viewing: Viewing, steps: Steps[bytes], wait: Wait) -> Seat | None:
    """Seat a viewer whose own steps would wait; None if the others are elsewhere, or it goes by itself.

    With a seat, the steps are no longer the caller's: the feed goes on with them, or they are closed.
    """
    return None if viewing.mark is None else _feeds.join(viewing, steps, wait)


def patience(viewing: Viewing, wait: Wait) -> float:
    """Return how long a viewer that got no seat should wait by itself before it tries again."""
    return wait.timeout if viewing.mark is None else _feeds.patience(viewing, wait)


_feeds = _Feeds()


def _forget() -> None:
    global _feeds
    _feeds = _Feeds()


os.register_at_fork(after_in_child=_forget)
