"""Requests that need bytes which are not on this disk: answered once these were brought here.

Owns the wait before a reply begins; one that has begun waits in its steps. Only requests that read lack
anything, so to answer one again does nothing twice. Must not know routes.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

from runcast.errors import ArtifactAway, SegmentAway
from runcast.log import FileLog
from runcast.readers import Steps, Wait, fetched, hub
from runcast.run.artifacts import once_brought
from runcast.web.http.messages import Reply
from runcast.web.servers.shutdown import stopping

__all__ = ["here", "once_here"]


def once_here(respond: Callable[[], Reply], gone: Callable[[], bool] = lambda: False) -> Reply:
    """Answer a request, blocking this thread while what it needs is not here.

    Args:
        respond: answers it; called again after each wait.
        gone: returns whether the client has left.
    """
    reply = respond()
    while reply.away is not None and _brought(reply.away, gone):
        reply = respond()
    return reply


def _brought(away: SegmentAway | ArtifactAway, gone: Callable[[], bool]) -> bool:
    with closing(_steps(away, lambda: stopping() or gone())) as steps:
        for step in steps:
            if not isinstance(step, Wait):
                return step
            hub().wait(step.seen, step.timeout)
    return False


async def here(away: SegmentAway | ArtifactAway, ends: Callable[[], bool]) -> bool:
    """Suspend this task until something is here; return False where nothing brings it, or the server ends."""
    with closing(_steps(away, ends)) as steps:
        for step in steps:
            if not isinstance(step, Wait):
                return step
            await hub().wait_async(step.seen, step.timeout)
    return False


def _steps(away: SegmentAway | ArtifactAway, ends: Callable[[], bool]) -> Steps[bool]:
    if isinstance(away, ArtifactAway):
        yield (yield from once_brought(away, ends))
        return
    log = FileLog(away.path)

    def look() -> bool:
        if (still := log.away(away.start)) is not None:
            raise still
        return True

    try:
        yield (yield from fetched(log, look, ends, until=away.until))
    except SegmentAway:
        yield False
    finally:
        log.close()
