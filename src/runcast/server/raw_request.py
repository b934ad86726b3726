"""A request as the guard sees it: untrusted values, and their interpretation.

Owns the syntax of hosts, origins and queries. Decides nothing.
"""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple
from urllib.parse import unquote_plus, urlsplit

from runcast.web.http.share import PARAMETER

__all__ = ["RawRequest", "hide_token", "host_name", "local_url", "same_origin", "spellings", "without_token"]

_HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?")
_SEPARATORS = re.compile(r"([&;])")
_TOKENS = ("token", PARAMETER)  # parameters whose value is for its sender alone
_NOT_IN_URLS = re.compile(r"[^!-~]")


class RawRequest(NamedTuple):
    """One request. `path` and `query` are as they came, percent-encoded; the path is below `root`."""

    method: str
    path: str
    query: str
    headers: dict[str, list[str]]
    scheme: str
    root: str = ""

    def one(self, name: str) -> str | None:
        """Return a header; an empty text if it was sent several times, which no check accepts."""
        values = self.headers.get(name)
        return None if values is None else values[0] if len(values) == 1 else ""

    @property
    def websocket(self) -> bool:
        """Whether this is the handshake of a WebSocket."""
        return self.scheme in ("ws", "wss")

    @property
    def navigation(self) -> bool:
        """Whether a browser opens a page, as far as the headers show; programs may send none."""
        if "sec-websocket-key" in self.headers:  # the handshake of a WebSocket, whose Upgrade a proxy dropped
            return False
        mode = self.one("sec-fetch-mode")  # absent on plain http to other machines, and in old browsers
        return self.method in ("GET", "HEAD") and not self.websocket and mode in (None, "navigate")

    @property
    def wants_page(self) -> bool:
        """Whether a person will read a refusal."""
        return self.navigation and "text/html" in (self.one("accept") or "")


def host_name(text: str, *, port: bool = False) -> str | None:
    """Return the name or address in a Host header, normalized; None if it is invalid.

    Args:
        text: a name, an address (of IPv6 in brackets or not), or the header.
        port: whether a port may follow.
    """
    if not port and ":" in text and not text.startswith("["):
        text = f"[{text}]"
    match = _HOST.fullmatch(text)
    if match is None or (not port and match.group() != match.group(1)):
        return None
    name = match.group(1).lower()
    if name.startswith("["):
        try:
            return f"[{ipaddress.IPv6Address(name[1:-1]).compressed}]"
        except ValueError:
            return None
    return name


def hide_token(query: str) -> str:
    """Return a query for the log, without tokens, however their names and separators are encoded."""
    return "".join(
        f"{part.partition('=')[0]}=***" if _may_be_token(part) else part
        for part in _SEPARATORS.split(query)
        if part
    )


def spellings(token: str) -> re.Pattern[str]:
    """Return a pattern that finds a token in a URL, where any of its letters may be percent-encoded."""
    return re.compile("".join(f"(?:{re.escape(one)}|%(?i:{ord(one):02x}))" for one in token))


def _may_be_token(part: str) -> bool:
    return "=" in part and unquote_plus(part.partition("=")[0]).strip(" ?").lower() in _TOKENS


def _is_token(part: str) -> bool:
    return unquote_plus(part.partition("=")[0]) == "token"


def without_token(request: RawRequest) -> str:
    """Return a reference to the requested URL, without the token."""
    return local_url(
        request, "&".join(part for part in request.query.split("&") if part and not _is_token(part))
    )


def local_url(request: RawRequest, query: str) -> str:
    """Return a reference to the requested path on this host: `//name/` would be another host."""
    path = f"{request.root}/" + _NOT_IN_URLS.sub("", request.path).lstrip(
        "/\\"
    )  # browsers drop tabs and line breaks
    return f"{path}?{query}" if query else path


def same_origin(origin: str, request: RawRequest) -> bool:
    """Return whether an Origin matches the Host; another port is another origin."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    schemes = (
        ("https",) if request.scheme in ("https", "wss") else ("http", "https")
    )  # a proxy may end the TLS
    return (
        parts.scheme in schemes
        and origin.lower() == f"{parts.scheme}://{(request.one('host') or '').lower()}"
        and host_name(parts.netloc, port=True) is not None
    )
