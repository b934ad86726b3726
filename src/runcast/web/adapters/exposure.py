"""A warning where everybody may do everything, and the server is reached from other machines.

Owns one check of an application's `authorize=`: whether it has allowed a stranger what needs no id. A
stranger sends neither a cookie nor an `Authorization`, and comes from another machine, by the address of
the connection or by a header of a proxy. It sees only what was allowed already, changes nothing, and
warns once in a process.
"""

from __future__ import annotations

import ipaddress
import logging
from typing import Any, Final

from runcast.run import Run
from runcast.web.api.authorize import Decide
from runcast.web.http.messages import Request

__all__ = ["is_stranger", "peer_of", "warning_once"]

# A run's id lets its holder read and stop it; whatever else is allowed to strangers is for everybody.
_OF_EVERYBODY: Final = frozenset({"list", "start", "rerun", "delete", "create", "append"})
_FORWARDED: Final = ("x-forwarded-for", "forwarded", "x-real-ip")

log = logging.getLogger("runcast.web")
_warned = False  # once in a process, however many applications it has


def warning_once(authorize: Decide) -> Decide:
    """Return a function that decides the same, and warns the first time that a stranger may do things."""

    def decide(verb: str, run: Run | None, request: Request) -> bool:
        global _warned
        allowed = authorize(verb, run, request)
        if allowed and not _warned and verb in _OF_EVERYBODY and is_stranger(request):
            _warned = True
            log.warning(
                "anybody who reaches this server may %s here: a request of another machine was allowed to, "
                "with neither a cookie nor an Authorization header. If that is not meant, have authorize= "
                "look at who is logged in, or listen on 127.0.0.1 only",
                verb,
            )
        return allowed

    return decide


def is_stranger(request: Request) -> bool:
    """Return whether a request came from another machine and shows nothing that could be a login."""
    if request.header("cookie") or request.header("authorization"):
        return False
    if any(request.header(name) for name in _FORWARDED):  # a proxy of this machine, for somebody else
        return True
    peer = peer_of(request.original)
    try:
        address = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:  # a Unix socket, a test client: nobody knows
        return False
    return not (getattr(address, "ipv4_mapped", None) or address).is_loopback


def peer_of(original: Any) -> str:
    """Return the address of the other side of a connection; empty where the server gives none."""
    environ = getattr(original, "META", original)  # of Django, else a WSGI environment or an ASGI scope
    if not isinstance(environ, dict):
        return ""
    client = environ.get("client")
    return str(client[0] if isinstance(client, tuple | list) and client else environ.get("REMOTE_ADDR", ""))
