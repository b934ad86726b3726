"""What the API refuses, whatever the framework: no such path, method, right or protocol."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from runcast.errors import RuncastError
from runcast.known_proxies import NGINX, before_server

__all__ = [
    *("MethodNotAllowed", "NoShareLinks", "NoSuchPage", "NotAllowed", "ShareExpired"),
    *("TooManySearches", "UpgradeDropped", "UpgradeRefused"),
]


class MethodNotAllowed(RuncastError):
    """A method that a route does not have.

    Attributes:
        allowed: those that it has, as the header `Allow` lists them.
    """

    http_status = 405

    def __init__(self, allowed: str, method: str) -> None:
        super().__init__(f"expected {allowed} here, got {method[:20]!r}")
        self.allowed = allowed


class NotAllowed(RuncastError):
    """Something that this server does not allow over the web.

    Attributes:
        verb: what was to be done, as `authorize` has it; None where nobody may do that here.
        may: what the client may do, where it has rights of its own; else None.
    """

    http_status = 403

    def __init__(self, message: str, verb: str | None = None, may: Sequence[str] | None = None) -> None:
        super().__init__(message)
        self.verb, self.may = verb, may

    @property
    def members(self) -> dict[str, object]:
        """What a problem has of it, beside the sentence."""
        return {} if self.may is None else {"verb": self.verb, "may": list(self.may)}


class NoShareLinks(NotAllowed):
    """A share link where there are none."""

    def __init__(self) -> None:
        super().__init__(
            "expected a server that can sign share links, this one cannot: `runcast serve` does where it "
            "requires its token, and an application that has authorize= and a secret (share_secret=)"
        )


class ShareExpired(NotAllowed):
    """A share link whose time is over.

    Attributes:
        expires: when it was, in seconds since the epoch.
    """

    def __init__(self, expires: int) -> None:
        when = time.strftime("%Y-%m-%d at %H:%M:%S UTC", time.gmtime(expires))
        super().__init__(
            f"expected a share link that is still valid, this one expired on {when}: "
            "get a new one from the person who shared it"
        )
        self.expires = expires


class UpgradeRefused(RuncastError):
    """A WebSocket where there can be none, since the application's server speaks none."""

    http_status = 426

    def __init__(self) -> None:
        super().__init__(
            "expected a plain request: the server of this application speaks no WebSocket (as a WSGI server "
            "does not); ask for text/event-stream, or serve runcast by ASGI"
        )


class UpgradeDropped(RuncastError):
    """The handshake of a WebSocket whose `Upgrade` a proxy has dropped, so that it is a plain request.

    Such a header is of one connection, and a proxy passes it on only where it is configured to (RFC 9110,
    section 7.6.1); the others of the handshake, `Sec-WebSocket-Key` among them, it does.

    Args:
        header: returns a header of the request.
    """

    http_status = 426
    headers = (("Upgrade", "websocket"), ("Connection", "Upgrade"))  # RFC 9110, section 15.5.22

    def __init__(self, header: Callable[[str], str | None]) -> None:
        proxy = before_server(header)
        cure = (
            f"it seems to be {proxy.name}; {proxy.upgrade or 'its defaults let a WebSocket through'}"
            if proxy
            else f"in nginx, which names itself in no request: {NGINX.upgrade}"
        )
        super().__init__(
            "expected `Upgrade: websocket` and `Connection: Upgrade` beside Sec-WebSocket-Key, got none: a "
            f"proxy has dropped them ({cure}). Or ask for text/event-stream, without Sec-WebSocket-Key"
        )


class NoSuchPage(RuncastError, LookupError):
    """No route has this path."""

    http_status = 404


class TooManySearches(RuncastError):
    """More searches at a time than may wait for their turn."""

    http_status = 503
