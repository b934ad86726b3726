"""A view that streams: one URL that starts a run on GET and shows it, in any framework.

Owns when such a view starts something and when it must not: an EventSource that reconnects resumes
its run, by the id of its last event, and gets 204 when there is nothing more, after which it stops. A
view resumes only runs that it started itself. HEAD and prefetch start nothing: there is no viewer.

A browser that navigates to the view is led to the page of its run. Where runs are mounted
nowhere, or `authorize` lets this viewer not read there what the view gives out anyway, the page, its
files and the run's log are found behind the view's own URL, in a parameter: `/build?runcast=/runs/ID`.
A redirect there, too, so that a reload starts nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from runcast.errors import RuncastError, RunNotFound, StartFailed, UsageError
from runcast.keep import Keep
from runcast.model import Reason
from runcast.run import Run
from runcast.run.begun import first_state_of
from runcast.runs import Store
from runcast.supervisor.shared_keys import free_shared_key
from runcast.web.adapters.viewed import note_viewed
from runcast.web.api.log_reply import log_reply, problem_reply
from runcast.web.api.sticky_poll import keyed_poll
from runcast.web.http.messages import Reply, Request
from runcast.web.page import with_imports_below
from runcast.web.responder import Responder
from runcast.wire import HTML, POLL, TEXT, Form, Query, negotiate
from runcast.wire.resume_point import parse_event_id
from runcast.wire.text import one_line

__all__ = ["stream_reply"]

STOP_UNWATCHED = 60.0  # seconds: longer than a reload, a tunnel or a deploy takes
_NOTHING = Reply(204, [("Cache-Control", "no-store")])
_BELOW = re.compile(r"(?P<own>(?:.*?&)?)runcast=(?P<path>/[^?&]*)[?&]?(?P<query>.*)", re.DOTALL)


def _is_prefetch(request: Request) -> bool:
    purposes = (request.header("sec-purpose"), request.header("purpose"), request.header("x-moz"))
    return any("prefetch" in (purpose or "").lower() for purpose in purposes)


def stream_reply(
    store: Store,
    source: Any,
    request: Request,
    *,
    args: tuple[Any, ...] = (),
    view: str,
    runs: str | None,
    may_read: Callable[[Run], bool] = lambda run: True,
    interval: float | None = None,
    keep: Keep | None = None,
    options: Mapping[str, Any],
) -> Reply:
    """Return the reply of a view that streams a source.

    Args:
        store: where the run goes.
        source: what to run; or a run, which is shown.
        request: what came.
        args: the source's arguments, where it is a function.
        view: names the view, the same in every process and after a restart.
        runs: URL below which runs have their pages, where that is mounted.
        may_read: whether who sends the request may read a run there.
        interval: seconds of silence after which a visible line is given.
        keep: which of the runs that viewers' GETs started stay when they are over; None for all.
        options: for `Store.start`. A run without viewers is stopped after `STOP_UNWATCHED`, by default.
    """
    options = {"stop_unwatched": STOP_UNWATCHED, **options}
    mistakes: list[UsageError] = []  # in the view, not in the request: its author hears of them

    def start(**more: Any) -> Run:
        try:
            run = store.start(source, *args, view=view, **{**options, **more})
        except UsageError as error:
            mistakes.append(error)
            raise
        if keep is not None and options.get("keep") is None:
            note_viewed(store, view, run, keep)
        _expect_started(store, run, more.get("key"))
        return run

    if interval is not None and not (isinstance(interval, int | float) and interval > 0):
        raise UsageError(f"expected interval as seconds, more than 0, got {interval!r:.100}")
    try:
        if below := _BELOW.fullmatch(request.query):
            return _below(store, request, below, view, source)
        if request.method == "HEAD":
            return Reply(200, [("Content-Type", TEXT.content_type), ("Cache-Control", "no-store")])
        if _is_prefetch(request):
            return Reply(503, [("Cache-Control", "no-store"), ("Retry-After", "1")])
        if last := request.header("last-event-id"):
            found = _resumable(store, last, view, source)
            return log_reply(found, request, interval=interval) if found else _NOTHING
        # Before anything is started, for it may be refused.
        form = _form(request)
        # What is shared, or not repeated behind somebody's back, is kept, as by `start`.
        if request.method != "GET" or options.get("key") is not None:
            options, keep = {**options, "stop_unwatched": None}, None
        own = f"{_own_root(request)}/runs"
        runs = own if runs is None else runs
        if form is POLL and _goes_on(request, source, options):
            return keyed_poll(store, request, view, runs, lambda key: start(key=key))
        try:
            run = source if isinstance(source, Run) else start()
        except StartFailed as error:
            if form is not HTML:  # whose page says it
                return _failed(error, form, runs)
            run = store.get(error.run_id)
        if runs != own and not may_read(run):
            runs = own
        if form is HTML:
            return Reply(303, [("Location", f"{runs}/{run.id}"), ("Cache-Control", "no-store")])
        reply = log_reply(run, request, interval=interval, new=bool(first_state_of(run)))
        # Where a client that knows no event ids finds the same again.
        return replace(reply, headers=[*reply.headers, ("Content-Location", f"{runs}/{run.id}/log")])
    except RuncastError as error:
        if error in mistakes:
            raise
        return problem_reply(error)


def _expect_started(store: Store, run: Run, key: str | None) -> None:
    """See a command start, before anything is answered; that takes a millisecond, unless it has to wait.

    Args:
        store: of the run.
        run: was just started.
        key: of a poll, which is free again where there is nothing to poll.

    Raises:
        StartFailed: it could not be.
    """
    if "pid" in first_state_of(run) or run.request["source"] != "command":
        return
    if run.pid is None and (outcome := run.outcome) and outcome.reason is Reason.FAILED_TO_START:
        if key is not None:
            free_shared_key(store.path, key, run.id)
        raise StartFailed(run.id, outcome)


def _failed(error: StartFailed, form: Form, runs: str) -> Reply:
    """Return the answer of a view that could start nothing: a sentence for curl, a problem for programs."""
    reply = problem_reply(error)
    if form is TEXT:
        plain = [("Content-Type", TEXT.content_type), *list(reply.headers)[1:]]
        reply = Reply(reply.status, plain, one_line(f"[runcast: {error.outcome}]") + b"\n")
    return reply.adding((("Content-Location", f"{runs}/{error.run_id}/log"),))


def _form(request: Request) -> Form:
    """Return the form that a viewer gets. One with a key of its own polls, unless it says otherwise.

    Raises:
        UsageError, NotAcceptable: a parameter is not what it should be; there is no such form.
    """
    accept, format = request.header("accept"), Query.parse(request.parameters).format
    if format is None and (accept or "*/*").strip() == "*/*" and request.method == "GET":
        if any(name == "key" for name, _ in request.parameters):
            return POLL
    return negotiate(accept, format)


def _goes_on(request: Request, source: Any, options: Mapping[str, Any]) -> bool:
    """Return whether a poll is one of many of the same URL, which keeps its place for the client."""
    if isinstance(source, Run) or options.get("key") is not None or request.method != "GET":
        return False
    return not {"offset", "line", "tail", "since"} & {name for name, _ in request.parameters}


def _shows(view: str, source: Any, run: Run) -> bool:
    """Return whether a view started a run, or was given it to show."""
    given = isinstance(source, Run) and source.id == run.id
    return given or run.request.get("view") == view


def _resumable(store: Store, last_event_id: str, view: str, source: Any) -> Run | None:
    """Return the run that an id names, if this view started it and there is more to say."""
    parsed = parse_event_id(last_event_id)
    if parsed is None or parsed.resume_point is None:
        return None
    try:
        run = store.get(parsed.run)
    except RunNotFound:
        return None
    return run if run.id == parsed.run and _shows(view, source, run) else None


def _own_root(request: Request, own: str | None = None) -> str:
    """Return the view's URL up to where a path behind it begins."""
    if own is None:
        own = f"{request.query}&" if request.query else ""
    # One slash: two would name another host.
    path = "/" + quote((request.root + request.path).lstrip("/"))
    return f"{path}?{quote(own, safe='=&%+,;:@/?!$*()~')}runcast="


def _below(store: Store, request: Request, below: re.Match[str], view: str, source: Any) -> Reply:
    """Answer what is behind a view's own URL: runs that it shows, to be read, and the page's files."""
    root = _own_root(request, below["own"])

    def authorize(verb: str, run: Run | None, request: Request) -> bool:
        return verb == "read" and run is not None and _shows(view, source, run)

    inner = replace(request, root=root, path=below["path"], query=below["query"])
    reply = Responder(store, authorize=authorize).respond(inner)
    if any(name == "Content-Type" and value.startswith("text/javascript") for name, value in reply.headers):
        return replace(reply, body=with_imports_below(reply.body, f"{root}/runs/-/assets"))
    return reply
