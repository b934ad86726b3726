"""A person or a program that was let in with rights of its own: not by the token that may do everything.

Owns the value that those who let in hand on beside a request, and where it lies. Decides nothing itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from runcast.rights import Rights
from runcast.who import Who

__all__ = ["PERSON", "Person", "person_in"]

PERSON: Final = "runcast.person"  # in an ASGI scope


@dataclass(frozen=True)
class Person:
    """Somebody with rights.

    Attributes:
        who: the person or the program.
        rights: what it may do.
        expires: when these end, in seconds since the epoch; None for never.
        lapsed: returns whether they have ended before; None where they cannot.
    """

    who: Who
    rights: Rights
    expires: float | None = None
    lapsed: Callable[[], bool] | None = None

    def may(self, verb: str, name: str | None) -> bool:
        """Return whether a verb may be done to what has a name, now."""
        return self.rights.allow(verb, name) and not self.gone

    @property
    def gone(self) -> bool:
        """Whether the rights have ended."""
        return self.lapsed is not None and self.lapsed()


def person_in(original: Any) -> Person | None:
    """Return the person of a request of an ASGI server; None for any other."""
    found = original.get(PERSON) if isinstance(original, Mapping) else None
    return found if isinstance(found, Person) else None
