"""Other origins: whose pages may read runs and streams, and nothing but read.

Owns how an origin is written, which requests are such reads, and the headers that a browser needs so
that it lets a page have the answer (CORS, in the Fetch standard). Credentials are never allowed:
behind a read of another origin there is no cookie of the browser's user, only what the
page itself knows.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Final
from urllib.parse import urlsplit

from runcast.errors import UsageError
from runcast.web.http.messages import Reply, Request
from runcast.web.http.paths import STREAM_PREFIX

__all__ = ["READS_ONLY", "Origins", "is_foreign", "parse_origin"]

READS_ONLY: Final = "runcast.reads_only"  # in an ASGI scope: the guard let it in to read, no more

_ORIGIN = re.compile(r"(https?)://(\[[0-9a-f:.]+\]|[a-z0-9_][a-z0-9._-]*)(?::([0-9]{1,5}))?", re.I | re.ASCII)
_PORTS = {"http": 80, "https": 443}
_READS = ("GET", "HEAD")
_BELOW = ("/runs/", STREAM_PREFIX)
_EXPECTED = "an origin such as https://app.example or http://localhost:5173"
_WHY_NOT = {
    "*": ": any page at all could read then, so name those that may",
    "null": ": files and sandboxed pages say so, whosever they are",
}
_ASKED = "Authorization, Cache-Control, If-None-Match, If-Range, Last-Event-ID, Range"
_TOLD = (
    "Content-Length, Content-Location, Content-Range, ETag, Link, Location, Retry-After, Stream-Closed, "
    "Stream-Cursor, Stream-Expires-At, Stream-Next-Offset, Stream-TTL, Stream-Up-To-Date, WWW-Authenticate"
)
_PREFLIGHT_SECONDS = 600  # a browser need not ask again; the request itself is looked at each time


class Origins:
    """Some origins, whose pages may read.

    Args:
        listed: as browsers name them: scheme, host, and the port if it is not the scheme's own.

    Raises:
        UsageError: one is none.
    """

    def __init__(self, listed: Iterable[str] = ()) -> None:
        if isinstance(listed, str) or not isinstance(listed, Iterable):
            raise UsageError(f"expected allow_origins= as a list of origins, got {listed!r:.100}")
        try:
            self._listed = frozenset(map(parse_origin, listed))
        except ValueError as error:
            raise UsageError(f"allow_origins=: {error}") from None

    def __bool__(self) -> bool:
        return bool(self._listed)

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._listed))

    def may_read(self, method: str, path: str, header: Callable[[str], str | None]) -> bool:
        """Return whether a page of a listed origin asks to read runs or streams, or whether it may ask.

        Args:
            method: of the request; of a WebSocket's handshake GET.
            path: below where the API is mounted.
            header: returns a header by its lower-case name.
        """
        if not self._listed or header("origin") not in self._listed:
            return False
        if method == "OPTIONS":
            method = header("access-control-request-method") or ""
        return method in _READS and (path == "/runs" or path.startswith(_BELOW))

    def preflight(self, request: Request) -> Reply | None:
        """Return the answer to a browser that asks whether a page may read, if this is one."""
        if request.method != "OPTIONS" or not self.may_read("OPTIONS", request.path, request.header):
            return None
        allowed = [
            ("Access-Control-Allow-Methods", ", ".join(_READS)),
            ("Access-Control-Allow-Headers", _ASKED),
            ("Access-Control-Max-Age", str(_PREFLIGHT_SECONDS)),
        ]
        return Reply(204, [*self._headers(request.header), *allowed])

    def apply(self, request: Request, reply: Reply, *, view: bool = False) -> Reply:
        """Return a reply that a page of a listed origin may have, where it may read that.

        Args:
            request: what came.
            reply: the answer.
            view: it is one of the application's own pages, whatever its path.
        """
        path = "/runs" if view else request.path
        if not self._listed or request.method not in _READS:
            return reply
        if not self.may_read(request.method, path, request.header):
            return _varying(reply)
        return _varying(reply, self._headers(request.header))

    def refused(self, header: Callable[[str], str | None], reply: Reply) -> Reply:
        """Return a refusal in such a form that the page which may read can read why not."""
        return _varying(reply, self._headers(header))

    @staticmethod
    def _headers(header: Callable[[str], str | None]) -> list[tuple[str, str]]:
        # The origin itself and never `*`, which would allow every page that knows a token.
        return [
            ("Access-Control-Allow-Origin", header("origin") or ""),
            ("Access-Control-Expose-Headers", _TOLD),
        ]


def _varying(reply: Reply, more: Iterable[tuple[str, str]] = ()) -> Reply:
    """Return a reply with `Vary: Origin`, in one header, as not every framework has room for two."""
    varies = [value for name, value in reply.headers if name.lower() == "vary"]
    others = [(name, value) for name, value in reply.headers if name.lower() != "vary"]
    return replace(reply, headers=[*others, ("Vary", ", ".join([*varies, "Origin"])), *more])


def parse_origin(text: str) -> str:
    """Return an origin as browsers write it: in lower case, without the port that its scheme has anyway.

    Raises:
        ValueError: it is none, or nobody's: `*`, `null`.
    """
    match = _ORIGIN.fullmatch(text) if isinstance(text, str) else None
    origin = match and _spelled(*match.groups())
    if not origin:
        raise ValueError(f"expected {_EXPECTED}, got {text!r:.100}{_hint(text)}")
    return origin


def _spelled(scheme: str, host: str, port: str | None) -> str | None:
    scheme, host = scheme.lower(), host.lower()
    if host.startswith("["):
        try:
            host = f"[{ipaddress.IPv6Address(host[1:-1]).compressed}]"
        except ValueError:
            return None
    number = _PORTS[scheme] if port is None else int(port)
    if not 0 < number < 65536:
        return None
    return f"{scheme}://{host}" if number == _PORTS[scheme] else f"{scheme}://{host}:{number}"


def _hint(text: object) -> str:
    if not isinstance(text, str):
        return ""
    if (why := _WHY_NOT.get(text)) is not None:
        return why
    start = _ORIGIN.match(text) or _ORIGIN.fullmatch(f"https://{text}")
    near = start and text[start.end() : start.end() + 1] in ("", "/", "?", "#") and _spelled(*start.groups())
    return f": did you mean {near}?" if near else ""


def is_foreign(request: Request) -> bool:
    """Return whether a page of another site made a browser send this."""
    if site := request.header("sec-fetch-site"):  # from a browser, and no proxy rewrites it
        return site not in ("same-origin", "none")
    origin = request.header("origin")
    if origin is None:
        return False
    try:
        host = urlsplit(origin).netloc
    except ValueError:  # no browser's, so nobody knows whose
        return True
    return host not in (request.header("host"), request.header("x-forwarded-host"))
