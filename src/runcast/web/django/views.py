"""Views that stream, Django's requests and responses, and the store that the settings name.

Owns the choice of the iterator: Django collects a whole response where the kind of iterator is
not the server's (an asynchronous one under WSGI, a synchronous one under ASGI).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import cache
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, Unpack

from asgiref.sync import async_to_sync
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured, RequestAborted
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.urls import NoReverseMatch, reverse
from django.utils.module_loading import import_string

from runcast.errors import UsageError
from runcast.own_thread import in_pool
from runcast.run import Run
from runcast.sources.run_context import note_starter
from runcast.web.adapters.decorate import decorated
from runcast.web.adapters.runcast_app import OPTIONS, RuncastApp
from runcast.web.adapters.users import name_of
from runcast.web.django.database import closing
from runcast.web.http.messages import Reply, Request
from runcast.web.live.pull import pull_async
from runcast.web.servers.advice import advise_asgi
from runcast.web.servers.unwritable import warn_unwritable
from runcast.web.wsgi import live_body

if TYPE_CHECKING:
    from runcast.options.typed import StartOptions, StreamOptions

__all__ = ["astream", "cast", "make_cast", "start", "stream", "to_request", "to_response"]

_SETTINGS = tuple(name.upper() for name in OPTIONS)


class _Cut(RequestAborted, asyncio.CancelledError):
    """A reply that ends in the middle, as Django takes it: the first since 6.1, before that the second."""


class _DjangoProject(RuncastApp):
    warns = False  # `cast` does: the checks have a message of their own

    def debug(self, request: Request | None) -> bool:
        """Return the setting DEBUG."""
        return bool(settings.DEBUG)

    def user_name(self, request: Request) -> str | None:
        """Return the name of `request.user`, or of the user that the server names."""
        name = name_of(getattr(request.original, "user", None))
        return request.original.META.get("REMOTE_USER") or None if name is None else name

    def own_secret(self) -> str | bytes | None:
        """Return the setting SECRET_KEY."""
        try:
            return str(settings.SECRET_KEY)
        except ImproperlyConfigured:
            return None

    def mounted_for(self, request: Request) -> str | None:
        """Return where the urls of this request include ours: a middleware may give each host its own."""
        try:
            path = str(reverse("runcast:runs", args=["runs"]))
        except NoReverseMatch:
            return None
        return path.removesuffix("/runs").removeprefix(request.root)


def make_cast() -> RuncastApp:
    """Return the application that the settings describe.

    Raises:
        UsageError: they have a key that there is none of, or are refused by `RuncastApp`.
    """
    options = dict(getattr(settings, "RUNCAST", {}))
    if unknown := set(options) - set(_SETTINGS):
        raise UsageError(f"expected {', '.join(_SETTINGS)}, got {sorted(unknown)[0]!r}")
    for name in ("AUTHORIZE", "USER"):
        if isinstance(options.get(name), str):
            options[name] = import_string(options[name])
    if iscoroutinefunction(options.get("AUTHORIZE")):
        # Django's own way: what it awaits may use the thread of the request, which blocks here.
        options["AUTHORIZE"] = async_to_sync(options["AUTHORIZE"])
    return _DjangoProject(**{name.lower(): value for name, value in options.items()})


@cache
def cast() -> RuncastApp:
    """Return this project's runs."""
    made = make_cast()
    warn_unwritable(made.store.path)
    return made


def start(source: Any, *args: Any, **options: Unpack[StartOptions]) -> Run:
    """Start a run that no viewer's leaving ends; see `Store.start`."""
    made = closing(source, process=bool(options.get("process")))
    return cast().start(made, *args, **options)


def stream(request: Any = None, source: Any = None, *args: Any, **options: Unpack[StreamOptions]) -> Any:
    """Return the response of a view: start a run and stream it, or go on with the viewer's own.

    curl gets text, an EventSource events, a browser is led to the live page. Without a request it
    is a decorator, which makes a view of a generator or a function that takes the request.

    Args:
        request: the view's, synchronous or not.
        source: what to run: a command, a function or a generator.
        args: the function's.
        options: `interval` (see `RuncastApp.view`), and those of `Store.start`.
    """
    if not isinstance(request, HttpRequest):
        return decorated(_stream_first, request, options)
    if source is None:
        raise UsageError("expected stream(request, source): what to run is missing")
    values = to_request(request)
    view = f"django:{values.root}{values.path}"
    made = closing(source, process=bool(options.get("process")))
    return to_response(cast().view(values, view, made, args, **options), request)


async def astream(
    request: HttpRequest, source: Any, *args: Any, **options: Unpack[StreamOptions]
) -> HttpResponseBase:
    """Do what `stream` does; the event loop goes on while the run is started."""
    note_starter()  # before what starts it is another context
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
        peer=request.META.get("REMOTE_ADDR") or "",
    )


def to_response(reply: Reply, request: HttpRequest) -> HttpResponseBase:
    """Return a reply as Django and the server of a request know it."""
    response: HttpResponseBase
    if reply.stream is None:
        response = HttpResponse(reply.body, status=reply.status)
    elif hasattr(request, "scope"):
        advise_asgi()
        response = StreamingHttpResponse(pull_async(reply.stream, _Cut), status=reply.status)
    else:
        response = StreamingHttpResponse(live_body(reply.stream, request.environ), status=reply.status)
    del response.headers["Content-Type"]
    for name, value in reply.headers:
        response.headers[name] = value
    if reply.stream is not None:
        # GZipMiddleware would collect a stream under WSGI; it leaves alone what has an encoding.
        response.headers["Content-Encoding"] = "identity"
    return response
