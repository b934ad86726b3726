"""Feeds: one set of steps for all who follow the same run in the same form in one event loop.

Owns the fan-out. A viewer who is behind has steps of its own; when it reaches the tail it joins
the feed, whose burst is encoded once and pushed to everybody. A push does not wait: the server's
`send` is stepped by hand (PERFORMANCE: half the latency of a task each), and a viewer whose
`send` suspends, because its client is slow, leaves the feed with a viewing of its own. So
nobody is queued for, and nobody is waited for.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from typing import Any

from runcast.readers import Steps, Wait, hub
from runcast.web.resumed import Resumed
from runcast.web.shutdown import end_with_server
from runcast.web.streams import Viewing

__all__ = ["Feeds", "Push"]

_TURN = 16  # readings before others have their turn: a log may grow faster than it can be said

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


class _Feed:
    """Everybody at the tail of one run, in one form."""

    def __init__(self, feeds: Feeds, viewing: Viewing, head: Steps[bytes]) -> None:
        self._feeds = feeds
        self.viewing = viewing
        self._head = head
        self.viewers: set[_Viewer] = set()
        self.task = asyncio.create_task(self._pump())

    def _burst(self) -> Wait | None:
        """Push what is new to everybody; return the wait that comes then, None at the end."""
        for number, step in enumerate(self._head, 1):
            if isinstance(step, Wait):
                return step
            if step:
                for viewer in tuple(self.viewers):
                    self._feeds.step(viewer, self.viewing, step, self)
            if number == _TURN:
                return _NO_WAIT
        return None

    def catch_up(self) -> bool:
        """Do the next burst now; return whether there is a next one."""
        return self._burst() is not None

    async def _pump(self) -> None:
        try:
            while self.viewers and (wait := self._burst()) is not None:
                if wait is _NO_WAIT:
                    await asyncio.sleep(0)
                else:
                    await hub().wait_async(wait.seen, wait.timeout)
        finally:
            self._head.close()
            self._feeds.forget(self)
            for viewer in tuple(self.viewers):
                viewer.end(self.viewing.finished and not self.viewing.cut)


class Feeds:
    """All feeds of one event loop."""

    def __init__(self) -> None:
        self._feeds: dict[Hashable, _Feed] = {}
        self._viewings: set[Viewing] = set()
        self._rests: set[asyncio.Task[None]] = set()
        self.polls: set[asyncio.Future[None]] = set()  # replies that wait for news: done, they end now
        self.stopping = False
        self.viewers: Counter[str] = Counter()  # now, by kind, for the metrics

    def shutdown(self) -> None:
        """Have every live reply end itself, those to come too; each tells its viewer to come back."""
        self.stopping = True
        for viewing in self._viewings:
            viewing.stopping = True
        for poll in self.polls:
            if not poll.done():
                poll.set_result(None)
        for feed in tuple(self._feeds.values()):
            feed.viewing.stopping = True
            feed.catch_up()
            feed.task.cancel()

    async def serve(self, viewing: Viewing, push: Push, gone: Coroutine[Any, Any, None]) -> bool:
        """Feed one viewer until its reply ends or it is gone; return whether it ended by itself.

        Args:
            viewing: what it asked for, from where it begins.
            push: sends bytes to it.
            gone: returns when it has left.
        """
        end_with_server(self)
        viewer = _Viewer(push, asyncio.get_running_loop().create_future())
        leaving = asyncio.ensure_future(gone)
        catching = asyncio.ensure_future(self._catch_up(viewer, viewing, begin=True))
        self.viewers[viewing.kind] += 1
        try:
            leaving.add_done_callback(lambda _: viewer.end(False))
            catching.add_done_callback(lambda task: _end_on_error(viewer, task))
            return await viewer.done
        finally:
            self.viewers[viewing.kind] -= 1
            for task in (leaving, catching):
                task.cancel()
            if feed := self._feeds.get(viewing.form):
                feed.viewers.discard(viewer)
            await asyncio.gather(leaving, catching, return_exceptions=True)

    async def _catch_up(self, viewer: _Viewer, viewing: Viewing, *, begin: bool) -> None:
        """Bring a viewer to the tail by steps of its own, and have it join the feed there."""
        self._viewings.add(viewing)
        viewing.stopping = self.stopping
        own = viewing.steps(begin=begin)
        try:
            for number, step in enumerate(own, 1):
                if not isinstance(step, Wait):
                    if step:
                        await viewer.push(step)
                    if number % _TURN == 0:
                        await asyncio.sleep(0)
                    continue
                if self._join(viewer, viewing, own):
                    return
                # The others are further: go on at once. Or all are at the tail, and an unfinished
                # line sets this viewer apart: then wait as they do.
                feed = self._feeds.get(viewing.form)
                behind = feed is not None and feed.viewing.offset > viewing.offset
                await hub().wait_async(step.seen, 0 if behind else step.timeout)
            viewer.end(not viewing.cut)
        finally:
            self._viewings.discard(viewing)
            feed = self._feeds.get(viewing.form)
            if feed is None or feed.viewing is not viewing:
                own.close()

    def _join(self, viewer: _Viewer, viewing: Viewing, own: Steps[bytes]) -> bool:
        """Let a viewer that waits at the tail be fed with the others; False if they are further."""
        key = viewing.form
        feed = self._feeds.get(key)
        if feed is not None and feed.viewing.offset < viewing.offset and not feed.catch_up():
            self.forget(feed)  # it has ended: so will the viewer's own steps
            return False
        if feed is None:
            feed = self._feeds[key] = _Feed(self, viewing, own)
        elif feed.viewing.place != viewing.place:
            return False
        feed.viewers.add(viewer)
        return True

    def forget(self, feed: _Feed) -> None:
        """Take away a feed that has ended."""
        key = feed.viewing.form
        if self._feeds.get(key) is feed:
            del self._feeds[key]

    def step(self, viewer: _Viewer, viewing: Viewing, data: bytes, feed: _Feed) -> None:
        """Push to one viewer without waiting; one that would have to be waited for leaves the feed."""
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
        rest = asyncio.create_task(self._go_on(viewer, viewing.copy(), Resumed(coroutine, future)))
        self._rests.add(rest)
        rest.add_done_callback(self._rests.discard)
        rest.add_done_callback(lambda task: _end_on_error(viewer, task))
        viewer.done.add_done_callback(lambda _: rest.cancel())

    async def _go_on(self, viewer: _Viewer, viewing: Viewing, rest: Awaitable[None]) -> None:
        await rest
        await self._catch_up(viewer, viewing, begin=False)


def _end_on_error(viewer: _Viewer, task: asyncio.Future[Any]) -> None:
    if not task.cancelled() and task.exception() is not None:
        viewer.end(False)
