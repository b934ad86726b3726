"""The folder of a store: whether it is one of ours, and its making.

Owns `store.json`, the mark of a store, and the errors of a folder that cannot be used. Knows nothing
of what the runs in it are.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os

from runcast.errors import FileDamaged, FormatTooNew, StoreUnusable
from runcast.ids import is_run_id, new_run_id
from runcast.json_objects import parse_object
from runcast.shortages import shortage
from runcast.store.permissions import check_parents, check_writers, user_name
from runcast.sysio.files import make_folders, read_own
from runcast.sysio.writes import replace, sync_folder

__all__ = ["FORMAT", "check_store", "check_writable", "make_store", "unwritable"]

FORMAT = 1
_SMALL = 64 * 1024  # bytes of a store.json


def check_store(path: str) -> None:
    """Refuse a folder that is none of ours. Touches nothing.

    Raises:
        StoreUnusable: it is no folder, somebody else's, open for others to write to, or no store.
        FormatTooNew: a later runcast wrote it.
    """
    try:
        status = os.stat(path)
    except FileNotFoundError:
        check_parents(path)
        return
    except OSError as error:
        raise StoreUnusable(f"cannot look into the store {path}: {(error.strerror or '').lower()}") from None
    if not os.path.isdir(path):
        raise StoreUnusable(f"expected a folder as the store, {path} is a file: name a folder")
    if status.st_uid != os.geteuid():
        raise StoreUnusable(
            f"the store {path} belongs to {user_name(status.st_uid)}, "
            f"this is {user_name(os.geteuid())}: use a store of your own (--store, RUNCAST_STORE)"
        )
    check_writers(path, status)
    _check_format(path)


def _check_format(path: str) -> None:
    try:
        data = read_own(f"{path}/store.json", _SMALL)
    except FileNotFoundError:
        if not _has_runs(path) and any(not name.startswith(".") for name in os.listdir(path)):
            if os.path.lexists(f"{path}/store.json"):  # somebody has just made it
                return _check_format(path)
            raise StoreUnusable(
                f"expected a store or an empty folder, {path} holds other files: name another folder"
            ) from None
        return
    except OSError as error:
        said = str(error) if isinstance(error, FileDamaged) else (error.strerror or "").lower()
        raise StoreUnusable(f"cannot read {path}/store.json: {said}: is this a store?") from None
    try:
        version = parse_object(data)["format"]
        if not isinstance(version, int) or isinstance(version, bool):
            raise ValueError(f"expected format as a whole number, got {version!r:.60}")
    except (ValueError, KeyError) as error:
        if _has_runs(path):  # a power loss took it; the runs are there, and each says its own format
            return
        said = "expected format, it is missing" if isinstance(error, KeyError) else str(error)
        raise StoreUnusable(f"cannot read {path}/store.json: {said}: is this a store?") from None
    if version > FORMAT:
        raise FormatTooNew(
            f"the store {path} has format {version}, this runcast knows up to {FORMAT}: "
            "upgrade runcast, or use another store"
        )


def _has_runs(path: str) -> bool:
    return any(map(is_run_id, os.listdir(path)))


def make_store(path: str) -> None:
    """Make the folder and its mark, if they are not there.

    Raises:
        StoreUnusable: they cannot be made.
    """
    try:
        if not os.path.exists(f"{path}/store.json"):
            make_folders(path)
            draft = f"{path}/.store-{new_run_id()}"  # threads may do this at the same moment
            mark = json.dumps({"format": FORMAT, "id": new_run_id()})
            replace(draft, f"{path}/store.json", mark.encode())
            with contextlib.suppress(PermissionError):  # a folder of others that may be passed, not read
                sync_folder(os.path.dirname(path))  # the name of the store itself
    except OSError as error:
        raise unwritable(path, error) from None


def check_writable(path: str) -> None:
    """Look whether the store can be made, or written to where it is there already. Leaves nothing behind.

    Tries it with a folder that is removed at once: permissions alone do not tell of `/proc`, of a file system
    that is full or mounted read-only, or of what root may not do.

    Raises:
        StoreUnusable: it cannot.
    """
    above = path
    while not os.path.isdir(above):
        above = os.path.dirname(above)
    try:
        make_folders(trial := f"{above}/.store-{new_run_id()}")
        os.rmdir(trial)
    except OSError as error:
        raise unwritable(path, error) from None


def unwritable(path: str, error: OSError) -> StoreUnusable:
    """Return what to raise where nothing can be written to a store: what is wrong, and what to do."""
    short = shortage(error)
    if short is not None and error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return StoreUnusable(f"cannot use the store {path}: {short.what}: {short.advice}")
    return StoreUnusable(
        f"cannot write to the store {path}: {(error.strerror or str(error)).lower()}: "
        f"{short.advice if short else 'make it writable'}, or use another (--store, RUNCAST_STORE)"
    )
