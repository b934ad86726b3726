"""Runs in a Flask application: `stream` from a view, and the API at `/runs` and `/v1/stream`.

cast = Runcast(app)

@app.get("/build")
def build():
    return cast.stream(["make"])
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import click
from flask import Blueprint, Flask, Response, current_app, has_request_context
from flask import request as flask_request
from flask.cli import with_appcontext
from werkzeug.routing import BaseConverter

from runcast.run import Run
from runcast.store import Store
from runcast.web.adapter import OPTIONS, STREAMS, Cast, command_line, decorated
from runcast.web.commands import NamedCommand
from runcast.web.http import Reply
from runcast.web.wsgi import live_body, serve, to_request

__all__ = ["Runcast"]

_METHODS = ["GET", "POST", "PUT", "DELETE", "OPTIONS"]


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
        options: `store`, `authorize`, `commands`, and others; see `Cast`. The configuration may
            have them instead: `RUNCAST_STORE`, `RUNCAST_URL_PREFIX`, ….
    """

    def __init__(self, app: Flask | None = None, *, url_prefix: str = "", **options: Any) -> None:
        self._options = {"url_prefix": url_prefix, **options}
        if app is not None:
            self.init_app(app)

    @cached_property
    def _alone(self) -> Cast:
        return Cast(**{name: value for name, value in self._options.items() if name != "url_prefix"})

    def init_app(self, app: Flask) -> None:
        """Mount the API in an application, and give it the command `flask runcast`."""
        options = dict(self._options)
        for name in (*OPTIONS, "url_prefix"):
            if f"RUNCAST_{name.upper()}" in app.config and not options.get(name):
                options[name] = app.config[f"RUNCAST_{name.upper()}"]
        prefix = options.pop("url_prefix").rstrip("/")
        cast = app.extensions["runcast"] = Cast(**options)
        cast.mounted = prefix
        blueprint = Blueprint("runcast", __name__, url_prefix=prefix or None)
        app.url_map.converters["runcast_rest"] = _Rest
        for rule in (*cast.rules, "/runs/<path:path>", f"{STREAMS}/<runcast_rest:path>"):
            blueprint.add_url_rule(rule, "runs", _serve, methods=_METHODS, strict_slashes=False)
        app.register_blueprint(blueprint)
        app.cli.add_command(_command)

    @property
    def cast(self) -> Cast:
        """What the current application's runs belong to."""
        cast: Cast = current_app.extensions.get("runcast") or self._alone
        return cast

    @property
    def store(self) -> Store:
        """Where the current application's runs go."""
        return self.cast.store

    @property
    def commands(self) -> Mapping[str, NamedCommand]:
        """What may be started by name."""
        return self.cast.responder.commands

    def start(self, source: Any, *args: Any, **options: Any) -> Run:
        """Start a run that no viewer's leaving ends; see `Store.start`."""
        return self.cast.start(source, *args, **options)

    def start_command(self, name: str) -> Run:
        """Start one of `commands`; see `Cast.start_command`."""
        return self.cast.start_command(name)

    def stream(self, source: Any = None, *args: Any, **options: Any) -> Any:
        """Return the response of a view: start a run and stream it, or go on with the viewer's own.

        curl gets text, an EventSource events, a browser is led to the live page. Outside a
        request it is a decorator, which makes a view of a generator or a function.

        Args:
            source: what to run: a command, a function or a generator.
            args: the function's.
            options: `interval`, `stop_unwatched` (see `Cast.view`) and those of `Store.start`.
        """
        if not has_request_context():
            return decorated(self.stream, source, options)
        view = f"flask:{current_app.import_name}:{flask_request.endpoint}"
        request = to_request(flask_request.environ, body=False)
        return _response(self.cast.view(request, view, source, args, **options))


def _serve(path: str = "") -> Response:
    cast: Cast = current_app.extensions["runcast"]
    return _response(serve(cast, flask_request.environ))


def _response(reply: Reply) -> Response:
    body = reply.body if reply.stream is None else live_body(reply.stream, flask_request.environ)
    response = Response(body, reply.status)
    del response.headers["Content-Type"]
    response.headers.extend(reply.headers)
    return response


@click.command("runcast", context_settings={"ignore_unknown_options": True}, add_help_option=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@with_appcontext
def _command(arguments: tuple[str, ...]) -> None:
    """List, follow and stop the application's runs."""
    command_line(current_app.extensions["runcast"].store, arguments)
