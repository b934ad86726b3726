"""Runs in a Flask application: `stream` from a view, and the API mounted at `/runs`.

cast = Runcast(app)

@app.get("/build")
def build():
    return cast.stream(["make"])
"""

from __future__ import annotations

from typing import Any

from flask import Flask, Response, current_app
from flask import request as flask_request

from runcast.run import Run
from runcast.sources.command import Command
from runcast.store import Store
from runcast.web.http import Reply
from runcast.web.responder import Authorize, Responder, by_id_alone
from runcast.web.streams import pull
from runcast.web.views import STOP_UNWATCHED, stream_reply
from runcast.web.wsgi import client_gone, to_request

__all__ = ["Runcast"]


class Runcast:
    """The Flask extension.

    Args:
        app: the application; or call `init_app` later.
        store: where runs go; `RUNCAST_STORE` of the configuration or the environment by default.
        authorize: called with a verb (`list`, `start`, `read`, `stop`, …), a run or None, and the
            request. By default whoever has a run's unguessable id may read and stop it, no more.
        commands: what may be started by name; see `Responder`.
    """

    def __init__(
        self,
        app: Flask | None = None,
        *,
        store: Store | str | None = None,
        authorize: Authorize = by_id_alone,
        commands: Any = None,
    ) -> None:
        self._store, self._authorize, self._commands = store, authorize, commands
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Mount the API at `/runs` of an application."""
        where = self._store or app.config.get("RUNCAST_STORE")
        store = where if isinstance(where, Store) else Store.open(where)
        app.extensions["runcast"] = Responder(store, commands=self._commands, authorize=self._authorize)
        for rule in ("/runs", "/runs/<path:path>"):
            app.add_url_rule(
                rule, "runcast", _serve, methods=["GET", "POST", "DELETE", "OPTIONS"], strict_slashes=False
            )

    @property
    def store(self) -> Store:
        """Where the current application's runs go."""
        responder: Responder = current_app.extensions["runcast"]
        return responder.store

    def start(self, command: Command, **options: Any) -> Run:
        """Start a run that no viewer's leaving ends; see `Store.start`."""
        return self.store.start(command, **options)

    def stream(
        self,
        command: Command,
        *,
        interval: float | None = None,
        stop_unwatched: float | None = STOP_UNWATCHED,
        **options: Any,
    ) -> Response:
        """Return the response of a view: start a run and stream it, or go on with the viewer's own.

        curl gets text, an EventSource events, a browser is led to the live page.

        Args:
            command: what to run.
            interval: seconds of silence after which a visible line is given.
            stop_unwatched: seconds after which a run that nobody reads is stopped; None keeps it.
            options: for `Store.start`.
        """
        request = to_request(flask_request.environ)
        view = f"flask:{current_app.import_name}:{flask_request.endpoint}"
        options["stop_unwatched"] = stop_unwatched
        runs = f"{request.root}/runs"
        return _response(
            stream_reply(
                self.store, command, request, view=view, runs=runs, interval=interval, options=options
            )
        )


def _serve(path: str = "") -> Response:
    responder: Responder = current_app.extensions["runcast"]
    return _response(responder.respond(to_request(flask_request.environ)))


def _response(reply: Reply) -> Response:
    body = reply.body if reply.stream is None else pull(reply.stream, client_gone(flask_request.environ))
    response = Response(body, reply.status)
    del response.headers["Content-Type"]
    response.headers.extend(reply.headers)
    return response
