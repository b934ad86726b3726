"""Views that stream, Django's requests and responses, and the store that the settings name.

Owns the choice of the iterator: Django collects a whole response where the kind of iterator is
not the server's (an asynchronous one under WSGI, a synchronous one under ASGI).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.urls import NoReverseMatch, reverse
from django.utils.module_loading import import_string

from runcast.errors import UsageError
from runcast.own_thread import in_pool
from runcast.run import Run
from runcast.web.adapter import OPTIONS, Cast, decorated
from runcast.web.django.database import closing
from runcast.web.http import Reply, Request
from runcast.web.servers import advise_asgi
from runcast.web.streams import pull_async
from runcast.web.wsgi import live_body

__all__ = ["astream", "cast", "make_cast", "start", "stream", "to_request", "to_response"]

_SETTINGS = tuple(name.upper() for name in OPTIONS)


def make_cast() -> Cast:
    """Return what the settings say.

    Raises:
        UsageError: they have a key that there is none of, or are refused by `Cast`.
    """
    asked = dict(getattr(settings, "RUNCAST", {}))
    if unknown := set(asked) - set(_SETTINGS):
        raise UsageError(f"expected {', '.join(_SETTINGS)}, got {sorted(unknown)[0]!r}")
    if isinstance(asked.get("AUTHORIZE"), str):
        asked["AUTHORIZE"] = import_string(asked["AUTHORIZE"])
    return Cast(**{name.lower(): value for name, value in asked.items()})


@cache
def cast() -> Cast:
    """Return this project's runs."""
    return make_cast()


def start(source: Any, *args: Any, **options: Any) -> Run:
    """Start a run that no viewer's leaving ends; see `Store.start`."""
    return cast().start(closing(source), *args, **options)


def stream(request: Any = None, source: Any = None, *args: Any, **options: Any) -> Any:
    """Return the response of a view: start a run and stream it, or go on with the viewer's own.

    curl gets text, an EventSource events, a browser is led to the live page. Without a request it
    is a decorator, which makes a view of a generator or a function that takes the request.

    Args:
        request: the view's, synchronous or not.
        source: what to run: a command, a function or a generator.
        args: the function's.
        options: `interval`, `stop_unwatched` (see `Cast.view`) and those of `Store.start`.
    """
    if not isinstance(request, HttpRequest):
        return decorated(_stream_first, request, options)
    if source is None:
        raise UsageError("expected stream(request, source): what to run is missing")
    asked = to_request(request)
    one = cast()
    try:
        one.mounted = reverse("runcast:runs", args=["runs"]).removesuffix("/runs")
        one.mounted = one.mounted.removeprefix(asked.root)
    except NoReverseMatch:
        one.mounted = None
    view = f"django:{asked.root}{asked.path}"
    return to_response(one.view(asked, view, closing(source), args, **options), request)


async def astream(request: HttpRequest, source: Any, *args: Any, **options: Any) -> HttpResponseBase:
    """Do what `stream` does; the event loop goes on while the run is started."""
    response: HttpResponseBase = await in_pool(stream, request, source, *args, **options)
    return response


def _stream_first(function: Callable[..., Any], request: HttpRequest, *args: Any, **options: Any) -> Any:
    return stream(request, function, request, *args, **options)


def to_request(request: HttpRequest) -> Request:
    """Return a request as we know it, without its body."""
    return Request(
        request.method or "GET",
        request.path_info,
        request.META.get("SCRIPT_NAME", "").rstrip("/"),
        request.META.get("QUERY_STRING", ""),
        {name.lower(): value for name, value in request.headers.items()},
        scheme=request.scheme or "http",
        original=request,
    )


def to_response(reply: Reply, request: HttpRequest) -> HttpResponseBase:
    """Return a reply as Django and the server of a request know it."""
    response: HttpResponseBase
    if reply.stream is None:
        response = HttpResponse(reply.body, status=reply.status)
    elif hasattr(request, "scope"):
        advise_asgi()
        response = StreamingHttpResponse(pull_async(reply.stream), status=reply.status)
    else:
        response = StreamingHttpResponse(live_body(reply.stream, request.environ), status=reply.status)
    del response.headers["Content-Type"]
    for name, value in reply.headers:
        response.headers[name] = value
    if reply.stream is not None:
        # GZipMiddleware would collect a stream under WSGI; it leaves alone what has an encoding.
        response.headers["Content-Encoding"] = "identity"
    return response
