"""Which runs of a store are on its shelf, and which shelf that is.

    <run-id>/shelved   of a run whose output is on the shelf, all of it: an object with `shelf`, the id of the
                       shelf; its time is when that was; written durably, once the shelf has the manifest
    .shelf.json        an object with `id`, the shelf that the store has used

Must not know what a shelf is.
"""

from __future__ import annotations

import contextlib
import json
import os

from runcast.errors import FileDamaged
from runcast.json_objects import read_json
from runcast.store.run_files import RunFiles
from runcast.sysio.writes import replace

__all__ = ["known_shelf", "mark_shelved", "note_shelf", "shelved_at"]

SHELVED = "shelved"
_SHELF = ".shelf.json"


def mark_shelved(files: RunFiles, shelf_id: str) -> None:
    """Note that a run is on the shelf.

    Raises:
        OSError: it was removed, or the store cannot be written to.
    """
    draft = f"{os.path.dirname(files.path)}/.away-{files.id}.{SHELVED}"
    replace(draft, f"{files.path}/{SHELVED}", json.dumps({"shelf": shelf_id}).encode())


def shelved_at(files: RunFiles, shelf_id: str) -> float | None:
    """Return when a run was put onto a shelf, in seconds since the epoch; None if it is not there."""
    path = f"{files.path}/{SHELVED}"
    with contextlib.suppress(OSError, FileDamaged):
        if read_json(path).get("shelf") == shelf_id:
            return os.stat(path).st_mtime
    return None


def known_shelf(store: str) -> str | None:
    """Return the id of the shelf that a store has used; None if it has used none."""
    with contextlib.suppress(OSError, FileDamaged):
        found = read_json(f"{store}/{_SHELF}").get("id")
        return found if isinstance(found, str) else None
    return None


def note_shelf(store: str, shelf_id: str) -> None:
    """Note which shelf a store uses.

    Raises:
        OSError: the store cannot be written to.
    """
    replace(f"{store}/{_SHELF}-new", f"{store}/{_SHELF}", json.dumps({"id": shelf_id}).encode())
