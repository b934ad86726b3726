"""Shared replies: one set of steps for all threads that stream the same run in the same form.

Owns what feeds.py does for an event loop, where every viewer has a thread or a greenlet of its own.
A viewer that is behind has steps of its own; when these would wait, it subscribes to the feed of its
form. One subscriber at a time drives the feed: it waits in the hub, reads and encodes, for all. The
results are kept in a short buffer, and each subscriber takes all that it has not had yet as one piece,
so a late viewer gets more at a time. A subscriber that is further behind than the buffer reaches leaves
with a stream of its own: a slow viewer keeps nothing else alive, and no viewer waits for another.

Subscribers are woken one after the other, the longest waiting first; each takes its piece and wakes the
next before it sends, which may block. To wake all at once costs several times as much: a thousand
threads that want the interpreter look for it every 5 ms. Must not know what the bytes mean.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Hashable, Iterator
from typing import TYPE_CHECKING

from runcast.readers import Steps, Wait, hub
from runcast.sysio.forks import at_fork
from runcast.web.servers.shutdown import stopping

if TYPE_CHECKING:
    from runcast.web.http.response_stream import ResponseStream

__all__ = ["Subscriber", "retry_timeout", "subscribe"]

_PIECES = 256  # how far behind a subscriber may be: this many pieces,
_BYTES = 256 * 1024  # … and so many bytes; beyond that it reads the log by itself
_WAKING = 2  # subscribers that are woken and do not run yet
_TURN = 16  # readings without output before the driver hands over
_CHECK_SECONDS = 0.5  # after so much silence a subscriber checks that its viewer is still there
_AHEAD_SECONDS = 0.02  # how long a viewer waits that is ahead of the feed, which catches up meanwhile


class Subscriber:
    """One viewer of a feed. Iterate over it for new bytes; an empty piece asks to check the viewer."""

    def __init__(self, feed: _ThreadFeed, piece: int, snapshot: object) -> None:
        self._feed = feed
        self.piece = piece  # the number of the next one
        self.snapshot = snapshot  # of the stream, behind the last piece that it has had
        self.woken = False
        self.waits_since = self.checked = time.monotonic()
        self.wake = threading.Lock()  # held, except at the moment at which it is woken
        self.wake.acquire()

    def __iter__(self) -> Iterator[bytes]:
        """Yield new bytes until the reply is over or this subscriber is too far behind."""
        while (data := self._feed.take(self)) is not None:
            yield data

    def close(self) -> None:
        """Leave the feed."""
        _feeds.unsubscribe(self._feed, self)

    @property
    def stream(self) -> ResponseStream:
        """The stream that the feed reads."""
        return self._feed.stream

    def own_stream(self) -> ResponseStream | None:
        """Return a stream that goes on where this subscriber is; None where the reply has ended."""
        return self._feed.own_stream(self)


class _ThreadFeed:
    """The subscribers at or near the tail of one run, in one form."""

    def __init__(self, stream: ResponseStream, steps: Steps[bytes], wait: Wait) -> None:
        self.stream = stream
        self.form = stream.form
        self.steps = steps
        self.subscribers = 0
        self._wait: Wait | None = wait  # what the steps wait for; None when they can go on
        self._lock = threading.RLock()  # a viewer may be collected as garbage while it is held
        self._pieces: deque[tuple[bytes, object]] = deque()  # each with the snapshot behind it
        self._first = self._end = 0  # numbers of the first piece and of the one to come
        self._size = 0
        self._queue: deque[Subscriber] = deque()
        self._waking = 0
        self._driven = False
        self._over = False  # the steps have ended
        self._error: BaseException | None = None  # … by this
        self._update_position()

    def _update_position(self) -> None:
        """Copy the position of the steps. Called by the driving thread only."""
        self.snapshot, self.offset = self.stream.snapshot, self.stream.offset

    def find(self, snapshot: object) -> int | None:
        """Return the number of the piece that follows a snapshot; None if the buffer does not have it."""
        with self._lock:
            if self._over:
                return None
            if snapshot == self.snapshot:
                return self._end
            number = self._end
            for _, behind in reversed(self._pieces):
                if behind == snapshot:
                    return number
                number -= 1
            return None

    def take(self, subscriber: Subscriber) -> bytes | None:
        """Return new bytes for a subscriber, as soon as there are some and it is its turn."""
        while True:
            now = time.monotonic()
            with self._lock:
                woken = self._clear_woken(subscriber)
                try:
                    if subscriber.piece < self._first or (self._over and subscriber.piece == self._end):
                        return None
                    if subscriber.piece < self._end and (
                        woken or not self._queue or self._queue[0].piece > subscriber.piece
                    ):
                        return self._collect(subscriber)
                    if now - subscriber.checked >= _CHECK_SECONDS:
                        subscriber.checked = now
                        return b""
                    drives = not self._driven and subscriber.piece == self._end
                    if drives:
                        self._driven = True
                    else:
                        subscriber.waits_since = now
                        self._queue.append(subscriber)
                finally:
                    self._wake_next(now)
            if drives:
                self._drive()
            else:
                subscriber.wake.acquire()

    def _clear_woken(self, subscriber: Subscriber) -> bool:
        """Count a subscriber as running; return whether it was woken."""
        woken, subscriber.woken = subscriber.woken, False
        if woken:
            self._waking -= 1
        return woken

    def _wake_next(self, now: float) -> None:
        """Wake the longest waiting subscribers, as far as there is work for them; the lock is held."""
        while self._queue and self._waking < _WAKING:
            subscriber = self._queue[0]
            idle = subscriber.piece == self._end and not self._over
            if idle and self._driven and now - subscriber.waits_since < _CHECK_SECONDS:
                return
            subscriber = self._queue.popleft()
            subscriber.woken = True
            self._waking += 1
            subscriber.wake.release()

    def _collect(self, subscriber: Subscriber) -> bytes:
        count = self._end - subscriber.piece
        subscriber.piece = self._end
        last, subscriber.snapshot = self._pieces[-1]
        if count == 1:
            return last
        pieces = self._pieces
        return b"".join([pieces[index][0] for index in range(len(pieces) - count, len(pieces))])

    def _drive(self) -> None:
        """Run the steps until they yield bytes or have waited once."""
        try:
            waited = False
            for _ in range(_TURN):
                if waited and self._wait:
                    return
                if self._wait:
                    hub().wait(self._wait.seen, self._wait.timeout)
                    waited, self._wait = True, None
                    self.stream.stopping = self.stream.stopping or stopping()
                step = next(self.steps, None)
                if step is None:
                    self._finish(None)
                    return
                if isinstance(step, Wait):
                    self._wait = step
                elif step:
                    self._append(step)
                    return
                self._update_position()
        except BaseException as error:
            if self._wait is None:  # raised by the steps, which are over; not by the wait
                self._finish(error)
            raise
        finally:
            with self._lock:
                self._driven = False
                self._wake_next(time.monotonic())

    def _append(self, data: bytes) -> None:
        with self._lock:
            self._update_position()
            self._pieces.append((data, self.snapshot))
            self._end += 1
            self._size += len(data)
            while len(self._pieces) > 1 and (len(self._pieces) > _PIECES or self._size > _BYTES):
                self._size -= len(self._pieces.popleft()[0])
                self._first += 1

    def _finish(self, error: BaseException | None) -> None:
        _feeds.forget(self)
        with self._lock:
            self._over, self._error = True, error

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Remove a subscriber, whatever it is doing."""
        with self._lock:
            self._clear_woken(subscriber)
            if subscriber in self._queue:
                self._queue.remove(subscriber)
            self._wake_next(time.monotonic())

    def own_stream(self, subscriber: Subscriber) -> ResponseStream | None:
        """Return a stream that goes on where a subscriber is; None where the reply has ended there."""
        with self._lock:
            if subscriber.piece == self._end and self._over:
                if isinstance(self._error, Exception):
                    raise self._error  # a stream of its own would raise it as well
                if self._error is None:
                    return None
        return self.stream.resumed_at(subscriber.snapshot)


class _ThreadFeeds:
    """All feeds of this process."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._feeds: dict[Hashable, _ThreadFeed] = {}

    def subscribe(self, stream: ResponseStream, steps: Steps[bytes], wait: Wait) -> Subscriber | None:
        with self._lock:
            snapshot = stream.snapshot
            feed = self._feeds.get(stream.form)
            if feed is None:
                feed = self._feeds[stream.form] = _ThreadFeed(stream, steps, wait)
            piece = feed.find(snapshot)
            if piece is None:
                return None
            feed.subscribers += 1
        if feed.steps is not steps:
            steps.close()
        return Subscriber(feed, piece, snapshot)

    def retry_timeout(self, stream: ResponseStream, wait: Wait) -> float:
        with self._lock:
            feed = self._feeds.get(stream.form)
            if feed is None or feed.offset == stream.offset:
                return wait.timeout
            return 0 if feed.offset > stream.offset else min(_AHEAD_SECONDS, wait.timeout)

    def unsubscribe(self, feed: _ThreadFeed, subscriber: Subscriber) -> None:
        feed.unsubscribe(subscriber)
        with self._lock:
            feed.subscribers -= 1
            last = not feed.subscribers
            if last and self._feeds.get(feed.form) is feed:
                del self._feeds[feed.form]
        if last:
            feed.steps.close()

    def forget(self, feed: _ThreadFeed) -> None:
        with self._lock:
            if self._feeds.get(feed.form) is feed:
                del self._feeds[feed.form]


def subscribe(stream: ResponseStream, steps: Steps[bytes], wait: Wait) -> Subscriber | None:
    """Subscribe a viewer whose own steps would wait; None if the feed is elsewhere, or it shares nothing.

    With a subscriber, the steps are no longer the caller's: the feed goes on with them or closes them.
    """
    return None if stream.snapshot is None else _feeds.subscribe(stream, steps, wait)


def retry_timeout(stream: ResponseStream, wait: Wait) -> float:
    """Return how long a viewer that could not subscribe should wait by itself before it tries again."""
    return wait.timeout if stream.snapshot is None else _feeds.retry_timeout(stream, wait)


_feeds = _ThreadFeeds()


def _forget() -> None:
    global _feeds
    _feeds = _ThreadFeeds()


at_fork(_forget)
