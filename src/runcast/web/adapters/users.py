"""The name of a user whom an application knows, whichever login it has.

Owns where frameworks have their users: Django's `request.user`, Starlette's `scope["user"]`, Flask-Login's
`current_user` have `is_authenticated`, and a name each in its own way; a WSGI server that authenticates
sets `REMOTE_USER` (RFC 3875, section 4.1.11), which no header of a client can.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["name_in", "name_of"]


def name_in(original: Any) -> str | None:
    """Return the name of the user of an ASGI scope or a WSGI environment; None where nobody is logged in."""
    if not isinstance(original, Mapping):
        return None
    return original.get("REMOTE_USER") or name_of(original.get("user"))


def name_of(user: Any) -> str | None:
    """Return the name of a user object, empty where it has none; None where nobody is logged in."""
    if user is None or getattr(user, "is_authenticated", False) is not True:
        return None
    sources: tuple[Callable[[], Any], ...] = (
        lambda: user.get_username(),  # Django, whatever the field is called
        lambda: user.username,
        lambda: user.display_name,  # Starlette
        lambda: user.get_id(),  # Flask-Login
    )
    for source in sources:
        with contextlib.suppress(AttributeError, NotImplementedError):
            if isinstance(name := source(), str) and name:
                return name
    return ""
