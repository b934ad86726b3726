"""Runs in a Starlette or FastAPI application: a response for a view, and the API at its paths.

cast = Runcast(app)

@app.get("/build")
async def build():
    return cast.stream(["make"])
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import re
from collections.abc import AsyncIterator, Callable, Iterator, MutableMapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Unpack

from runcast.web.adapters.decorate import decorated, refuse_mistakes
from runcast.web.adapters.extras import needs
from runcast.web.adapters.runcast_app import RuncastApp, body_limit
from runcast.web.asgi import gone, receive_request, send_reply, serve_socket, to_request
from runcast.web.http import messages
from runcast.web.live.feeds import Feeds
from runcast.web.servers.left_running import log_now

with needs("starlette"):
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute, Mount, Route
    from starlette.types import Receive, Scope, Send

if TYPE_CHECKING:
    from runcast.options.typed import StreamOptions

__all__ = ["RunStream", "Runcast"]


class Runcast(RuncastApp):
    """The runs of an application, and the ASGI application that is mounted for them.

    Needs no lifespan. Without being mounted it streams, too.

    Args:
        app: the application in which to mount the API, Starlette's or FastAPI's.
        prefix: below which path to mount `/runs` and `/v1/stream`.
        options: `store`, `authorize`, `commands`, and others; see `RuncastApp`.
    """

    sockets = True

    def __init__(self, app: Starlette | None = None, *, prefix: str = "", **options: Any) -> None:
        super().__init__(**options)
        self.feeds = Feeds()
        self._app = app
        self._routes: list[BaseRoute] = [] if app is None else app.router.routes
        if app is not None:
            self.mounted = prefix.rstrip("/")
            for rule in self.rules:
                below = _Below(self, rule)  # a mount has what is behind its path, not the path itself
                mount = Mount(self.mounted + rule, below)
                mount.path_regex = re.compile(mount.path_regex.pattern, re.DOTALL)  # a path is any bytes
                self._routes += [Route(self.mounted + rule, below), mount]
            app.router.lifespan_context = self._saying(app.router.lifespan_context)

    def _saying(self, lifespan: Any) -> Any:
        """Return a lifespan that says at its end what goes on: uvicorn ends by the signal that it got."""

        @contextlib.asynccontextmanager
        async def saying(app: Any) -> AsyncIterator[Any]:
            async with lifespan(app) as state:
                yield state
            log_now(self.store)

        return saying

    def debug(self, request: messages.Request | None) -> bool:
        """Return the `debug` of the application that answers, or of the one that this is mounted in."""
        app = self._app if request is None else request.original.get("app", self._app)
        return bool(getattr(app, "debug", False))

    def stream(self, source: Any = None, *args: Any, **options: Unpack[StreamOptions]) -> Any:
        """Return the response of a view: it starts a run and streams it, or goes on with the viewer's own.

        curl gets text, an EventSource events, a browser is led to the live page. It is a
        decorator, too, which makes a view of a generator or a function.

        Args:
            source: what to run: a command, a function or a generator.
            args: the function's.
            options: `interval` (see `RuncastApp.view`), and those of `Store.start`.
        """
        if source is None:
            return decorated(self._stream, source, options, self._views())
        if callable(source) and not args and "kwargs" not in options:
            view = decorated(self._stream, source, options, self._views())
            return _StreamOrView(view, self, source, **options)
        return self._stream(source, *args, **options)

    def _stream(self, source: Any, *args: Any, **options: Any) -> RunStream:
        """Return the response of a decorated function; one that takes no request gets none."""
        if len(args) == 1 and isinstance(args[0], Request) and not _takes_one(source):
            args = ()
        refuse_mistakes(source, args, options)  # here, in the view, and not where the response is sent
        return RunStream(self, source, *args, **options)

    def _views(self) -> Iterator[object]:
        """Yield what the routes of our application call."""
        yield from (getattr(route, "endpoint", None) for route in self._routes)

    def shutdown(self) -> None:
        """Have every live reply end itself, now and from now on; call it in the event loop."""
        self.feeds.shutdown()


class RunStream(Response):
    """The response of a view that streams; see `Runcast.stream`."""

    def __init__(self, cast: Runcast, source: Any, *args: Any, **options: Any) -> None:
        super().__init__()
        self._cast, self._source, self._args, self._options = cast, source, args, options

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Start the run, unless the viewer has one, and stream it."""
        request = to_request(scope, b"")
        view = f"starlette:{request.root}{request.path}"
        cast = self._cast
        reply = await cast.view_async(request, view, self._source, self._args, **self._options)
        own = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in self.raw_headers]
        kept = [(name, value) for name, value in own if name != "content-length"]  # a view's cookies
        await send_reply(replace(reply, headers=[*reply.headers, *kept]), cast.feeds, scope, receive, send)
        if self.background is not None:
            await self.background()


class _StreamOrView(functools.partial[RunStream], RunStream):
    """What `stream(function)` returns: the response of a view, or by `@stream` a view itself.

    Nothing tells these two apart when it is made: no framework here says that a request is
    answered. So it is whichever it is used as. Frameworks look into a `functools.partial` for the
    function, and take this for one; a response is what they call with a connection.
    """

    def __new__(cls, view: Callable[..., RunStream], *args: Any, **options: Any) -> _StreamOrView:
        """Make a partial of the view, without arguments."""
        return super().__new__(cls, view)

    def __init__(self, view: Callable[..., RunStream], cast: Runcast, source: Any, **options: Any) -> None:
        super(functools.partial, self).__init__(cast, source, **options)
        functools.update_wrapper(self, view)
        del self.__dict__["__wrapped__"]
        self.__signature__ = inspect.signature(view)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Answer with this response, given a connection; else, as a view, return a response."""
        if len(args) == 3 and isinstance(args[0], MutableMapping) and "type" in args[0]:
            return RunStream.__call__(self, *args)
        return self.func(*args, **kwargs)


def _takes_one(function: Any) -> bool:
    """Return whether a function can be called with one argument, as far as it says."""
    try:
        inspect.signature(function).bind(None)
    except TypeError:
        return False
    except ValueError:  # some built-in functions do not say
        pass
    return True


class _Below:
    """The API behind one path, as Starlette mounts it."""

    def __init__(self, cast: Runcast, rule: str) -> None:
        self._cast, self._rule = cast, rule

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        cast = self._cast
        request = to_request(scope, b"")
        here = f"{cast.mounted}{self._rule}"
        root, rest = request.root.removesuffix(here), request.path.removeprefix(here)
        request = replace(request, root=f"{root}{cast.mounted}", path=self._rule + rest)
        if scope["type"] == "websocket":
            await serve_socket(cast, cast.feeds, request, scope, receive, send)
            return
        whole = await receive_request(cast, request, scope, receive, send, body_limit(request.path))
        if whole is None:
            return
        reply = await cast.serve_async(whole, cast.feeds, lambda: gone(receive))
        await send_reply(reply, cast.feeds, scope, receive, send)
