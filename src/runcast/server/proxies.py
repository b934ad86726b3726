"""Proxies that are trusted: to say who somebody is, and from where a request came.

Owns which addresses these are. What a server sees as the address of a client may be what a header says
(`X-Forwarded-For`), so the one of the connection itself is kept beside it: that alone says whether a
request comes from a proxy.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from runcast.errors import UsageError
from runcast.web.http.asgi_types import Receive, Scope, Send

__all__ = ["PEER", "App", "Proxies", "behind_proxies", "parse_proxy"]

PEER: Final = "runcast.peer"  # in an ASGI scope: the connection's own address; empty for a Unix socket
UNIX: Final = "unix"
_LOCAL = "127.0.0.1"
_BY_DEFAULT = f"{_LOCAL},::1"  # whose X-Forwarded-For uvicorn heeds where nobody says otherwise
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def parse_proxy(text: str) -> Network | str:
    """Return a network, or `unix` for connections by a Unix socket.

    Raises:
        UsageError: it is neither.
    """
    if text == UNIX:
        return UNIX
    try:
        return ipaddress.ip_network(text)
    except (ValueError, TypeError):
        raise UsageError(
            f"expected a proxy as an address, a network or unix, such as 10.0.0.5, got {text!r:.80}"
        ) from None


class Proxies:
    """The proxies that a server trusts; none by default.

    Args:
        texts: addresses, networks, and `unix`.

    Raises:
        UsageError: one is none of these.
    """

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._texts = tuple(texts)
        self._trusted = [parse_proxy(text) for text in self._texts]

    def __bool__(self) -> bool:
        return bool(self._trusted)

    @property
    def addresses(self) -> list[str]:
        """Those that have an address, as they were given."""
        return [text for text in self._texts if text != UNIX]

    def trust(self, peer: str) -> bool:
        """Return whether a connection comes from one of them; an empty address is that of a Unix socket."""
        if not peer:
            return UNIX in self._trusted
        try:
            address = ipaddress.ip_address(peer.partition("%")[0])
        except ValueError:
            return False
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        return any(not isinstance(one, str) and (mapped or address) in one for one in self._trusted)


def behind_proxies(app: App, proxies: Proxies) -> App:
    """Return an application whose requests have the client's address and scheme that a proxy hands on.

    Args:
        app: the application.
        proxies: those whose headers are heeded, beside the ones that uvicorn heeds by itself: those of
            `$FORWARDED_ALLOW_IPS`, else of this machine.
    """
    by_default = os.environ.get("FORWARDED_ALLOW_IPS", _BY_DEFAULT)
    local = [_LOCAL] if proxies.trust("") else []
    trusted = ",".join([by_default, *local, *proxies.addresses])
    forwarded = ProxyHeadersMiddleware(app, "*" if by_default == "*" else trusted)  # type: ignore[arg-type]

    async def with_peer(scope: Scope, receive: Receive, send: Send) -> None:
        client = scope.get("client")
        scope[PEER] = peer = str(client[0] or "") if client else ""
        if not peer and local:
            scope["client"] = (_LOCAL, 0)  # else no header is heeded
        await forwarded(scope, receive, send)  # type: ignore[arg-type]

    return with_peer
