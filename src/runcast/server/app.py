"""The server's application: the runs and the server's own routes, behind the guard.

Owns the routes that are not the runs'. The router alone, without Starlette's application around
it: that would wrap `send` three times more, for every byte of every viewer.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from importlib.resources import files
from types import MappingProxyType
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route, Router

from runcast.doctor import ticking
from runcast.durable import Caps
from runcast.own_thread import in_pool
from runcast.retention.disk_use import DiskUse
from runcast.runs import Store
from runcast.server.guard import Guard
from runcast.server.guard_middleware import Guarded
from runcast.server.hook_route import HOOKS, HookRoute
from runcast.server.inbound import Inbound
from runcast.server.metrics import Metrics, Sources
from runcast.server.proxies import PEER
from runcast.server.run_watch import RunWatch, SharedRunWatch
from runcast.server.scoreboard import NOW, Counts, SharedCounts, SharedViewers, Worker
from runcast.supervisor.agents import link_state
from runcast.web.api.authorize import as_guarded
from runcast.web.api.commands import NamedCommand
from runcast.web.api.log_reply import problem_reply
from runcast.web.api.refusals import NotAllowed
from runcast.web.asgi import RunsASGI, to_request
from runcast.web.http import messages
from runcast.web.http.asgi_types import Receive, Scope, Send
from runcast.web.http.paths import is_stream
from runcast.web.http.person import PERSON, person_in
from runcast.web.http.share import SHARED
from runcast.who import TOKEN, VISITOR, Kind, Who
from runcast.wire.jsons import compact

if TYPE_CHECKING:
    from runcast.server.mcp.protocol import HttpEndpoint

__all__ = ["OPEN", "ServerApp"]

OPEN = "/healthz"  # without a token, which health checks do not have; it reveals nothing


class _Runs(RunsASGI):
    """The runs, whose clients the guard has let in."""

    has_token = True
    user: Who | None = None

    def identify(self, request: messages.Request) -> Who:
        """Return who the guard let in."""
        if self.user is not None:
            return self.user
        person = person_in(request.original)
        if person is not None:
            return person.who
        if SHARED in request.original:
            return Who(Kind.SHARE_LINK)
        return TOKEN if self.has_token else VISITOR


class ServerApp:
    """The ASGI application of `runcast serve`.

    Args:
        store: whose runs.
        guard: decides which requests pass.
        commands: what may be started by name.
        allow_any_command: whether any command may be started.
        log_requests: write a line to the log `runcast.access` for each request.
        hooks: by which deliveries of other services commands are started, by their names.
        worker: the one that this is, where the server has several processes.
        user: who sends every request; None where the guard finds that out.
        mcp: whether agents have their tools at `/mcp`.

    Attributes:
        routes: the methods and paths that are answered here; all others are the runs'.
        watch: counts the runs of the store, for the metrics.
    """

    def __init__(
        self,
        store: Store,
        guard: Guard,
        *,
        commands: Mapping[str, NamedCommand],
        allow_any_command: bool = False,
        log_requests: bool = False,
        hooks: Mapping[str, Inbound] = MappingProxyType({}),
        worker: Worker | None = None,
        user: Who | None = None,
        mcp: bool = False,
    ) -> None:
        self._runs = _Runs(
            store, commands=commands, allow_any_command=allow_any_command, authorize=as_guarded
        )
        self._runs.responder.share_key = lambda: guard.share_key
        self._runs.responder.own_commands = {ticking.NAME: _ticking()}
        self._runs.durable.public = not guard.requires_token
        self._runs.origins = guard.origins
        self._runs.has_token = guard.requires_token
        self._runs.user = user
        counts = Counts() if worker is None else SharedCounts(worker)
        self.watch = (
            RunWatch(store.path, commands)
            if worker is None
            else SharedRunWatch(store.path, commands, worker.board)
        )
        if worker is not None:
            self._runs.feeds.viewers = SharedViewers(counts)

        def viewers() -> Mapping[str, int]:
            if worker is None:
                return dict(self._runs.feeds.viewers)
            return {kind: int(count) for (_, kind), count in counts.totals(NOW).items()}

        metrics = Metrics(
            Sources(
                started=lambda: int(counts.totals("started").get((), 0)),
                runs=self.watch.look,
                viewers=viewers,
                disk=DiskUse(store.path, commands).by_name,
                free=lambda: _free(store.path),
                link=lambda: link_state(store.path),
            ),
            counts,
            worker,
        )
        description = files("runcast.server").joinpath("openapi.json").read_bytes()

        async def to_runs(request: Request) -> Response:
            return RedirectResponse(f"{request.scope.get('root_path', '')}/runs", 303)

        async def health(_: Request) -> Response:
            return PlainTextResponse("ok\n")

        async def show_metrics(request: Request) -> Response:
            given = self._runs.identified(to_request(request.scope, b""))
            try:
                self._runs.responder.check("metrics", given)
            except NotAllowed as error:
                refused = problem_reply(error)
                return Response(refused.body, refused.status, dict(refused.headers))
            text, media_type = await in_pool(metrics.text, request.headers.get("accept", ""))
            fields = {"Content-Type": media_type, "Cache-Control": "no-store", "Vary": "Accept"}
            return Response(text, headers=fields)

        async def openapi(request: Request) -> Response:
            root = request.scope.get("root_path", "")
            here = compact(json.loads(description) | {"servers": [{"url": root}]}) if root else description
            return Response(here, media_type="application/json")

        def count_start() -> None:
            counts.add("started")

        self._runs.responder.count_start = count_start
        hook_route = HookRoute(store, commands, hooks, guard.count_failure, count_start)

        async def route(scope: Scope, receive: Receive, send: Send) -> None:
            # An append takes less time than the router would to find out that it has no route for it.
            app = self._runs if is_stream(scope.get("path", "")) else router
            await app(scope, receive, send)

        self._mcp: HttpEndpoint | None = None
        agents: list[Route] = []
        if mcp:
            from runcast.server.mcp.protocol import HttpEndpoint

            self._mcp = HttpEndpoint(route, (PERSON, PEER, "client"))
            agents.append(Route("/mcp", self._mcp, methods=["POST"]))
        router = Router(
            [
                Route("/", to_runs),
                Route(OPEN, health),
                Route("/metrics", show_metrics),
                Route("/openapi.json", openapi),
                Route(f"{HOOKS}{{name}}", hook_route.answer, methods=["POST"]),
                *agents,
                Mount("/", self._runs),
            ]
        )
        self.routes = [
            (method, route.path)
            for route in router.routes
            if isinstance(route, Route)
            for method in (route.methods or set()) - {"HEAD"}
        ]
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
        if self._mcp is not None:
            self._mcp.shutdown()
        self._runs.shutdown()


def _ticking() -> NamedCommand:
    """Return the command that `runcast doctor --url` starts, which is silent and then writes lines."""
    silent = {"type": "int", "min": 0, "max": ticking.MOST_SILENT, "default": 3}
    return NamedCommand(ticking.NAME, ticking.argv("{silent}"), params={"silent": silent}, keep=["1h", 20])


def _free(store: str) -> tuple[int, int] | None:
    """Return the bytes and the files that a store's disk has room for; None where it is not there."""
    try:
        found = os.statvfs(store)
    except OSError:
        return None
    return found.f_bavail * found.f_frsize, found.f_favail
