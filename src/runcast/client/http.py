"""Actions as requests of httpx2: what both transports share.

httpx2 is imported when a client is made, because `import runcast.client` must not need it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runcast._version import __version__
from runcast.client.actions import Call, NetworkError, Open, Response, network_error
from runcast.client.server import Server
from runcast.errors import ServerUnreachable
from runcast.trace_context import current

if TYPE_CHECKING:
    import httpx2

    from runcast.client.ssh import Destination

__all__ = ["CONNECT_SECONDS", "by_ssh", "failure", "options", "reply_of", "request", "unreachable"]

CONNECT_SECONDS = 10.0
_WRITE_SECONDS = 60.0


def options(
    server: Server, transport: type[httpx2.HTTPTransport] | type[httpx2.AsyncHTTPTransport]
) -> dict[str, Any]:
    """Return the arguments of a client of httpx2; `transport` is the class of its connections."""
    import httpx2

    headers = {"Accept-Encoding": "identity", "User-Agent": f"runcast/{__version__}", "X-Runcast": "1"}
    if server.token is not None:
        headers["Authorization"] = f"Bearer {server.token}"
    # As many connections as there are followers; a pool that is full would look like a dead server.
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=10, keepalive_expiry=5.0)
    shared = {"headers": headers, "limits": limits, "follow_redirects": False}
    if server.ssh is not None:
        return {**shared, "transport": by_ssh(server.ssh, waits=transport is httpx2.AsyncHTTPTransport)}
    if server.socket_path is None:
        return shared
    # Without the environment: a proxy of its own would get the requests for `localhost`.
    return {**shared, "transport": transport(uds=server.socket_path, limits=limits), "trust_env": False}


def by_ssh(destination: Destination, *, waits: bool = False) -> Any:
    """Return a transport of httpx2 by way of ssh, for a client that blocks or `waits` in an event loop."""
    from runcast.client import ssh_streams

    return (ssh_streams.AsyncSshTransport if waits else ssh_streams.SshTransport)(destination)


def request(http: httpx2.Client | httpx2.AsyncClient, server: Server, action: Call | Open) -> httpx2.Request:
    """Return an action as a request."""
    import httpx2

    read: float | None
    body: Any
    if isinstance(action, Open):
        method, read, body = "GET", action.silence, None
        headers = {"Accept": "application/x-ndjson", **action.headers}
    else:
        method, read, body = action.method, action.timeout, action.body or None
        headers = {"Accept": "application/json", **action.headers}
        if action.form is not None:
            headers |= {"Content-Type": action.form.content_type, "Content-Length": str(action.form.length)}
            waits = isinstance(http, httpx2.AsyncClient)
            body = aiter(action.form) if waits else iter(action.form)
        elif body is not None or action.method == "POST":
            headers["Content-Type"] = "application/json" if action.json else "application/octet-stream"
        if action.method == "POST" and (step := current()) is not None:  # a run that it starts is a child
            headers |= {name.lower(): value for name, value in step.variables().items()}
    connect = CONNECT_SECONDS if read is None else min(CONNECT_SECONDS, read)
    timeout = httpx2.Timeout(connect=connect, read=read, write=_WRITE_SECONDS, pool=None)
    return http.build_request(
        method,
        f"{server.base}{action.path}",
        params=list(action.query),
        headers=headers,
        content=body,
        timeout=timeout,
    )


def reply_of(response: httpx2.Response, body: bytes = b"") -> Response:
    """Return the head of a response, with the body that was read of it."""
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    reason = response.reason_phrase
    if response.is_redirect and (location := response.headers.get("location")):
        reason = f"{reason} to {location}"
    return Response(response.status_code, reason, kind, body)


def failure(error: Exception) -> NetworkError:
    """Return what an exception of httpx2 means; raise any other exception again."""
    import httpcore2
    import httpx2

    if isinstance(error, NetworkError):
        return error
    # A stream raises StreamError when another thread has closed its client.
    if isinstance(error, httpx2.HTTPError | httpx2.StreamError | httpx2.InvalidURL):
        return network_error(error, isinstance(error, httpx2.TimeoutException))
    # By way of ssh.
    if isinstance(error, httpcore2.TimeoutException | httpcore2.NetworkError | httpcore2.ProtocolError):
        return network_error(error, isinstance(error, httpcore2.TimeoutException))
    raise error


def unreachable(server: Server, error: NetworkError) -> ServerUnreachable:
    """Return the error for a caller whose single attempt failed."""
    return ServerUnreachable(f"cannot reach the server {server}: {error}")
