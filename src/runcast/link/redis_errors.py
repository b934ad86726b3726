"""What the errors of a server mean for a link. Their texts never have a password: redis-py sends those."""

from __future__ import annotations

from runcast.errors import Full, LinkDown, LinkError, LinkRefused
from runcast.link.resp import ServerError

__all__ = ["error_of"]

_DOWN = {
    *("BUSY", "CLUSTERDOWN", "CROSSSLOT", "FAILOVER", "LOADING", "MASTERDOWN", "NOREPLICAS", "READONLY"),
    *("TRYAGAIN", "UNKILLABLE", "MOVED", "ASK"),
}
_FULL = {"OOM", "MISCONF"}
_REFUSED = {"NOAUTH", "NOPERM", "WRONGPASS"}
_LONGEST = 200  # letters of a server's text


def error_of(error: ServerError, where: str) -> LinkError:
    """Return what a link raises for a server's error."""
    text = error.text[:_LONGEST].rstrip(".")
    if error.code in _DOWN:
        return LinkDown(f"expected {where} to serve, it does not for now ({text}): try again")
    if error.code in _FULL:
        return Full(
            f"expected room at {where}, it takes no more data ({text}): try again later, or give it more"
        )
    if error.code in _REFUSED:
        return LinkRefused(f"expected {where} to allow this, it does not ({text}): give its user the right")
    return LinkRefused(
        f"expected {where} to understand, it does not ({text}): is it Redis 7, and are the keys ours?"
    )
