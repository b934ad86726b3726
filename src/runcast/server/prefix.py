"""The path below which a proxy has the server, such as `/cast`: what is in front of all of its own paths.

Owns where that path comes from, an option or a trusted proxy's `X-Forwarded-Prefix`, what it may be, and that
a request looks the same to everything behind, whether the proxy has taken the path off or passed it on: the
scope's `root_path` has it, `path` and `raw_path` have not. What is made for clients puts it in front again.
"""

from __future__ import annotations

import logging
import re
from typing import Final

from runcast.errors import UsageError
from runcast.server.proxies import PEER, App, Proxies
from runcast.web.http.asgi_types import Receive, Scope, Send

__all__ = ["HEADER", "below_path", "parse_root_path", "url_below"]

HEADER: Final = "X-Forwarded-Prefix"
_HEADER: Final = HEADER.lower().encode()
_MOST = 200  # characters
# It goes into cookies, links and `Location`: nothing that any of them reads otherwise, and no way upwards.
_FORM = re.compile(r"(?:/(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._~-]+)*", re.ASCII)
_OWN = ("runs", "v1", "mcp", "commands", "hooks", "healthz", "metrics", "openapi.json")

log = logging.getLogger("runcast.server")


def parse_root_path(text: str) -> str:
    """Return a path without a slash at its end; empty for the root itself.

    Raises:
        UsageError: it is none, or one that the server answers itself: nobody could tell whether it was
            taken off.
    """
    path = text.rstrip("/")
    if len(text) > _MOST or not _FORM.fullmatch(path):
        raise UsageError(f"expected a path such as /cast, of letters, digits and -._~, got {text!r:.80}")
    if path.split("/")[1:2] and path.split("/")[1] in _OWN:
        raise UsageError(f"expected another path than those of the server itself, got {text!r:.80}")
    return path


def url_below(root_path: str, url: str) -> str:
    """Return the URL of a server below a path; that of a Unix socket names the socket alone."""
    return f"{url.rstrip('/')}{root_path}/" if root_path and url.startswith("http") else url


def below_path(app: App, root_path: str, proxies: Proxies) -> App:
    """Return an application that can be reached below a path, too.

    Args:
        app: the application.
        root_path: as `parse_root_path` returns it; empty for none.
        proxies: those whose header goes before it.
    """
    noted = False

    async def with_root(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal noted
        root = root_path
        if proxies and (given := _given(scope)) is not None and proxies.trust(scope.get(PEER, "")):
            try:
                root = parse_root_path(given)
            except UsageError as error:
                if not noted:
                    noted = True
                    log.warning("%s of a trusted proxy is passed over: %s", HEADER, error)
        if root:
            scope["root_path"] = root
            _take_off(scope, root)
        await app(scope, receive, send)

    return with_root if root_path or proxies else app


def _given(scope: Scope) -> str | None:
    values = [value for name, value in scope.get("headers", ()) if name == _HEADER]
    return values[0].decode("latin-1") if len(values) == 1 else None


def _take_off(scope: Scope, root: str) -> None:
    """Take the path off a request that still has it.

    One that spells it with percent signs keeps it: no check may see another path than those behind it.
    """
    path, raw = scope["path"], scope.get("raw_path")
    if not _is_below(path, root):
        return
    if raw is not None:
        if not _is_below(raw.decode("latin-1"), root):
            return
        scope["raw_path"] = raw[len(root) :] or b"/"
    scope["path"] = path[len(root) :] or "/"


def _is_below(path: str, root: str) -> bool:
    return path.startswith(root) and path[len(root) : len(root) + 1] in ("", "/")
