"""What is known of HTTP proxies: by which headers each can be recognized, and the line that cures each fault.

Owns the table, as measured. The server names the proxy that
stands before it, by the headers of a request; `runcast doctor --url` the one before a server, by those of a
reply. A header of a client can only choose among these lines, none of its text is repeated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

__all__ = ["NGINX", "PROXIES", "Proxy", "before_server", "of_reply"]

Headers = Callable[[str], str | None]
"""Returns a header by its lower-case name; None where there is none."""


@dataclass(frozen=True)
class Proxy:
    """A kind of proxy.

    Attributes:
        name: as its makers write it.
        upgrade: lets a WebSocket through; empty where its defaults do.
    """

    name: str
    upgrade: str = ""


NGINX: Final = Proxy(
    "nginx",
    upgrade="proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; "
    "proxy_set_header Connection $connection_upgrade; and, outside of the server block, "
    "map $http_upgrade $connection_upgrade { default upgrade; '' ''; }",
)
_APACHE: Final = Proxy("Apache", upgrade="ProxyPass / http://127.0.0.1:8765/ upgrade=websocket")
_VARNISH: Final = Proxy(
    "Varnish",
    upgrade='in vcl_recv: if (req.http.Upgrade ~ "(?i)websocket") { return (pipe); } and in vcl_pipe: '
    "set bereq.http.Upgrade = req.http.Upgrade; set bereq.http.Connection = req.http.Connection;",
)
_SQUID: Final = Proxy("Squid", upgrade="http_upgrade_request_protocols websocket allow all")
_LIGHTTPD: Final = Proxy("lighttpd", upgrade='proxy.header = ("upgrade" => "enable")')
_H2O: Final = Proxy("h2o", upgrade="proxy.websocket: ON")
_CADDY: Final = Proxy("Caddy")
_TRAEFIK: Final = Proxy("Traefik")

PROXIES: Final = (NGINX, _APACHE, _VARNISH, _SQUID, _LIGHTTPD, _H2O, _CADDY, _TRAEFIK)


def before_server(header: Headers) -> Proxy | None:
    """Return the proxy that passed a request on; None where it does not show itself.

    nginx, HAProxy and the proxies of Express and Vite add nothing to a request by themselves.
    """
    via = (header("via") or "").lower()
    if header("x-varnish"):
        return _VARNISH
    if "squid" in via or header("surrogate-capability"):
        return _SQUID
    if "caddy" in via:
        return _CADDY
    if header("x-forwarded-server"):
        return _TRAEFIK if header("x-real-ip") else _APACHE
    if header("x-host") and header("x-forwarded-host"):
        return _LIGHTTPD
    return _H2O if via and header("x-forwarded-proto") else None


def of_reply(header: Headers) -> Proxy | None:
    """Return the proxy that passed a reply on; None where it does not show itself, as HAProxy and Traefik."""
    if header("x-varnish"):
        return _VARNISH
    said = f"{header('server') or ''} {header('via') or ''}".lower()
    return next((one for one in PROXIES if one.name.lower() in said), None)
