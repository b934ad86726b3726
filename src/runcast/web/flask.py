"""Runs in a Flask application: `stream` from a view, and the API at `/runs` and `/v1/stream`.

cast = Runcast(app)

@app.get("/build")
def build():
    return cast.stream(["make"])
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Unpack
from weakref import WeakSet

from runcast.run import Run
from runcast.runs import Store
from runcast.web.adapters.decorate import decorated
from runcast.web.adapters.extras import needs
from runcast.web.adapters.runcast_app import OPTIONS, RuncastApp, command_line
from runcast.web.adapters.users import name_of
from runcast.web.api.commands import NamedCommand
from runcast.web.http.messages import Reply, Request
from runcast.web.http.paths import STREAMS
from runcast.web.wsgi import begin_live, live_body, serve, to_request

with needs("flask"):
    import click
    from flask import Blueprint, Flask, Response, current_app, has_app_context, has_request_context
    from flask import request as flask_request
    from flask.cli import with_appcontext
    from werkzeug.routing import BaseConverter

if TYPE_CHECKING:
    from runcast.options.typed import StartOptions, StreamOptions

__all__ = ["Runcast"]

_METHODS = ["GET", "POST", "PUT", "DELETE", "OPTIONS"]


class _FlaskApp(RuncastApp):
    def debug(self, request: Request | None) -> bool:
        """Return the application's `debug`."""
        return has_app_context() and bool(current_app.debug)

    def user_name(self, request: Request) -> str | None:
        """Return the name of Flask-Login's `current_user`, or of the user that the server names."""
        if "flask_login" in sys.modules and hasattr(current_app, "login_manager"):
            if (name := name_of(sys.modules["flask_login"].current_user)) is not None:
                return name
        return super().user_name(request)

    def current(self) -> Request | None:
        """Return the request of the view that calls."""
        return to_request(flask_request.environ, body=False) if has_request_context() else None

    def own_secret(self) -> str | bytes | None:
        """Return the application's `secret_key`."""
        return current_app.secret_key if has_app_context() else None


class _Rest(BaseConverter):
    """The rest of a path: `path` is for one without two slashes at its beginning, and redirects."""

    regex = r"[\s\S]*?"
    part_isolating = False
    weight = 300  # after all others


class Runcast:
    """The Flask extension. Without an application `stream` works, too, and nothing is mounted.

    Args:
        app: the application; or call `init_app` later.
        url_prefix: below which path to mount `/runs` and `/v1/stream`.
        options: `store`, `authorize`, `commands`, and others; see `RuncastApp`. The configuration may
            have them instead: `RUNCAST_STORE`, `RUNCAST_URL_PREFIX`, ….
    """

    def __init__(self, app: Flask | None = None, *, url_prefix: str = "", **options: Any) -> None:
        self._options = {"url_prefix": url_prefix, **options}
        self._apps: WeakSet[Flask] = WeakSet()
        if app is not None:
            self.init_app(app)

    @cached_property
    def _alone(self) -> RuncastApp:
        return _FlaskApp(**{name: value for name, value in self._options.items() if name != "url_prefix"})

    def init_app(self, app: Flask) -> None:
        """Mount the API in an application, and give it the command `flask runcast`."""
        options = dict(self._options)
        for name in (*OPTIONS, "url_prefix"):
            if f"RUNCAST_{name.upper()}" in app.config and not options.get(name):
                options[name] = app.config[f"RUNCAST_{name.upper()}"]
        prefix = options.pop("url_prefix").rstrip("/")
        cast = app.extensions["runcast"] = _FlaskApp(**options)
        cast.mounted = prefix
        self._apps.add(app)
        blueprint = Blueprint("runcast", __name__, url_prefix=prefix or None)
        app.url_map.converters["runcast_rest"] = _Rest
        for rule in (*cast.rules, "/runs/<path:path>", f"{STREAMS}/<runcast_rest:path>"):
            blueprint.add_url_rule(rule, "runs", _serve, methods=_METHODS, strict_slashes=False)
        app.register_blueprint(blueprint)
        app.cli.add_command(_command)

    @property
    def cast(self) -> RuncastApp:
        """What the current application's runs belong to."""
        cast: RuncastApp = current_app.extensions.get("runcast") or self._alone
        return cast

    @property
    def store(self) -> Store:
        """Where the current application's runs go."""
        return self.cast.store

    @property
    def commands(self) -> Mapping[str, NamedCommand]:
        """What may be started by name."""
        return self.cast.responder.commands

    def start(self, source: Any, *args: Any, **options: Unpack[StartOptions]) -> Run:
        """Start a run that no viewer's leaving ends; see `Store.start`."""
        return self.cast.start(source, *args, **options)

    def acting_as(self, name: str) -> AbstractContextManager[None]:
        """Have what is done in a `with` block be done by a user of this name; see `RuncastApp.acting_as`."""
        return self.cast.acting_as(name)

    def start_command(self, name: str) -> Run:
        """Start one of `commands`; see `RuncastApp.start_command`."""
        return self.cast.start_command(name)

    def stream(self, source: Any = None, *args: Any, **options: Unpack[StreamOptions]) -> Any:
        """Return the response of a view: start a run and stream it, or go on with the viewer's own.

        curl gets text, an EventSource events, a browser is led to the live page. Outside a
        request it is a decorator, which makes a view of a generator or a function.

        Args:
            source: what to run: a command, a function or a generator.
            args: the function's.
            options: `interval` (see `RuncastApp.view`), and those of `Store.start`.
        """
        if not has_request_context():
            return decorated(self.stream, source, options, self._views())
        view = f"flask:{current_app.import_name}:{flask_request.endpoint}"
        request = to_request(flask_request.environ, body=False)
        return _response(self.cast.view(request, view, source, args, **options))

    def _views(self) -> Iterator[object]:
        """Yield what the routes of our applications call."""
        for app in self._apps:
            yield from app.view_functions.values()


class _Live(Response):
    """A response whose head is sent at once."""

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        """Answer as a WSGI application."""
        return super().__call__(environ, partial(begin_live, environ, start_response))


def _serve(path: str = "") -> Response:
    cast: RuncastApp = current_app.extensions["runcast"]
    return _response(serve(cast, flask_request.environ))


def _response(reply: Reply) -> Response:
    if reply.stream is None:
        response = Response(reply.body, reply.status)
        if any(name == "Content-Length" for name, _ in reply.headers):  # of a HEAD, which has no body
            del response.headers["Content-Length"]
    else:
        response = _Live(live_body(reply.stream, flask_request.environ), reply.status)
    del response.headers["Content-Type"]
    response.headers.extend(reply.headers)
    return response


@click.command("runcast", context_settings={"ignore_unknown_options": True}, add_help_option=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@with_appcontext
def _command(arguments: tuple[str, ...]) -> None:
    """List, follow and stop the application's runs."""
    command_line(current_app.extensions["runcast"].store, arguments)
