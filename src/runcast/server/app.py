"""The server's application: the runs, and what a server needs beside them, behind the guard.

Owns the routes that are not the runs'. The router alone, without Starlette's application around
it: that would wrap `send` three times more, for every byte of every viewer.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route, Router

from runcast.durable import Caps
from runcast.server.guard import Guard
from runcast.server.guarded import Guarded, Receive, Scope, Send
from runcast.server.metrics import CONTENT_TYPE, Metrics
from runcast.store import Store
from runcast.web.asgi import RunsASGI
from runcast.web.commands import NamedCommand
from runcast.web.durable.routes import is_stream

__all__ = ["OPEN", "ServerApp"]

OPEN = "/healthz"  # for everybody: it tells nothing, and whoever asks has no token


class ServerApp:
    """The ASGI application of `runcast serve`.

    Args:
        store: whose runs.
        guard: decides who may ask.
        commands: what may be started by name.
        allow_any_command: whether any command may be started.
        log_requests: write a line to the log `runcast.access` for each request.

    Attributes:
        routes: the paths that are answered here, each with GET; all others are the runs'.
    """

    def __init__(
        self,
        store: Store,
        guard: Guard,
        *,
        commands: Mapping[str, NamedCommand],
        allow_any_command: bool = False,
        log_requests: bool = False,
    ) -> None:
        self._runs = RunsASGI(store, commands=commands, allow_any_command=allow_any_command)
        self._runs.durable.public = not guard.asks
        self._runs.origins = guard.origins
        metrics = Metrics(lambda: self._runs.responder.started, lambda: self._runs.feeds.viewers)
        description = files("runcast.server").joinpath("openapi.json").read_bytes()

        async def to_runs(_: Request) -> Response:
            return RedirectResponse("/runs", 303)

        async def health(_: Request) -> Response:
            return PlainTextResponse("ok\n")

        async def show_metrics(_: Request) -> Response:
            return Response(
                metrics.text(), headers={"Content-Type": CONTENT_TYPE, "Cache-Control": "no-store"}
            )

        async def openapi(_: Request) -> Response:
            return Response(description, media_type="application/json")

        router = Router(
            [
                Route("/", to_runs),
                Route(OPEN, health),
                Route("/metrics", show_metrics),
                Route("/openapi.json", openapi),
                Mount("/", self._runs),
            ]
        )
        self.routes = [route.path for route in router.routes if isinstance(route, Route)]

        async def route(scope: Scope, receive: Receive, send: Send) -> None:
            # An append takes less time than the router would to find out that it has no route for it.
            app = self._runs if is_stream(scope.get("path", "")) else router
            await app(scope, receive, send)

        self._app = Guarded(route, guard, metrics, open_paths=[OPEN], log_requests=log_requests)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection."""
        await self._app(scope, receive, send)

    @property
    def caps(self) -> Caps:
        """How much streams may have."""
        return self._runs.durable.streams.caps

    @property
    def viewers(self) -> int:
        """How many live replies there are now."""
        return self._runs.feeds.viewers.total()

    def shutdown(self) -> None:
        """Have all live replies end themselves; call it in the event loop."""
        self._runs.shutdown()
