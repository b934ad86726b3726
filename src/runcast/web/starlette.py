"""Runs in a Starlette or FastAPI application: a response for a view, and the API at its paths.

cast = Runcast(app)

@app.get("/build")
async def build():
    return cast.stream(["make"])
"""

from __future__ import annotations

import inspect
import re
from collections.abc import MutableMapping
from dataclasses import replace
from typing import Any

from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.types import Receive, Scope, Send

from runcast.own_thread import in_pool
from runcast.web.adapter import Cast, body_limit, decorated
from runcast.web.asgi import receive_body, send_reply, serve_async, serve_socket, to_request
from runcast.web.feeds import Feeds

__all__ = ["RunStream", "Runcast"]


class Runcast(Cast):
    """The runs of an application, and the ASGI application that is mounted for them.

    Needs no lifespan. Without being mounted it streams, too.

    Args:
        app: the application in which to mount the API, Starlette's or FastAPI's.
        prefix: below which path to mount `/runs` and `/v1/stream`.
        options: `store`, `authorize`, `commands`, and others; see `Cast`.
    """

    def __init__(self, app: Starlette | None = None, *, prefix: str = "", **options: Any) -> None:
        super().__init__(**options)
        self.feeds = Feeds()
        if app is not None:
            self.mounted = prefix.rstrip("/")
            for rule in self.rules:
                below = _Below(self, rule)  # a mount has what is behind its path, not the path itself
                mount = Mount(self.mounted + rule, below)
                mount.path_regex = re.compile(mount.path_regex.pattern, re.DOTALL)  # a path is any bytes
                app.router.routes += [Route(self.mounted + rule, below), mount]

    def stream(self, source: Any = None, *args: Any, **options: Any) -> Any:
        """Return the response of a view: it starts a run and streams it, or goes on with the viewer's own.

        curl gets text, an EventSource events, a browser is led to the live page. A generator
        function without arguments, or nothing, makes it a decorator; to stream such a function
        from a view, call it: `stream(numbers())`.

        Args:
            source: what to run: a command, a function or a generator.
            args: the function's.
            options: `interval`, `stop_unwatched` (see `Cast.view`) and those of `Store.start`.
        """
        bare = inspect.isgeneratorfunction(source) or inspect.isasyncgenfunction(source)
        if source is None or (bare and not args and "kwargs" not in options):
            return decorated(self._stream, source, options)
        return self._stream(source, *args, **options)

    def _stream(self, source: Any, *args: Any, **options: Any) -> RunStream:
        return RunStream(self, source, *args, **options)

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
        reply = await in_pool(cast.view, request, view, self._source, self._args, **self._options)
        own = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in self.raw_headers]
        kept = [(name, value) for name, value in own if name != "content-length"]  # a view's cookies
        await send_reply(replace(reply, headers=[*reply.headers, *kept]), cast.feeds, scope, receive, send)
        if self.background is not None:
            await self.background()


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
        body = await receive_body(scope, receive, send, body_limit(request.path))
        if body is None:
            return
        reply = await serve_async(cast, cast.feeds, replace(request, body=body), receive)
        await send_reply(reply, cast.feeds, scope, receive, send)
