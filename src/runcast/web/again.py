"""An ASGI extension of ours: more requests of a kind, handed over without a request cycle each.

Owns the contract between a server that has it, the middleware in between and the application. Who
sends many small appends over one connection sends the same head again and again; only the body and
the producer's number differ. A server with the extension puts a function into the scope. The
application, when it has taken an append, gives that function an `Again`; a middleware that adds to
replies wraps it, and one that must see each request takes the extension out of the scope. What an
application or a middleware says of a request by its head alone, it has said of all of the kind.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from runcast.web.http import Reply

__all__ = ["EXTENSION", "Again", "offer", "wrap"]

EXTENSION = "runcast.again"

# Called with the number (`Producer-Seq`) and the body of another request of the kind; returns its
# whole reply at once, or None where it must wait for others: then the application is asked as usual.
Again = Callable[[str | None, bytes], Reply | None]


def offer(scope: Any, again: Again) -> None:
    """Offer to take more of the kind, where the server has the extension."""
    take_more = (scope.get("extensions") or {}).get(EXTENSION)
    if take_more is not None:
        take_more(again)


def wrap(scope: Any, around: Callable[[Again], Again] | None) -> None:
    """Have each reply pass `around`; None takes the extension out."""
    extensions = scope.get("extensions") or {}
    take_more = extensions.pop(EXTENSION, None)
    if take_more is not None and around is not None:
        extensions[EXTENSION] = lambda again: take_more(around(again))
