"""What is known of HTTP proxies: by which headers each can be recognized, and the line that cures each fault.

Owns the table, as measured (docs/howto/behind-a-proxy.md has the versions). The server names the proxy that
stands before it, by the headers of a request; `runcast doctor --url` the one before a server, by those of a
reply. A header of a client can only choose among these lines, none of its text is repeated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

__all__ = ["HAPROXY", "NGINX", "PROXIES", "Proxy", "before_server", "of_own_reply", "of_reply"]

Headers = Callable[[str], str | None]
"""Returns a header by its lower-case name; None where there is none."""


@dataclass(frozen=True)
class Proxy:
    """A kind of proxy.

    Attributes:
        name: as its makers write it.
        upgrade: lets a WebSocket through. Here and below: empty where its defaults do, or nothing was found.
        buffering: has lines passed on as they come.
        compression: has a reply that says `no-transform` passed on as it is.
        host: has the Host passed on as it was sent.
        idle: keeps a silent reply for longer.
        left: has a viewer who left noticed at once.
        uploads: has a long upload passed on before its end.
    """

    name: str
    upgrade: str = ""
    buffering: str = ""
    compression: str = ""
    host: str = ""
    idle: str = ""
    left: str = ""
    uploads: str = ""


NGINX: Final = Proxy(
    "nginx",
    upgrade="proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; "
    "proxy_set_header Connection $connection_upgrade; and, outside of the server block, "
    "map $http_upgrade $connection_upgrade { default upgrade; '' ''; }",
    buffering="proxy_buffering off;",
    compression="gzip off;",
    host="proxy_set_header Host $http_host;",
    idle="proxy_read_timeout 1d;",
    uploads="proxy_request_buffering off;",
)
_APACHE: Final = Proxy(
    "Apache",
    upgrade="ProxyPass / http://127.0.0.1:8765/ upgrade=websocket",
    buffering="ProxyPass / http://127.0.0.1:8765/ flushpackets=on",
    compression="SetEnv no-gzip 1 and SetEnv no-brotli 1",
    host="ProxyPreserveHost On",
    idle="ProxyTimeout 86400",
)
HAPROXY: Final = Proxy(
    "HAProxy",
    buffering="option http-no-delay",
    idle="timeout server 1d and timeout client 1d",
    left="option abortonclose, in the section defaults",
)
_VARNISH: Final = Proxy(
    "Varnish",
    upgrade='in vcl_recv: if (req.http.Upgrade ~ "(?i)websocket") { return (pipe); } and in vcl_pipe: '
    "set bereq.http.Upgrade = req.http.Upgrade; set bereq.http.Connection = req.http.Connection;",
    buffering='in vcl_backend_response: if (beresp.http.Cache-Control ~ "no-transform") '
    "{ set beresp.do_gzip = false; set beresp.do_stream = true; }",
    compression='no do_gzip where beresp.http.Cache-Control ~ "no-transform"',
    idle="in vcl_backend_fetch: set bereq.between_bytes_timeout = 1d;",
)
_SQUID: Final = Proxy("Squid", upgrade="http_upgrade_request_protocols websocket allow all")
_LIGHTTPD: Final = Proxy(
    "lighttpd",
    upgrade='proxy.header = ("upgrade" => "enable")',
    buffering="server.stream-response-body = 2",
    uploads="server.stream-request-body = 2",
)
_H2O: Final = Proxy(
    "h2o", upgrade="proxy.websocket: ON", host="proxy.preserve-host: ON", idle="proxy.timeout.io: 86400000"
)
_ENCODE = "encode { gzip; match { header Content-Type text/html* } }, each on a line, or Caddy 2.11"
_CADDY: Final = Proxy("Caddy", buffering=_ENCODE, compression=_ENCODE)
_TRAEFIK: Final = Proxy("Traefik")

PROXIES: Final = (NGINX, _APACHE, HAPROXY, _VARNISH, _SQUID, _LIGHTTPD, _H2O, _CADDY, _TRAEFIK)


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


def of_own_reply(data: bytes) -> Proxy | None:
    """Return the proxy that refused a request itself, by its words; None where they tell nobody's name.

    HAProxy puts its name into nothing, but this sentence is its own, built in as in the `errorfile`s of it.
    """
    return HAPROXY if b"\nYour browser sent an invalid request.\n" in data else None
