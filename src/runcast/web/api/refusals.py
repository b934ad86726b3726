"""What the API refuses, whatever the framework: no such path, method, right or protocol."""

from __future__ import annotations

import time
from collections.abc import Sequence

from runcast.errors import RuncastError

__all__ = [
    *("MethodNotAllowed", "NoShareLinks", "NoSuchPage", "NotAllowed", "ShareExpired"),
    *("TooManySearches", "UpgradeRefused"),
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
    """A WebSocket where there can be none."""

    http_status = 426


class NoSuchPage(RuncastError, LookupError):
    """No route has this path."""

    http_status = 404


class TooManySearches(RuncastError):
    """More searches at a time than may wait for their turn."""

    http_status = 503
