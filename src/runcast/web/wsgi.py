"""Runs over WSGI: the same API for servers that give a thread to each request.

Owns the translation. A live reply is an iterator that pulls from the stream and waits in the
hub, so it holds its thread; a closed connection is noticed at the next bytes or keep-alive.
"""

from __future__ import annotations

import _socket
import contextlib
import http
import os
import signal
import socket
import stat
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

from runcast.errors import RuncastError
from runcast.runs import Store
from runcast.web.adapters.beside import own_path, own_prefix
from runcast.web.adapters.runcast_app import RuncastApp, body_limit
from runcast.web.adapters.uploads import body_file_for, with_form
from runcast.web.api.authorize import Authorize, allow_all
from runcast.web.api.commands import Commands
from runcast.web.api.log_reply import problem_reply
from runcast.web.http.bodies import LengthRequired, parse_length, read_whole
from runcast.web.http.messages import Reply, Request
from runcast.web.http.response_stream import ResponseStream
from runcast.web.live.pull import pull
from runcast.web.servers.advice import advise_wsgi, has_one_thread
from runcast.web.servers.heads import wsgi_needs_write
from runcast.web.servers.peer import keep_alive, vanished

__all__ = [
    *("RunsWSGI", "begin_live", "client_gone", "cut_connection", "live_body", "read_body"),
    *("send_reply", "serve", "to_request"),
]

StartResponse = Callable[..., Any]
WSGIApp = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]
# Servers of which we know that they notice each cut among chunks, by what they put into the environment.
# Others do not: of a chunk's size `0A` a cut leaves `0`, which to cheroot is the end.
# docs/explanation/cut-bodies.md has them all.
_SEE_CUTS = ("gunicorn.socket", "waitress.client_disconnected")
_UNWIND_SECONDS = 0.2  # in which a server ends the request that Ctrl-C came in
_ESTABLISHED = b"\1"  # the state of a TCP connection that both sides hold, in Linux


class RunsWSGI(RuncastApp):
    """The whole API as a WSGI application, without access control; see `RuncastApp` for the arguments."""

    def __init__(
        self,
        store: Store | str | None = None,
        *,
        commands: Commands | None = None,
        allow_any_command: bool = False,
        authorize: Authorize = allow_all,
        **options: Any,
    ) -> None:
        super().__init__(
            store=store,
            commands=commands,
            allow_any_command=allow_any_command,
            authorize=authorize,
            **options,
        )
        self.screens = bool(self.origins)  # else the application that mounts this does it

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        try:
            request = with_body(self, environ, to_request(environ, body=False))
            reply = self.serve(request, lambda: client_gone(environ)())
        except RuncastError as error:
            reply = problem_reply(error)
        return send_reply(reply, environ, start_response)

    def stream(
        self, environ: dict[str, Any], start_response: StartResponse, source: Any, *args: Any, **options: Any
    ) -> Iterable[bytes]:
        """Answer as a view that streams: start a run and show it; see `RuncastApp.view` for the options."""
        request = to_request(environ, body=False)
        reply = self.view(request, f"wsgi:{request.root}{request.path}", source, args, **options)
        return send_reply(reply, environ, start_response)

    def beside(self, app: WSGIApp, *, prefix: str = "") -> WSGIApp:
        """Return an application that has the API at its paths, and another application everywhere else.

        What would change something is refused there where a page of another site sent it.

        Args:
            app: has all other paths.
            prefix: below which path `/runs` and `/v1/stream` are.

        Raises:
            UsageError: the prefix does not begin with a slash.
        """
        below = own_prefix(prefix)
        self.mounted, self.screens = below, True

        def both(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
            path = own_path(environ.get("PATH_INFO", ""), below, self.rules)
            if path is None:
                return app(environ, start_response)
            root = environ.get("SCRIPT_NAME", "").rstrip("/") + below
            return self({**environ, "SCRIPT_NAME": root, "PATH_INFO": path}, start_response)

        return both


def serve(cast: RuncastApp, environ: dict[str, Any]) -> Reply:
    """Answer a request to the API that a framework has mounted for its adapter."""
    try:
        request = cast.below(to_request(environ, body=False))
        request = with_body(cast, environ, request)
    except RuncastError as error:
        return problem_reply(error)
    return cast.serve(request, lambda: client_gone(environ)())  # looked for only where somebody waits


def with_body(cast: RuncastApp, environ: dict[str, Any], request: Request) -> Request:
    """Return a request with its body, in memory or, of a form with files, on the disk.

    Raises:
        BodyTooLarge, BodyIncomplete, LengthRequired, UsageError: see `read_body`.
        NotAllowed, StoreUnusable: see `body_file_for`.
    """
    if (file := body_file_for(cast, request)) is None:
        return replace(request, body=read_body(environ, body_limit(request.path)))
    length = parse_length(environ.get("CONTENT_LENGTH"), file.limit)
    file.read_from(environ["wsgi.input"].read, length)
    return with_form(request, file)


def to_request(environ: dict[str, Any], *, body: bool = True) -> Request:
    """Return a WSGI environment as a request (PEP 3333: text in it is latin-1 that stands for bytes).

    Args:
        environ: the environment.
        body: read it, too; not where it belongs to somebody's view, who may have read it already.

    Raises:
        BodyTooLarge, BodyIncomplete, LengthRequired, UsageError: see `read_body`.
    """
    headers = {
        name[5:].replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }
    if environ.get("CONTENT_TYPE"):
        headers["content-type"] = environ["CONTENT_TYPE"]
    path = environ.get("PATH_INFO", "").encode("latin-1").decode(errors="replace")
    return Request(
        environ["REQUEST_METHOD"],
        path,
        environ.get("SCRIPT_NAME", "").rstrip("/"),
        environ.get("QUERY_STRING", ""),
        headers,
        read_body(environ, body_limit(path)) if body else b"",
        environ.get("wsgi.url_scheme", "http"),
        environ,
        environ.get("REMOTE_ADDR", ""),
    )


def read_body(environ: dict[str, Any], limit: int) -> bytes:
    """Return the request's body, read whole; one in chunks has no length, where the server takes it.

    Raises:
        BodyTooLarge: by its `Content-Length`, or found while reading.
        BodyIncomplete: the connection ended in it.
        LengthRequired: it is in chunks, and a cut one could not be distinguished from a whole one.
        UsageError: its length is no number.
    """
    given = environ["wsgi.input"]
    encoding = environ.get("HTTP_TRANSFER_ENCODING")
    if not encoding:
        return read_whole(given.read, parse_length(environ.get("CONTENT_LENGTH"), limit) or 0, limit)
    found = environ.get("wsgi.input_terminated") or type(given).__module__.startswith("cheroot")
    if found and encoding.strip().lower() == "chunked":
        body = read_whole(given.read, None, limit)  # refused or not: what is left would be the next request
        if any(name in environ for name in _SEE_CUTS):
            return body
    raise LengthRequired


def send_reply(reply: Reply, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    """Begin the response and return its body."""
    status = f"{reply.status} {http.HTTPStatus(reply.status).phrase}"
    headers = list(reply.headers)
    head = environ["REQUEST_METHOD"] == "HEAD"
    if reply.stream is None:
        if reply.status not in (204, 304) and (reply.body or not head):
            headers.append(("Content-Length", str(len(reply.body))))
        start_response(status, headers)
        return [] if head else [reply.body]
    if head:
        start_response(status, headers)
        return []
    begin_live(environ, start_response, status, headers)
    return live_body(reply.stream, environ)


def begin_live(environ: dict[str, Any], start_response: StartResponse, *began: Any) -> Callable[..., Any]:
    """Begin the response of a live reply, and have servers that need it send its head at once."""
    write: Callable[..., Any] = start_response(*began)
    if wsgi_needs_write(environ):
        write(b"")
    return write


def live_body(stream: ResponseStream, environ: dict[str, Any]) -> Iterator[bytes]:
    """Yield the body of a live reply, which ends when its viewer has left or the server ends."""
    advise_wsgi(environ)
    try:
        yield b""  # with which most servers send the head
        yield from pull(stream, client_gone(environ))
    except (KeyboardInterrupt, GeneratorExit) as error:
        if not has_one_thread(environ) or not _is_interrupt(error):
            raise
        again = threading.Timer(
            _UNWIND_SECONDS, os.kill, (os.getpid(), signal.SIGINT)
        )  # in its own loop then
        again.daemon = True
        again.start()
        if isinstance(error, GeneratorExit):
            raise
    finally:
        if stream.stopping:
            # Nothing more is read from here: gunicorn would wait two seconds for another request.
            _shut(environ, socket.SHUT_RD)


def _is_interrupt(error: BaseException) -> bool:
    """Return whether Ctrl-C ends a reply: it came in here, or in the server, which then closes the reply."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, KeyboardInterrupt):
        cause = cause.__context__
    return cause is not None


def cut_connection(environ: dict[str, Any]) -> bool:
    """Close the connection of a request so that its client sees a cut; False where it is not known."""
    return _shut(environ, socket.SHUT_RDWR)


def _shut(environ: dict[str, Any], how: int) -> bool:
    if (fd := _connection(environ)) is None:
        return False
    probe = _socket.socket(fileno=fd)
    with contextlib.suppress(OSError):
        probe.shutdown(how)
    probe.detach()
    return True


def client_gone(environ: dict[str, Any]) -> Callable[[], bool]:
    """Return what tells whether the client has left, as far as the server lets us know.

    WSGI has no word for it: without a way of the server's own, a client that left is noticed when
    something is written to it, at the second keep-alive at the latest.
    """
    fd = _connection(environ)
    if fd is None:
        return lambda: False
    keep_alive(fd, blocking=True)
    return lambda: _is_closed(fd) or vanished(fd)


def _connection(environ: dict[str, Any]) -> int | None:
    """Return the descriptor of a request's connection, where the server lets us find it."""
    connection = environ.get("gunicorn.socket") or environ.get("werkzeug.socket") or environ["wsgi.input"]
    check = environ.get("waitress.client_disconnected")  # works only with read-ahead, which is off by default
    return _descriptor(getattr(getattr(check, "__self__", None), "socket", connection))


def _is_closed(fd: int) -> bool:
    """Return whether the other side of a connection has closed it. Never waits, under gevent neither."""
    probe = _socket.socket(fileno=fd)
    try:
        if probe.family in (socket.AF_INET, socket.AF_INET6) and hasattr(socket, "TCP_INFO"):
            return probe.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1) != _ESTABLISHED
        return probe.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:  # reset
        return True
    finally:
        probe.detach()


def _descriptor(connection: Any) -> int | None:
    """Return the descriptor of the socket behind a request's input, which servers wrap again and again."""
    for _ in range(6):
        with contextlib.suppress(AttributeError, OSError, ValueError):
            fd = connection.fileno()
            return fd if stat.S_ISSOCK(os.fstat(fd).st_mode) else None
        # of cheroot; of Django's runserver
        wrapped = getattr(connection, "rfile", None)
        connection = wrapped or getattr(getattr(connection, "_read", None), "__self__", None)
    return None
