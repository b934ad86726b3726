"""Runs in a Bottle application: `stream` from a view, and the API at `/runs` and `/v1/stream`.

cast = Runcast()
app.install(cast)

@app.get("/build")
def build():
    return cast.stream(["make"])
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import bottle

from runcast.run import Run
from runcast.web.adapter import STREAMS, Cast, decorated
from runcast.web.http import Reply
from runcast.web.wsgi import live_body, serve, to_request

__all__ = ["Runcast"]


class Runcast(Cast):
    """The Bottle plugin. Without being installed it streams, too, and nothing is mounted.

    A view of an application that has it may also return a run, which is streamed.

    Args:
        prefix: below which path to mount `/runs` and `/v1/stream`.
        options: `store`, `authorize`, `commands`, and others; see `Cast`.
    """

    name = "runcast"
    api = 2

    def __init__(self, *, prefix: str = "", **options: Any) -> None:
        super().__init__(**options)
        self._prefix = prefix.rstrip("/")

    def setup(self, app: bottle.Bottle) -> None:
        """Mount the API in an application that installs this."""
        self.mounted = self._prefix
        for rule in (*self.rules, "/runs/", "/runs/<path:path>", f"{STREAMS}/<path:re:(?s:.*)>"):
            for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS"):
                app.route(self._prefix + rule, method, self._serve, skip=[self])

    def apply(self, callback: Callable[..., Any], route: bottle.Route) -> Callable[..., Any]:
        """Stream the run that a view returns."""

        def view(*args: Any, **kwargs: Any) -> Any:
            value = callback(*args, **kwargs)
            return self.stream(value) if isinstance(value, Run) else value

        return view

    def stream(self, source: Any = None, *args: Any, **options: Any) -> Any:
        """Return the response of a view: start a run and stream it, or go on with the viewer's own.

        curl gets text, an EventSource events, a browser is led to the live page. Outside a
        request it is a decorator, which makes a view of a generator or a function.

        Args:
            source: what to run: a command, a function or a generator.
            args: the function's.
            options: `interval`, `stop_unwatched` (see `Cast.view`) and those of `Store.start`.
        """
        if not _in_request():
            return decorated(self.stream, source, options)
        request = to_request(_environ(), body=False)
        rule = f"bottle:{request.root}{request.path}"
        return _response(self.view(request, rule, source, args, **options))

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
