"""Feeds: one set of steps for all viewers that follow the same run in the same form in one event loop.

Owns the fan-out. A viewer that is behind has steps of its own; when it reaches the tail it joins the
feed, whose bursts are encoded once and pushed to all. A push does not wait: the server's `send` is
stepped by hand, which has half the latency of a task per viewer. A viewer whose `send` suspends,
because its client is slow, leaves the feed and gets steps of its own. So there are no queues, and no
viewer waits for another. Viewers that are behind take turns of a few milliseconds, one per iteration
of the loop, so those at the tail get new output at once, however many are behind. While there is new
output, each turn is followed by a pause of the same length: a process that uses all of a busy
processor would be scheduled late whenever output arrives.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from functools import partial
from typing import Any

from runcast.readers import Steps, Wait, hub
from runcast.web.http.handover import Connection
from runcast.web.http.response_stream import ResponseStream
from runcast.web.live.stepped_awaitable import SteppedAwaitable
from runcast.web.servers.shutdown import end_with_server

__all__ = ["Feeds", "Push"]

_TURN = 16  # readings in one turn: a log may grow faster than it can be encoded
_TURN_SECONDS = 0.005  # of a viewer that is behind; then others have their turn
_PAUSE_TURNS = 1.0  # the pause after a turn, in turns, while there are viewers at the tail …
_QUIET_SECONDS = 1.0  # … to which something was pushed so recently

_LAPSED_SECONDS = 1.0  # between looks whether a viewer may still read

Push = Callable[[bytes], Coroutine[Any, Any, None]]
"""Sends bytes to one viewer; may suspend while the viewer's connection is full."""


_NO_WAIT = Wait([], 0.0)


class _Viewer:
    def __init__(self, push: Push, done: asyncio.Future[bool]) -> None:
        self.push = push
        self.done = done  # True when the reply ended by itself

    def end(self, whole: bool) -> None:
        if not self.done.done():
            self.done.set_result(whole)


class _Direct:
    """A viewer whose connection was handed over: it has no request, and at the tail no task.

    Attributes:
        feed: the one that it is in; None while it is behind.
        task: brings it to the tail, while it is behind.
    """

    __slots__ = ("_feeds", "connection", "expiring", "feed", "kind", "task")

    def __init__(self, feeds: Feeds, stream: ResponseStream, connection: Connection) -> None:
        self._feeds: Feeds | None = feeds
        self.connection, self.kind = connection, stream.kind
        self.feed: _LoopFeed | None = None
        self.task: asyncio.Task[None] | None = None
        self.expiring: asyncio.TimerHandle | asyncio.Task[None] | None = None
        connection.left = partial(self.end, False)

    async def push(self, data: bytes) -> None:
        if not self.connection.send(self.connection.frame(data)):
            await self.connection.drain()

    def end(self, whole: bool) -> None:
        """Let go of its connection, once."""
        feeds, self._feeds = self._feeds, None
        if feeds is None:
            return
        feeds.viewers[self.kind] -= 1
        if self.feed is not None:
            self.feed.leave(self)
            self.feed = None
        if self.expiring is not None:
            self.expiring.cancel()
        if self.task is not None and self.task is not asyncio.current_task():
            self.task.cancel()
        self.connection.end(whole=whole)


class _LoopFeed:
    """The viewers at the tail of one run, in one form."""

    def __init__(self, feeds: Feeds, stream: ResponseStream, head: Steps[bytes], wait: Wait) -> None:
        self._feeds = feeds
        self.stream = stream
        self._head = head
        self.viewers: set[_Viewer] = set()
        self.direct: set[_Direct] = set()
        self._loop = asyncio.get_running_loop()
        self._waiter = hub().waiter(self._loop, self._go_on)
        self._ended = False
        hub().begin(self._waiter, wait.seen, wait.timeout)

    def _burst(self) -> Wait | None:
        """Push new bytes to all viewers; return the wait that follows, None at the end."""
        for number, step in enumerate(self._head, 1):
            if isinstance(step, Wait):
                return step
            if step:
                self._feeds.pushed = time.monotonic()
                if self.direct:
                    self._send(step)
                for viewer in tuple(self.viewers):
                    self._feeds.step(viewer, self.stream, step, self)
            if number == _TURN:
                return _NO_WAIT
        return None

    def _send(self, data: bytes) -> None:
        """Send the same bytes to all whose connections are ours; a full one leaves the feed."""
        framed = next(iter(self.direct)).connection.frame(data)
        full = [viewer for viewer in self.direct if not viewer.connection.send(framed)]
        for viewer in full:
            self.direct.discard(viewer)
            viewer.feed = None
            self._feeds.continue_direct(viewer, self.stream.copy())

    def catch_up(self) -> bool:
        """Push the next burst now; return whether the stream goes on."""
        return self._burst() is not None

    def _go_on(self) -> None:
        """Push what there is, called by the hub in the round of the loop that heard of it."""
        try:
            wait = self._burst() if not self._ended and (self.viewers or self.direct) else None
        except Exception as error:
            self.end()
            self._loop.call_exception_handler(
                {"message": f"a feed of {self.stream.kind}", "exception": error}
            )
            return
        if wait is None:
            self.end()
        elif wait is _NO_WAIT:
            self._loop.call_soon(self._go_on)
        else:
            hub().begin(self._waiter, wait.seen, wait.timeout)

    def leave(self, viewer: _Viewer | _Direct) -> None:
        """Push no more to a viewer that has left; a feed for nobody ends."""
        if isinstance(viewer, _Direct):
            self.direct.discard(viewer)
        else:
            self.viewers.discard(viewer)
        if not self.viewers and not self.direct:
            self.end()

    def end(self) -> None:
        """End the replies of all viewers, once."""
        if self._ended:
            return
        self._ended = True
        self._waiter.close()
        self._head.close()
        self._feeds.forget(self)
        whole = self.stream.finished and not self.stream.cut
        for viewer in tuple(self.viewers):
            viewer.end(whole)
        for direct in tuple(self.direct):
            direct.end(whole)


class Feeds:
    """All feeds of one event loop."""

    def __init__(self) -> None:
        self._feeds: dict[Hashable, _LoopFeed] = {}
        self._streams: set[ResponseStream] = set()
        self._leaving: set[asyncio.Task[None]] = set()  # of viewers with a `send` to finish
        self._turns: deque[asyncio.Future[None]] = deque()  # of viewers that are behind and have had one
        self._pause_until = 0.0  # no turn begins before that (monotonic seconds)
        self.pushed = 0.0  # the time of the last push to viewers at the tail
        self.polls: set[asyncio.Future[None]] = set()  # of replies that wait for output: done, they end now
        self.stopping = False
        self.viewers: Counter[str] = Counter()  # now, by kind, for the metrics

    def shutdown(self) -> None:
        """End every live reply, and those that begin later, each with a message to reconnect."""
        self.stopping = True
        for stream in self._streams:
            stream.stopping = True
        for poll in self.polls:
            if not poll.done():
                poll.set_result(None)
        for feed in tuple(self._feeds.values()):
            feed.stream.stopping = True
            feed.catch_up()
            feed.end()
        hub().wake_all()  # viewers that wait by themselves

    async def serve(self, stream: ResponseStream, push: Push, gone: Coroutine[Any, Any, None]) -> bool:
        """Serve one viewer until its reply ends or it leaves; return whether the reply ended by itself.

        Args:
            stream: the viewer's stream, at its first offset.
            push: sends bytes to it.
            gone: returns when it has left.
        """
        end_with_server(self)
        viewer = _Viewer(push, asyncio.get_running_loop().create_future())
        leaving = asyncio.ensure_future(gone)
        catching = asyncio.ensure_future(self._catch_up(viewer, stream, begin=True))
        self.viewers[stream.kind] += 1
        expiring = self._ends(viewer, stream)
        try:
            leaving.add_done_callback(lambda _: viewer.end(False))
            catching.add_done_callback(lambda task: _end_on_error(viewer, task))
            return await viewer.done
        finally:
            self.viewers[stream.kind] -= 1
            if expiring is not None:
                expiring.cancel()
            for task in (leaving, catching):
                task.cancel()
            if feed := self._feeds.get(stream.form):
                feed.leave(viewer)
            await asyncio.gather(leaving, catching, return_exceptions=True)

    def adopt(self, stream: ResponseStream, connection: Connection) -> None:
        """Serve a viewer whose connection was handed over, until its reply ends or it leaves.

        Args:
            stream: the viewer's stream, at its first offset.
            connection: of the viewer, with the head of the reply sent.
        """
        end_with_server(self)
        viewer = _Direct(self, stream, connection)
        self.viewers[stream.kind] += 1
        viewer.expiring = self._ends(viewer, stream)
        self._follow(viewer, self._catch_up(viewer, stream, begin=True))

    def continue_direct(self, viewer: _Direct, stream: ResponseStream) -> None:
        """Have a viewer go on by itself once its connection has taken what it was sent."""

        async def go_on() -> None:
            await viewer.connection.drain()
            await self._catch_up(viewer, stream, begin=False)

        self._follow(viewer, go_on())

    def _follow(self, viewer: _Direct, catching: Coroutine[Any, Any, None]) -> None:
        viewer.task = asyncio.create_task(catching)
        self._leaving.add(viewer.task)

        def over(task: asyncio.Task[None]) -> None:
            self._leaving.discard(task)
            if viewer.task is task:  # it may have left its feed again before this is called
                viewer.task = None
            _end_on_error(viewer, task)

        viewer.task.add_done_callback(over)

    @staticmethod
    def _ends(
        viewer: _Viewer | _Direct, stream: ResponseStream
    ) -> asyncio.TimerHandle | asyncio.Task[None] | None:
        if stream.lapsed is not None:
            return asyncio.create_task(_end_when_expired(viewer, stream))
        if stream.expires is None:
            return None
        left = max(stream.expires - time.time(), 0.0)
        return asyncio.get_running_loop().call_later(left, viewer.end, False)

    async def _catch_up(self, viewer: _Viewer | _Direct, stream: ResponseStream, *, begin: bool) -> None:
        """Bring a viewer to the tail by steps of its own, then let it join the feed."""
        self._streams.add(stream)
        stream.stopping = self.stopping
        own = stream.steps(begin=begin)
        began = time.monotonic()
        try:
            for step in own:
                if not isinstance(step, Wait):
                    if step:
                        await viewer.push(step)
                    if time.monotonic() - began >= _TURN_SECONDS:
                        await self._next_turn(began)
                        began = time.monotonic()
                    continue
                if step.away:
                    await hub().wait_async(step.seen, step.timeout)
                    continue
                if self._join(viewer, stream, own, step):
                    return
                # Where the feed is further, go on at once. Else both are at the tail, and only an
                # unfinished line differs: then wait as the feed does.
                feed = self._feeds.get(stream.form)
                behind = feed is not None and feed.stream.offset > stream.offset
                await hub().wait_async(step.seen, 0 if behind else step.timeout)
            viewer.end(not stream.cut)
        finally:
            self._streams.discard(stream)
            feed = self._feeds.get(stream.form)
            if feed is None or feed.stream is not stream:
                own.close()

    async def _next_turn(self, began: float) -> None:
        """Wait for the next turn of a viewer that is behind, for one round of the loop at least."""
        now = time.monotonic()
        if now - self.pushed < _QUIET_SECONDS and any(
            feed.viewers or feed.direct for feed in self._feeds.values()
        ):
            self._pause_until = now + _PAUSE_TURNS * (now - began)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._turns.append(turn)
        if len(self._turns) == 1:
            asyncio.get_running_loop().call_soon(self._admit)
        await turn

    def _admit(self) -> None:
        """Give the turn to the longest waiting viewer, then one per round of the loop, or after the pause."""
        pause = self._pause_until - time.monotonic()
        if pause > 0:
            asyncio.get_running_loop().call_later(pause, self._admit)
            return
        turn = self._turns.popleft()
        if not turn.done():  # its viewer may have left
            turn.set_result(None)
        if self._turns:
            asyncio.get_running_loop().call_soon(self._admit)

    def _join(self, viewer: _Viewer | _Direct, stream: ResponseStream, own: Steps[bytes], wait: Wait) -> bool:
        """Add a viewer that waits at the tail to its feed; False if the feed is elsewhere."""
        key = stream.form
        feed = self._feeds.get(key)
        if feed is not None and feed.stream.offset < stream.offset and not feed.catch_up():
            self.forget(feed)  # it has ended: so will the viewer's own steps
            return False
        if feed is None:
            feed = self._feeds[key] = _LoopFeed(self, stream, own, wait)
        elif feed.stream.position != stream.position:
            return False
        if isinstance(viewer, _Direct):
            feed.direct.add(viewer)
            viewer.feed = feed
        else:
            feed.viewers.add(viewer)
        return True

    def forget(self, feed: _LoopFeed) -> None:
        """Remove a feed that has ended."""
        key = feed.stream.form
        if self._feeds.get(key) is feed:
            del self._feeds[key]

    def step(self, viewer: _Viewer, stream: ResponseStream, data: bytes, feed: _LoopFeed) -> None:
        """Push to one viewer without waiting; a viewer whose `send` suspends leaves the feed."""
        coroutine = viewer.push(data)
        try:
            future = coroutine.send(None)
        except StopIteration:
            return
        except Exception:
            feed.viewers.discard(viewer)
            viewer.end(False)
            return
        feed.viewers.discard(viewer)
        sending = SteppedAwaitable(coroutine, future)
        task = asyncio.create_task(self._continue_alone(viewer, stream.copy(), sending))
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)
        task.add_done_callback(lambda task: _end_on_error(viewer, task))
        viewer.done.add_done_callback(lambda _: task.cancel())

    async def _continue_alone(
        self, viewer: _Viewer, stream: ResponseStream, sending: Awaitable[None]
    ) -> None:
        """Finish the `send` that suspended, then catch up."""
        await sending
        await self._catch_up(viewer, stream, begin=False)


async def _end_when_expired(viewer: _Viewer | _Direct, stream: ResponseStream) -> None:
    while not stream.expired:
        left = math.inf if stream.expires is None else max(stream.expires - time.time(), 0.0)
        await asyncio.sleep(min(left, _LAPSED_SECONDS))
    viewer.end(False)


def _end_on_error(viewer: _Viewer | _Direct, task: asyncio.Future[Any]) -> None:
    if not task.cancelled() and task.exception() is not None:
        viewer.end(False)
