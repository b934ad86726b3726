"""The views of the API that is mounted where the urls are included.

Owns the two ways to wait for news: a thread under WSGI, which has one for each request anyway,
and a task under ASGI. Django tells a task by cancelling it that the client has left.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponseBase
from django.views.decorators.csrf import csrf_exempt

from runcast.errors import RuncastError
from runcast.readers import hub
from runcast.web.adapters.runcast_app import body_limit
from runcast.web.adapters.uploads import body_file_for, with_form
from runcast.web.api.durable.reads import Later
from runcast.web.api.durable.routes import with_always
from runcast.web.api.log_reply import problem_reply
from runcast.web.api.stdin_gate import is_sent, sent
from runcast.web.django.database import closing as closing_connections
from runcast.web.django.login import login_instead
from runcast.web.django.views import cast, to_request, to_response
from runcast.web.http.bodies import parse_length, read_whole
from runcast.web.http.messages import Reply, Request
from runcast.web.http.paths import is_stream
from runcast.web.live.feeds import Feeds
from runcast.web.live.once_here import here
from runcast.web.servers.shutdown import end_with_server, stopping
from runcast.web.wsgi import client_gone, read_body

__all__ = ["aserve", "serve"]

_feeds = Feeds()  # of clients that write to a program; notified when the server ends


@csrf_exempt  # RuncastApp.serve asks the browser which page sent what changes something
def serve(request: HttpRequest, path: str) -> HttpResponseBase:
    """Answer a request to the mounted API."""
    below = _below(request, path)
    try:
        below = _with_body(request, below)
    except RuncastError as error:
        return to_response(problem_reply(error), request)
    # Nobody waits here under ASGI, where there is no environment: what may have to has `aserve`.
    reply = cast().serve(below, lambda: client_gone(request.environ)())
    return login_instead(reply, below) or to_response(reply, request)


async def aserve(request: HttpRequest, path: str) -> HttpResponseBase:
    """Answer a request that may have to wait; the event loop goes on meanwhile."""

    below = _below(request, path)

    def begin() -> Reply | Later | Request:  # in a thread: `authorize` may ask the database
        try:
            whole = _with_body(request, below)
        except RuncastError as error:
            return problem_reply(error)
        if (screened := cast().screened(whole)) is not None:
            return screened
        return cast().durable.respond(whole) if is_stream(whole.path) else whole

    async def answer() -> Reply:
        reply = await sync_to_async(begin)()
        if isinstance(reply, Request) and is_sent(reply):
            return await sent(closing_connections(cast().responder.respond), reply, _feeds)
        if isinstance(reply, Request):
            return await sync_to_async(cast().responder.respond)(reply)
        return await _settle(reply, below) if isinstance(reply, Later) else reply

    reply = await answer()
    while reply.away is not None and await here(reply.away, stopping):
        reply = await answer()
    return to_response(cast().origins.apply(below, reply), request)


# By hand: the decorator of Django 4.2 makes a function of it that is not async, and its reply a coroutine.
aserve.csrf_exempt = True  # type: ignore[attr-defined]


def _below(request: HttpRequest, path: str) -> Request:
    values = to_request(request)
    root = values.root + values.path.removesuffix(f"/{path}")
    return cast().identified(replace(values, path=f"/{path}", root=root))


def _with_body(request: HttpRequest, below: Request) -> Request:
    if (file := body_file_for(cast(), below)) is None:
        return replace(below, body=_read_body(request, body_limit(below.path)))
    file.read_from(request.read, parse_length(request.META.get("CONTENT_LENGTH"), file.limit))
    return with_form(below, file)


def _read_body(request: HttpRequest, limit: int) -> bytes:
    """Return the body, by our limit; that of the settings is for forms."""
    if request.method in ("GET", "HEAD"):
        return b""
    if request.headers.get("Transfer-Encoding") and hasattr(request, "environ"):
        return read_body(request.environ, limit)  # Django would take it for empty
    return read_whole(request.read, parse_length(request.META.get("CONTENT_LENGTH"), limit), limit)


async def _settle(later: Later, request: Request) -> Reply:
    end_with_server()
    try:
        with closing(later.steps()) as steps:
            for step in steps:
                if isinstance(step, Reply):
                    return with_always(step)
                await hub().wait_async(step.seen, step.timeout)
                later.stopping = later.stopping or stopping()
    except RuncastError as error:
        return cast().durable.refused(request, error)
    raise AssertionError("a long-poll ends in a reply")
