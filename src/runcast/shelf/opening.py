"""Shelves by their URLs (store/shelf_urls.py), and which shelf one is.

Owns the mark of a shelf, the object `shelf`, whose content is the shelf's id. A store
remembers the id: where a disk is not mounted, or another one is, nothing is kept and nothing believed.
"""

from __future__ import annotations

import os
from typing import Final

from runcast.errors import ShelfDown, ShelfMissing
from runcast.ids import is_run_id, new_run_id
from runcast.shelf.base import Shelf
from runcast.shelf.folder import FolderShelf
from runcast.store.shelf_urls import ShelfRules, parse_shelf
from runcast.sysio.writes import write_file

__all__ = ["MARK", "ShelfRules", "identify", "open_shelf", "parse_shelf"]

MARK: Final = "shelf"


def open_shelf(url: str) -> Shelf:
    """Return the shelf that a URL names; nothing is looked at yet.

    Raises:
        StoreUnusable: it names none, or what speaks to it is not installed.
    """
    place, _ = parse_shelf(url)
    if isinstance(place, str):
        return FolderShelf(place)
    from runcast.shelf.s3 import S3Shelf

    return S3Shelf(place)


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
        check = "is it mounted, and the right one?"
        if not isinstance(shelf, FolderShelf):
            check = (
                "is it the right place, or was it made anew? Then what it had is gone; to keep there what is "
                "still here, remove .shelf.json from the store"
            )
        there = f"it is {found:.40}" if found else "none is there"
        raise ShelfDown(f"expected the shelf {known or 'with an id'} at {shelf}, {there}: {check}")
    return found
