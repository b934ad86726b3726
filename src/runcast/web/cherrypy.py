"""Runs in a CherryPy application: `stream` from a handler, a tool, and the API at `/runs` and `/v1/stream`.

cast = Runcast().mount()

class Root:
    @cherrypy.expose
    def build(self):
        return cast.stream(["make"])

    @cherrypy.expose
    @cherrypy.tools.runcast(interval=5)  # what the handler returns is streamed, whatever it is
    def numbers(self):
        yield from range(10)
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Unpack
from urllib.parse import unquote

from runcast.web.adapters.decorate import decorated
from runcast.web.adapters.extras import needs
from runcast.web.adapters.runcast_app import RuncastApp
from runcast.web.http.messages import Reply, Request
from runcast.web.servers.shutdown import server_ends
from runcast.web.wsgi import cut_connection, live_body, send_reply, serve, to_request
from runcast.wire import Query

with needs("cherrypy"):
    import cherrypy
    from cherrypy.lib.httputil import urljoin

if TYPE_CHECKING:
    from runcast.options.typed import StreamOptions

__all__ = ["Runcast"]


class Runcast(RuncastApp):
    """Streams from handlers, and is the tool `runcast`; mounted only where `mount` is called.

    The tool streams what a handler returns: a generator, a command, a run. The configuration
    switches it on, too: `tools.runcast.on`, `tools.runcast.interval`, ….

    Args:
        options: `store`, `authorize`, `commands`, and others; see `RuncastApp`.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        # Before `encode` wraps the handler: it would encode a command's strings.
        cherrypy.tools.runcast = cherrypy.Tool("before_handler", self._wrap, priority=60)
        cherrypy.config.update({"hooks.before_handler.runcast": _take_parameters})
        cherrypy.engine.subscribe("stop", server_ends, priority=10)  # before the server waits for its threads
        cherrypy.engine.subscribe("start", lambda: server_ends(False))

    def debug(self, request: Request | None) -> bool:
        """Return whether CherryPy shows the tracebacks of handlers: `request.show_tracebacks`."""
        if request is not None:
            return bool(cherrypy.serving.request.show_tracebacks)
        return bool(cherrypy.config.get("request.show_tracebacks", True))

    def mount(self, prefix: str = "") -> Runcast:
        """Mount the API at `/runs` and `/v1/stream`, or these below a prefix, and return this."""
        self.mounted = prefix.rstrip("/")
        for rule in self.rules:
            cherrypy.tree.graft(self._serve, self.mounted + rule)
        return self

    def stream(self, source: Any = None, *args: Any, **options: Unpack[StreamOptions]) -> Any:
        """Return the body of a handler: start a run and stream it, or go on with the viewer's own.

        curl gets text, an EventSource events, a browser is led to the live page. Outside a
        request it is a decorator, which makes a handler of a generator or a function.

        Args:
            source: what to run: a command, a function or a generator.
            args: the function's.
            options: `interval` (see `RuncastApp.view`), and those of `Store.start`.
        """
        environ = getattr(cherrypy.serving.request, "wsgi_environ", None)
        if not environ:
            return decorated(self.stream, source, options)
        request = to_request(environ, body=False)
        view = f"cherrypy:{request.root}{request.path}"
        return _body(self.view(request, view, source, args, **options), environ)

    def _wrap(self, **options: Any) -> None:
        """Have the value of this request's handler streamed."""
        request = cherrypy.serving.request
        handler: Callable[[], Any] = request.handler
        if handler is None:  # another tool has answered already
            return
        request.handler = lambda: self.stream(handler(), **options)

    def _serve(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        # As the others have it: not at `/runs` below nothing, but at nothing with `/runs` behind it.
        own = {**environ, "SCRIPT_NAME": "", "PATH_INFO": _path(environ)}
        return send_reply(serve(self, own), environ, start_response)


def _path(environ: dict[str, Any]) -> str:
    """Return the path as it came: the tree made one slash of two."""
    path: str = environ["SCRIPT_NAME"] + environ["PATH_INFO"]
    target = environ.get("REQUEST_URI") or environ.get("RAW_URI") or ""
    given = unquote(target.partition("?")[0], "latin-1")
    return given if urljoin(given) == path else path


def _take_parameters() -> None:
    """Take what is ours in the query from a handler that does not know it, for CherryPy answers 404."""
    request = cherrypy.serving.request
    known = inspect.signature(getattr(request.handler, "callable", print)).parameters
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values()):
        for name in {*Query.__dataclass_fields__, "channel", "key", "runcast"} - known.keys():
            request.params.pop(name, None)


def _body(reply: Reply, environ: dict[str, Any]) -> bytes | Iterator[bytes]:
    response = cherrypy.serving.response
    response.status = reply.status
    response.headers.pop("Content-Type", None)
    for name, value in reply.headers:
        response.headers[name] = value
    if reply.stream is None:
        return reply.body
    response.stream = True
    return _cut_quietly(live_body(reply.stream, environ), environ)


def _cut_quietly(body: Iterator[bytes], environ: dict[str, Any]) -> Iterator[bytes]:
    """Yield a body; where it ends in the middle, close its connection: CherryPy would log the error."""
    try:
        yield from body
    except ConnectionResetError:
        if not cut_connection(environ):
            raise
