"""What the errors of a server, and the codes of scripts, mean for a link. Passwords are redis_opening's."""

from __future__ import annotations

from runcast.errors import Full, LinkDown, LinkError, LinkRefused, NoRun
from runcast.link.redis_scripts import FENCED, NO_RUN
from runcast.link.resp import ServerError
from runcast.link.rules import fenced

__all__ = ["DOWN", "check_code", "error_of"]

DOWN = {
    *("BUSY", "CLUSTERDOWN", "CROSSSLOT", "FAILOVER", "LOADING", "MASTERDOWN", "NOREPLICAS", "READONLY"),
    *("TRYAGAIN", "UNKILLABLE", "MOVED", "ASK"),
}
_FULL = {"OOM", "MISCONF"}
_LOGINS = {"NOAUTH", "WRONGPASS"}
_RIGHTS = "NOPERM"
_LONGEST = 200  # letters of a server's text


def error_of(error: ServerError, where: str) -> LinkError:
    """Return what a link raises for a server's error."""
    text = error.text[:_LONGEST].rstrip(".")
    if error.code in DOWN:
        return LinkDown(f"expected {where} to serve, it does not for now ({text}): try again")
    if error.code in _FULL:
        return Full(
            f"expected room at {where}, it takes no more data ({text}): try again later, or give it more"
        )
    if error.code in _LOGINS:
        return LinkRefused(
            f"expected {where} to let this user in, it does not ({text}): see user and password in the URL"
        )
    if error.code == _RIGHTS:
        return LinkRefused(f"expected {where} to allow this, it does not ({text}): give its user the right")
    return LinkRefused(
        f"expected {where} to understand, it does not ({text}): is it Redis 7, and are the keys ours?"
    )


def check_code(run: str, code: int) -> None:
    """Raise what a script's code says of a run, if it says that.

    Raises:
        NoRun: there is none.
        Fenced: it has its outcome.
    """
    if code == NO_RUN:
        raise NoRun(run)
    if code == FENCED:
        raise fenced(run)
