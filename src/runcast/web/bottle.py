"""Runs in a Bottle application: `stream` from a view, and the API at `/runs` and `/v1/stream`.

cast = Runcast()
app.install(cast)

@app.get("/build")
def build():
    return cast.stream(["make"])
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Unpack

from runcast.run import Run
from runcast.web.adapters.decorate import decorated
from runcast.web.adapters.extras import needs
from runcast.web.adapters.runcast_app import RuncastApp
from runcast.web.http.messages import Reply, Request
from runcast.web.http.paths import STREAMS
from runcast.web.wsgi import live_body, serve, to_request

with needs("bottle"):
    import bottle

if TYPE_CHECKING:
    from runcast.options.typed import StreamOptions

__all__ = ["Runcast"]


class Runcast(RuncastApp):
    """The Bottle plugin. Without being installed it streams, too, and nothing is mounted.

    A view of an application that has it may also return a run, which is streamed.

    Args:
        prefix: below which path to mount `/runs` and `/v1/stream`.
        options: `store`, `authorize`, `commands`, and others; see `RuncastApp`.
    """

    name = "runcast"
    api = 2

    def __init__(self, *, prefix: str = "", **options: Any) -> None:
        super().__init__(**options)
        self._prefix = prefix.rstrip("/")
        self._apps: list[bottle.Bottle] = []

    def debug(self, request: Request | None) -> bool:
        """Return what `bottle.debug` was called with."""
        return bool(bottle.DEBUG)

    def setup(self, app: bottle.Bottle) -> None:
        """Mount the API in an application that installs this."""
        self.mounted = self._prefix
        self._apps.append(app)
        for rule in (*self.rules, "/runs/", "/runs/<path:path>", f"{STREAMS}/<path:re:(?s:.*)>"):
            for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS"):
                app.route(self._prefix + rule, method, self._serve, skip=[self])

    def apply(self, callback: Callable[..., Any], route: bottle.Route) -> Callable[..., Any]:
        """Stream the run that a view returns."""

        def view(*args: Any, **kwargs: Any) -> Any:
            value = callback(*args, **kwargs)
            return self.stream(value) if isinstance(value, Run) else value

        return view

    def stream(self, source: Any = None, *args: Any, **options: Unpack[StreamOptions]) -> Any:
        """Return the response of a view: start a run and stream it, or go on with the viewer's own.

        curl gets text, an EventSource events, a browser is led to the live page. Outside a
        request it is a decorator, which makes a view of a generator or a function.

        Args:
            source: what to run: a command, a function or a generator.
            args: the function's.
            options: `interval` (see `RuncastApp.view`), and those of `Store.start`.
        """
        if not _in_request():
            return decorated(self.stream, source, options, self._views())
        request = to_request(_environ(), body=False)
        rule = f"bottle:{request.root}{request.path}"
        return _response(self.view(request, rule, source, args, **options))

    def _views(self) -> Iterator[object]:
        """Yield what the routes of the applications that have this call."""
        for app in self._apps:
            yield from (route.callback for route in app.routes)

    def _serve(self, path: str = "") -> bottle.HTTPResponse:
        return _response(serve(self, _environ()))


def _in_request() -> bool:
    try:
        return "bottle.app" in bottle.request.environ
    except (AttributeError, RuntimeError):  # of no request yet in this thread
        return False


def _environ() -> dict[str, Any]:
    environ: dict[str, Any] = bottle.request.environ  # whose path Bottle has decoded, against WSGI's rule
    return {**environ, "PATH_INFO": environ["bottle.raw_path"]}


def _response(reply: Reply) -> bottle.HTTPResponse:
    body = reply.body if reply.stream is None else live_body(reply.stream, bottle.request.environ)
    response = bottle.HTTPResponse(body, reply.status)
    for name, value in reply.headers:
        response.add_header(name, value)
    return response
