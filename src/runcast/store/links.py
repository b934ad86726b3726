"""The link of a store to those of other hosts: where the engine is, who this host is there, how it goes.

    link.json    an object: `url` (it may have a password, so the file is its user's alone), `shelf`, `host`,
                 `lost_after`; a store without it is on its own
    .link.json   what the agent has to say: an object with `up`, `since` and `message`
    .link.removed  ids of mirrors that were removed here, a line each; the newest count

Must not know what an engine is, or what an agent does.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from typing import Any, Final, NamedTuple

from runcast.errors import FileDamaged, StoreUnusable
from runcast.ids import is_run_id, new_run_id
from runcast.json_objects import read_json
from runcast.sysio.files import open_or_make, read_own
from runcast.sysio.writes import replace, write_whole

__all__ = [
    *("LOST_AFTER", "LinkFile", "LinkStatus", "is_linked", "note_removed", "read_link", "read_status"),
    "removed_mirrors",
]

FILE = "link.json"
_STATUS = ".link.json"
_REMOVED = ".link.removed"
_REMOVED_MOST = 5000  # more than a list has
LOST_AFTER: Final = 120.0
"""For how many seconds a host may be silent before its runs are lost."""


class LinkFile(NamedTuple):
    """What `link.json` has.

    Attributes:
        url: of the engine.
        shelf: where segments are kept that the engine no longer has; None for nowhere.
        host: the name of this store among those of the link, for people and for leases.
        lost_after: seconds without a sign of a host, after which its runs are lost.
        prefix: of all keys at the engine.
    """

    url: str
    shelf: str | None = None
    host: str = ""
    lost_after: float = LOST_AFTER
    prefix: str = "rc:"

    def write(self, store: str) -> LinkFile:
        """Write it, with a name for the host if it has none, and return it as it is now.

        Raises:
            OSError: the store cannot be written to.
        """
        known = read_link(store)
        if known is not None and known.host and not self.host:
            mine = self._replace(host=known.host)
        else:
            mine = self if self.host else self._replace(host=host_name(store))
        if mine != known:
            replace(f"{store}/.{FILE}-{new_run_id()}", f"{store}/{FILE}", json.dumps(mine._asdict()).encode())
        return mine


class LinkStatus(NamedTuple):
    """How the link is, as the agent wrote it last.

    Attributes:
        up: whether the engine takes and gives.
        since: since when, in seconds since the epoch.
        message: why it is not, or what people should know all the same.
    """

    up: bool
    since: float
    message: str | None

    def write(self, store: str) -> None:
        """Write it; a full disk is no error."""
        with contextlib.suppress(OSError):
            data = json.dumps(self._asdict()).encode()
            replace(f"{store}/{_STATUS}-new", f"{store}/{_STATUS}", data, durable=False)


def is_linked(store: str) -> bool:
    """Return whether a store is linked to those of other hosts."""
    return os.path.lexists(f"{store}/{FILE}")


def read_link(store: str) -> LinkFile | None:
    """Return the link of a store; None if it has none.

    Raises:
        StoreUnusable: the file is damaged, or others can read it.
    """
    path = f"{store}/{FILE}"
    try:
        value = read_json(path)
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return None
    except FileDamaged as error:
        raise StoreUnusable(f"{error}: remove it, and open the store with its URL again") from None
    if mode & 0o077:
        raise StoreUnusable(f"expected {path} as a file that only its user can read: it may have a password")
    if (wrong := _wrong(value)) is not None:
        raise StoreUnusable(f"{path}: expected {wrong}: remove it, and open the store with its URL again")
    known = {name: value[name] for name in LinkFile._fields if name in value}
    return LinkFile(**known)


def _wrong(value: dict[str, Any]) -> str | None:
    if not all(isinstance(value.get(name), str) for name in ("url", "host")):
        return "url and host as texts"
    if not isinstance(value.get("shelf"), str | None) or not isinstance(value.get("prefix", ""), str):
        return "shelf and prefix as texts"
    lost_after = value.get("lost_after", LOST_AFTER)
    if not isinstance(lost_after, int | float) or lost_after <= 0:
        return "lost_after as seconds"
    return None


def note_removed(store: str, run_id: str) -> None:
    """Note that a mirror was removed here and is not to come back; a full disk is no error."""
    with contextlib.suppress(OSError):
        fd = open_or_make(f"{store}/{_REMOVED}", os.O_WRONLY | os.O_APPEND)
        try:
            write_whole(fd, f"{run_id}\n".encode())
        finally:
            os.close(fd)


def removed_mirrors(store: str) -> list[str]:
    """Return the ids of the mirrors that were removed here last; of too many only the newest stay noted."""
    path = f"{store}/{_REMOVED}"
    try:
        ids = read_own(path).decode("ascii", "replace").split()
    except OSError:
        return []
    if len(ids) > 2 * _REMOVED_MOST:
        ids = ids[-_REMOVED_MOST:]
        with contextlib.suppress(OSError):
            replace(f"{path}-new", path, "".join(f"{one}\n" for one in ids).encode(), durable=False)
    return list(filter(is_run_id, ids))


def read_status(store: str) -> LinkStatus | None:
    """Return what the agent of a store wrote last; None if there is nothing."""
    with contextlib.suppress(OSError, KeyError, TypeError, ValueError):
        value = read_json(f"{store}/{_STATUS}")
        return LinkStatus(bool(value["up"]), float(value["since"]), value["message"])
    return None


def host_name(store: str) -> str:
    """Return a name for a store among others: that of the machine, and the end of the store's own id."""
    try:
        own = str(read_json(f"{store}/store.json").get("id", ""))
    except OSError:
        own = ""
    return f"{socket.gethostname()}-{own[-6:] or new_run_id()[-6:]}"
