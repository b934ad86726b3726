"""Errors of the shelf, where finished output is kept, as `runcast.shelf.base` raises them."""

from __future__ import annotations

from runcast.errors.root import RuncastError

__all__ = ["ShelfDamaged", "ShelfDown", "ShelfError", "ShelfFull", "ShelfMissing", "ShelfTaken"]


class ShelfError(RuncastError):
    """The shelf did not do what it was to do; what is not known to be on it stays where it was."""

    http_status = 503


class ShelfDown(ShelfError):
    """The shelf cannot be reached, written to or read, or it is another one than before: try again later."""


class ShelfFull(ShelfError):
    """The shelf has no room for an object, and has nothing of it."""

    http_status = 507


class ShelfMissing(ShelfError, LookupError):
    """The shelf has no object of this name."""

    http_status = 404


class ShelfDamaged(ShelfError):
    """An object of the shelf is shorter than it was, or other bytes than were kept."""


class ShelfTaken(ShelfError):
    """The shelf has another object of this name, which stays."""

    http_status = 409
