"""Runs over WSGI: the same API for servers that give a thread to each request.

Owns the translation. A live reply is an iterator that pulls from the stream and waits in the
hub, so it holds its thread; a closed connection is noticed at the next bytes or keep-alive.
"""

from __future__ import annotations

import http
import socket
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from runcast.store import Store
from runcast.web.commands import NamedCommand
from runcast.web.http import BODY_BYTES, BodyTooLarge, Reply, Request
from runcast.web.logs import problem_reply
from runcast.web.responder import Authorize, Responder, allow_all
from runcast.web.streams import pull

__all__ = ["RunsWSGI", "client_gone", "send_reply", "to_request"]

StartResponse = Callable[..., Any]


class RunsWSGI:
    """The whole API as a WSGI application; see `Responder` for the arguments."""

    def __init__(
        self,
        store: Store,
        *,
        commands: Mapping[str, NamedCommand] | None = None,
        allow_any_command: bool = False,
        authorize: Authorize = allow_all,
    ) -> None:
        self.responder = Responder(
            store, commands=commands, allow_any_command=allow_any_command, authorize=authorize
        )

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        try:
            reply = self.responder.respond(to_request(environ))
        except BodyTooLarge as error:
            reply = problem_reply(error)
        return send_reply(reply, environ, start_response)


def to_request(environ: dict[str, Any]) -> Request:
    """Return a WSGI environment as a request (PEP 3333: text in it is latin-1 that stands for bytes).

    Raises:
        BodyTooLarge: the body is over its limit.
    """
    headers = {
        name[5:].replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }
    if environ.get("CONTENT_TYPE"):
        headers["content-type"] = environ["CONTENT_TYPE"]
    length = environ.get("CONTENT_LENGTH") or "0"
    if not length.isdigit() or int(length) > BODY_BYTES:
        raise BodyTooLarge(BODY_BYTES)
    return Request(
        environ["REQUEST_METHOD"],
        environ.get("PATH_INFO", "").encode("latin-1").decode(errors="replace"),
        environ.get("SCRIPT_NAME", "").rstrip("/"),
        environ.get("QUERY_STRING", ""),
        headers,
        environ["wsgi.input"].read(int(length)) if int(length) else b"",
    )


def send_reply(reply: Reply, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    """Begin the response and return its body."""
    status = f"{reply.status} {http.HTTPStatus(reply.status).phrase}"
    headers = list(reply.headers)
    head = environ["REQUEST_METHOD"] == "HEAD"
    if reply.stream is None:
        if reply.status not in (204, 304):
            headers.append(("Content-Length", str(len(reply.body))))
        start_response(status, headers)
        return [] if head else [reply.body]
    start_response(status, headers)
    return [] if head else pull(reply.stream, client_gone(environ))


def client_gone(environ: dict[str, Any]) -> Callable[[], bool]:
    """Return what tells whether the client has left, as far as the server lets us know.

    WSGI has no word for it: without a way of the server's own, a client that left is noticed when
    something is written to it, at the second keep-alive at the latest.
    """
    if callable(told := environ.get("waitress.client_disconnected")):
        return lambda: bool(told())
    connection = environ.get("gunicorn.socket") or environ.get("werkzeug.socket")
    if not isinstance(connection, socket.socket):
        return lambda: False

    def gone() -> bool:
        try:
            return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
        except BlockingIOError:
            return False
        except (OSError, ValueError):  # reset, or closed; ValueError: TLS cannot be peeked into
            return not hasattr(connection, "pending")

    return gone
