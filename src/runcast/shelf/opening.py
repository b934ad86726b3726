"""Shelves by their URLs, with the rules of what goes there; and which shelf one is.

    file:///mnt/runs?local_age=7d&local_bytes=10G&link_age=10m

Owns the URL and the mark of a shelf, the object `shelf`, whose content is the shelf's id. A store
remembers the id: where a disk is not mounted, or another one is, nothing is kept and nothing believed.
"""

from __future__ import annotations

import os
from typing import Any, Final, NamedTuple

from runcast.errors import ShelfDown, ShelfMissing, StoreUnusable
from runcast.ids import is_run_id, new_run_id
from runcast.quantities import duration, size
from runcast.shelf.base import Shelf
from runcast.shelf.folder import FolderShelf
from runcast.sysio.writes import write_file

__all__ = ["MARK", "ShelfRules", "identify", "open_shelf", "parse_shelf"]

MARK: Final = "shelf"
LINK_SECONDS: Final = 600.0
"""For how many seconds the link keeps the output of a run that is on the shelf."""


class ShelfRules(NamedTuple):
    """What of a run that is on the shelf stays elsewhere.

    Attributes:
        local_age: seconds for which output stays on this disk, since it was written or brought back;
            None for ever.
        local_bytes: how much of it stays here, in bytes, what came last first; None for all.
        link_age: seconds for which it stays at the link.
    """

    local_age: float | None = None
    local_bytes: int | None = None
    link_age: float = LINK_SECONDS


def parse_shelf(url: str) -> tuple[str, ShelfRules]:
    """Return the folder that a URL names, and the rules.

    Raises:
        StoreUnusable: a part of it has no meaning.
    """
    from urllib.parse import parse_qsl, unquote, urlsplit

    parts = urlsplit(url)
    path = unquote(parts.path)
    if parts.scheme != "file" or parts.netloc not in ("", "localhost") or not path.startswith("/"):
        raise StoreUnusable("expected a folder as the shelf, such as file:///mnt/runs, got another URL")
    rules: dict[str, Any] = {}
    try:
        for name, value in parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)):
            if name not in ShelfRules._fields:
                raise ValueError(f"expected {', '.join(ShelfRules._fields)}, got {name!r:.40}")
            rules[name] = size(value) if name == "local_bytes" else duration(value)
    except ValueError as error:
        raise StoreUnusable(f"expected rules behind the URL of the shelf: {error}") from None
    return os.path.normpath(path), ShelfRules(**rules)


def open_shelf(url: str) -> Shelf:
    """Return the shelf that a URL names; nothing is looked at yet.

    Raises:
        StoreUnusable: it names none.
    """
    return FolderShelf(parse_shelf(url)[0])


def identify(shelf: Shelf, known: str | None, draft: str) -> str:
    """Return the id of a shelf, which is given one if it is new.

    Args:
        shelf: the shelf.
        known: the id that it had before; None if it is used for the first time.
        draft: the path of a file for the moment.

    Raises:
        ShelfDown: it cannot be reached, or is another one.
    """
    if known is None:
        write_file(draft, new_run_id().encode())
        try:
            shelf.keep(MARK, draft)
        finally:
            os.unlink(draft)
    try:
        found = shelf.fetch(MARK).decode("ascii", "replace")
    except ShelfMissing:
        found = ""
    if not is_run_id(found) or (known is not None and found != known):
        raise ShelfDown(
            f"expected the shelf {known or 'with an id'} at {shelf!r}, "
            f"{f'it is {found:.40}' if found else 'none is there'}: is it mounted, and the right one?"
        )
    return found
