"""An ASGI extension of runcast: repeats of an append, without a request cycle each.

Owns the contract between a server that has it, the middleware in between and the application. A client
that sends many small appends over one connection repeats the same head; only the body and the
producer's number differ. A server with the extension puts a function into the scope. The application,
when it has taken an append, gives that function a `RepeatAppend`; a middleware that adds to replies
wraps it, and one that must see each request takes the extension out of the scope. A decision that
depends on the head alone applies to all repeats.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from runcast.web.http.messages import Reply

__all__ = ["EXTENSION", "RepeatAppend", "offer", "wrap"]

EXTENSION = "runcast.again"

# Called with the number (`Producer-Seq`) and the body of a repeat; returns its whole reply, or None where
# it must wait for other requests: then the application is called as usual.
RepeatAppend = Callable[[str | None, bytes], Reply | None]


def offer(scope: Any, repeat: RepeatAppend) -> None:
    """Offer to take repeats of this request, where the server has the extension."""
    take_more = (scope.get("extensions") or {}).get(EXTENSION)
    if take_more is not None:
        take_more(repeat)


def wrap(scope: Any, around: Callable[[RepeatAppend], RepeatAppend] | None) -> None:
    """Wrap the function that takes repeats; None removes the extension."""
    extensions = scope.get("extensions") or {}
    take_more = extensions.pop(EXTENSION, None)
    if take_more is not None and around is not None:
        extensions[EXTENSION] = lambda repeat: take_more(around(repeat))
