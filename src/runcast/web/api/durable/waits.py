"""Waiting for a reply: in an event loop, which must not block, or in a thread of its own.

Owns where an append is made: a small one in the loop, for that takes microseconds and a thread
would take ten times as long; what may wait (for another appender, for the disk) in a thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import closing
from typing import Any

from runcast.errors import RuncastError
from runcast.own_thread import in_pool
from runcast.readers import Wait, hub
from runcast.web.api.durable.reads import Later
from runcast.web.api.durable.routes import Busy, Durable, with_always
from runcast.web.http.messages import Reply, Request
from runcast.web.http.response_stream import DURABLE
from runcast.web.live.feeds import Feeds
from runcast.web.servers.shutdown import end_with_server, stopping, wake_with_server

__all__ = ["Gone", "answer", "answer_async", "may_be_at_once"]

_AT_ONCE_BYTES = 64 * 1024

Gone = Callable[[], Coroutine[Any, Any, None]]
"""Returns when the client has left."""


def answer(durable: Durable, request: Request, gone: Callable[[], bool] = lambda: False) -> Reply:
    """Answer a request, blocking this thread while there is nothing to say.

    Args:
        durable: whose streams.
        request: what came.
        gone: returns whether the client has left; called while there is nothing to send.
    """
    reply = durable.respond(request)
    if isinstance(reply, Reply):
        return reply
    wake_with_server()
    try:
        with closing(reply.steps()) as steps:
            for step in steps:
                if isinstance(step, Reply):
                    return with_always(step)
                hub().wait(step.seen, step.timeout)
                reply.stopping = reply.stopping or stopping() or gone()
    except RuncastError as error:
        return durable.refused(request, error)
    raise AssertionError("a long-poll ends in a reply")


async def answer_async(durable: Durable, request: Request, feeds: Feeds, gone: Gone) -> Reply:
    """Answer a request, suspending this task while there is nothing to say.

    Args:
        durable: whose streams.
        request: what came.
        feeds: notified when the server ends.
        gone: returns when the client has left.
    """
    reply: Reply | Later
    if not durable.is_quick(request):
        reply = await in_pool(durable.respond, request)
    elif request.method in ("GET", "HEAD", "OPTIONS"):
        reply = durable.respond(request)
    elif may_be_at_once(request):
        try:
            reply = durable.respond(request, wait=False)
        except Busy:
            reply = await in_pool(durable.respond, request)
    else:
        reply = await in_pool(durable.respond, request)
    if isinstance(reply, Reply):
        return reply
    try:
        return await _later(reply, feeds, gone)
    except RuncastError as error:
        return durable.refused(request, error)


def may_be_at_once(request: Request) -> bool:
    """Return whether a request is an append that a disk will not hold up: a small one that closes nothing."""
    return (
        request.method == "POST"
        and len(request.body) <= _AT_ONCE_BYTES
        and request.header("stream-closed") is None
    )


async def _later(later: Later, feeds: Feeds, gone: Gone) -> Reply:
    end_with_server(feeds)
    waiting = asyncio.ensure_future(_settle(later))
    leaving = asyncio.ensure_future(gone())
    ending: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    feeds.polls.add(ending)
    feeds.viewers[f"{DURABLE}long-poll"] += 1
    try:
        if not feeds.stopping:
            first: set[asyncio.Future[Any]] = {waiting, leaving, ending}
            await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        if waiting.done():
            return waiting.result()
        later.stopping = True  # nobody is there any more, or the server ends: say what there is
        return await _settle(later)
    finally:
        feeds.polls.discard(ending)
        feeds.viewers[f"{DURABLE}long-poll"] -= 1
        for one in (waiting, leaving):
            one.cancel()
        await asyncio.gather(waiting, leaving, return_exceptions=True)


async def _settle(later: Later) -> Reply:
    with closing(later.steps()) as steps:
        for step in steps:
            if isinstance(step, Wait):
                await hub().wait_async(step.seen, step.timeout)
            else:
                return with_always(step)
    raise AssertionError("a long-poll ends in a reply")
