"""Acts as requests of httpx2: all that both faces of the client share below the steps.

httpx2 is imported when a client is made, for `import runcast.client` must not need it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runcast._version import __version__
from runcast.client.acts import Answer, Call, Cut, Open, cut_by
from runcast.client.server import Server
from runcast.errors import ServerUnreachable

if TYPE_CHECKING:
    import httpx2

__all__ = ["CONNECT_SECONDS", "answer", "cut", "options", "request", "unreachable"]

CONNECT_SECONDS = 10.0
_WRITE_SECONDS = 60.0


def options(server: Server) -> dict[str, Any]:
    """Return what a client of httpx2 is made with."""
    import httpx2

    headers = {"Accept-Encoding": "identity", "User-Agent": f"runcast/{__version__}", "X-Runcast": "1"}
    if server.token is not None:
        headers["Authorization"] = f"Bearer {server.token}"
    # As many connections as there are followers; a pool that is full would look like a dead server.
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=10, keepalive_expiry=5.0)
    return {"headers": headers, "limits": limits, "follow_redirects": False}


def request(http: httpx2.Client | httpx2.AsyncClient, server: Server, act: Call | Open) -> httpx2.Request:
    """Return an act as a request."""
    import httpx2

    read: float | None
    body: bytes | None
    if isinstance(act, Open):
        method, read, body = "GET", act.silence, None
        headers = {"Accept": "application/x-ndjson", **act.headers}
    else:
        method, read, body = act.method, act.timeout, act.body or None
        headers = {"Accept": "application/json"}
        if body is not None or act.method == "POST":
            headers["Content-Type"] = "application/json" if act.json else "application/octet-stream"
    connect = CONNECT_SECONDS if read is None else min(CONNECT_SECONDS, read)
    timeout = httpx2.Timeout(connect=connect, read=read, write=_WRITE_SECONDS, pool=None)
    return http.build_request(
        method,
        f"{server.base}{act.path}",
        params=list(act.query),
        headers=headers,
        content=body,
        timeout=timeout,
    )


def answer(reply: httpx2.Response, body: bytes = b"") -> Answer:
    """Return the head of a reply, and a body that was read."""
    kind = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
    location = reply.headers.get("location")
    reason = f"{reply.reason_phrase} to {location}" if location and reply.is_redirect else reply.reason_phrase
    return Answer(reply.status_code, reason, kind, body)


def cut(error: Exception) -> Cut:
    """Return what an exception of httpx2 means; raise it again if it is none."""
    import httpx2

    # The last is what a stream gives whose client was closed by another thread.
    if isinstance(error, httpx2.HTTPError | httpx2.StreamError | httpx2.InvalidURL):
        return cut_by(error, isinstance(error, httpx2.TimeoutException))
    raise error


def unreachable(server: Server, cut: Cut) -> ServerUnreachable:
    """Return the error that a cut is for who asked once."""
    return ServerUnreachable(f"cannot reach the server {server}: {cut}")
