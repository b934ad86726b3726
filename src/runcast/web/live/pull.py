"""Drivers of a response stream: in a thread of its own, or as an asynchronous iterator.

Owns the waiting between two steps. Viewers in threads share their steps (thread_feeds.py); many viewers
of one event loop are better served by feeds.py.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import closing
from errno import ECONNRESET

from runcast.readers import Wait, hub
from runcast.web.http.response_stream import ResponseStream
from runcast.web.live.thread_feeds import Subscriber, retry_timeout, subscribe
from runcast.web.servers.heads import asgi_needs_part
from runcast.web.servers.shutdown import end_with_server, stopping, wake_with_server

__all__ = ["pull", "pull_async"]


def pull(stream: ResponseStream, gone: Callable[[], bool] = lambda: False) -> Iterator[bytes]:
    """Yield the bytes of a live reply, blocking this thread while there are none.

    Args:
        stream: the reply.
        gone: returns whether the viewer has left; called while there is nothing to send.
    """
    wake_with_server()
    with closing(_pulled(stream, lambda: stream.expired or gone())) as pieces:
        for data in pieces:
            yield data
            if stream.expired:
                break
    if stream.expired:
        raise ConnectionResetError(ECONNRESET, "the share link of this viewer has expired")


def _pulled(stream: ResponseStream, gone: Callable[[], bool]) -> Generator[bytes, None, None]:
    own: ResponseStream | None = stream
    begin = True
    while own is not None:
        last = own
        subscriber = yield from _alone(own, gone, begin=begin)
        if subscriber is None:
            break
        with closing(subscriber):
            for data in subscriber:
                if data:
                    yield data
                elif gone():
                    return
            last, own, begin = subscriber.stream, subscriber.own_stream(), False
    stream.stopping = stream.stopping or last.stopping
    _cut_off(last)


def _alone(
    stream: ResponseStream, gone: Callable[[], bool], *, begin: bool
) -> Generator[bytes, None, Subscriber | None]:
    """Yield the bytes of a viewer's own steps until it can subscribe to a feed; None where they end first."""
    steps = stream.steps(begin=begin)
    subscriber = None
    try:
        for step in steps:
            if not isinstance(step, Wait):
                if step:
                    yield step
                if stream.confirms and gone():
                    return None
                continue
            if not step.away and (subscriber := subscribe(stream, steps, step)):
                return subscriber
            hub().wait(step.seen, step.timeout if step.away else retry_timeout(stream, step))
            if gone():
                return None
            stream.stopping = stream.stopping or stopping()
        return None
    finally:
        if subscriber is None:
            steps.close()


async def pull_async(stream: ResponseStream, cut: type[BaseException]) -> AsyncIterator[bytes]:
    """Yield the bytes of a live reply, for a framework that wants them from an asynchronous iterator.

    The framework cancels it when the viewer has left.

    Args:
        stream: the reply.
        cut: raised where it must be cut off in the middle: by it the framework closes the connection.
    """
    end_with_server()
    if asgi_needs_part():
        yield b""
    with closing(stream.steps()) as steps:
        for step in steps:
            if stream.expired:
                break
            if not isinstance(step, Wait):
                if step:
                    yield step
                continue
            await hub().wait_async(step.seen, step.timeout)
            stream.stopping = stream.stopping or stopping()
    if stream.cut or stream.expired:
        raise cut


def _cut_off(stream: ResponseStream) -> None:
    """Close the connection where the reply ends in the middle, by an error that servers do not log."""
    if stream.cut:
        raise ConnectionResetError(ECONNRESET, "the server ends, and this reply with it")
