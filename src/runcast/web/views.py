"""A view that streams: one URL that starts a run on GET and shows it, in any framework.

Owns when such a view starts something and when it must not: an EventSource that reconnects gets
on with its run where it left off, by the id of its last event, and is told when there is nothing
more (204, after which it stops). It resumes only what this view started itself. HEAD and
prefetch start nothing: nobody is there to watch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runcast.errors import RuncastError, RunNotFound
from runcast.run import Run
from runcast.sources.command import Command
from runcast.store import Store
from runcast.web.http import Reply, Request
from runcast.web.logs import log_reply, problem_reply
from runcast.wire.place import parse_event_id

__all__ = ["STOP_UNWATCHED", "stream_reply"]

STOP_UNWATCHED = 60.0  # seconds: longer than a reload, a tunnel or a deploy takes
_NOTHING = Reply(204, [("Cache-Control", "no-store")])


def _is_prefetch(request: Request) -> bool:
    purposes = (request.header("sec-purpose"), request.header("purpose"), request.header("x-moz"))
    return any("prefetch" in (purpose or "").lower() for purpose in purposes)


def stream_reply(
    store: Store,
    command: Command,
    request: Request,
    *,
    view: str,
    runs: str | None,
    interval: float | None = None,
    options: Mapping[str, Any],
) -> Reply:
    """Return the reply of a view that streams a command.

    Args:
        store: where the run goes.
        command: what to run.
        request: what came.
        view: names the view, the same in every process and after a restart.
        runs: URL below which runs have their pages, where that is mounted.
        interval: seconds of silence after which a visible line is given.
        options: for `Store.start`.
    """
    try:
        if request.method == "HEAD":
            return Reply(200, [("Content-Type", "text/plain; charset=utf-8"), ("Cache-Control", "no-store")])
        if _is_prefetch(request):
            return Reply(503, [("Cache-Control", "no-store"), ("Retry-After", "1")])
        if last := request.header("last-event-id"):
            run = _resumable(store, last, view)
            return log_reply(run, request, interval=interval) if run else _NOTHING
        run = store.start(command, view=view, **options)
        if runs is not None and "text/html" in (request.header("accept") or ""):
            return Reply(303, [("Location", f"{runs}/{run.id}"), ("Cache-Control", "no-store")])
        return log_reply(run, request, interval=interval)
    except RuncastError as error:
        return problem_reply(error)


def _resumable(store: Store, last_event_id: str, view: str) -> Run | None:
    """Return the run that an id names, if this view started it and there is more to say."""
    parsed = parse_event_id(last_event_id)
    if parsed is None or parsed.place is None:
        return None
    try:
        run = store.get(parsed.run)
    except RunNotFound:
        return None
    return run if run.id == parsed.run and run.request.get("view") == view else None
