"""Where a run of a shared store is, as people see it; and how the link of the store is.

Owns what of the link matters to a run: a run that is over and all shared is not affected by an engine that
is down. Reads only what the store's agent wrote, and connects to nothing.
"""

from __future__ import annotations

import os
import time
from typing import Any, NamedTuple

from runcast.errors import StoreUnusable
from runcast.model import Host, Outcome, rfc3339
from runcast.store.links import LinkStatus, is_linked, is_shared, read_link, read_status
from runcast.store.run_files import RunFiles

__all__ = ["LinkState", "cannot_share", "host_of", "link_json", "notice"]


class LinkState(NamedTuple):
    """How a link is, in numbers.

    Attributes:
        up: whether the engine can be reached.
        silent: how many other hosts are silent.
        unshipped: bytes of output that the engine has not acknowledged; None where that is not known.
    """

    up: bool
    silent: int
    unshipped: int | None


_known: dict[str, tuple[tuple[int, int], LinkStatus | None]] = {}  # by store: the file, and what is in it
_names: dict[str, tuple[tuple[int, int], str]] = {}  # likewise, this host's name


def host_of(files: RunFiles, outcome: Outcome | None) -> Host | None:
    """Return where a run is; None in a store that is shared with nobody.

    Args:
        files: of the run.
        outcome: how it ended; None while it goes on.
    """
    store = os.path.dirname(files.path)
    host = files.mirror_of if files.is_mirror else None
    if not is_shared(store):
        return None if host is None else Host(host, False)
    status = _status(store)
    down = status.since if status is not None and not status.up else None
    if host is None:
        shared = outcome is not None and down is not None and outcome.ended_at < down
        return Host(_name(store), True, None, None if shared else down)
    silent = None if outcome is not None or status is None else status.silent.get(host)
    return Host(host, False, silent, down if outcome is None or files.awaited else None)


def link_json(store: str) -> dict[str, Any] | None:
    """Return how the link of a store is, as JSON values; None where it has none."""
    if not is_shared(store):
        return None
    status = _status(store)
    silent = {} if status is None else status.silent
    return {
        "host": _name(store),
        "up": status is not None and status.up,
        "since": None if status is None else rfc3339(status.since),
        "message": None if status is None else status.message,
        "silent": [{"host": host, "since": rfc3339(since)} for host, since in sorted(silent.items())],
    }


def notice(store: str) -> str | None:
    """Return what people should know of the link of a store, in one sentence; None for nothing."""
    if not is_linked(store):
        return None
    if (why := cannot_share(store)) is not None:
        return why
    status = _status(store)
    if status is None or status.up:
        return status and status.message
    since = time.strftime("%H:%M", time.localtime(status.since))
    return f"not shared with other hosts since {since}: {status.message}"


def cannot_share(store: str) -> str | None:
    """Return why no agent can be had for a linked store, whatever the engine does; None if one can."""
    if not os.access(store, os.W_OK | os.X_OK):
        return "runs of other hosts are not brought here: the store cannot be written to"
    try:
        read_link(store)
    except StoreUnusable as error:
        return f"not shared with other hosts: {error}"
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        return f"not shared with other hosts: link.json cannot be read: {why}"
    return None


def _status(store: str) -> LinkStatus | None:
    """Return what the agent wrote last: a list has many runs, and one file says it of all."""
    signature = _signature(f"{store}/.link.json")
    known = _known.get(store)
    if known is None or known[0] != signature:
        known = _known[store] = signature, read_status(store)
    return known[1]


def _name(store: str) -> str:
    signature = _signature(f"{store}/link.json")
    known = _names.get(store)
    if known is None or known[0] != signature:
        try:
            link = read_link(store)
        except StoreUnusable:  # which opening the store says
            link = None
        known = _names[store] = signature, "" if link is None else link.host
    return known[1]


def _signature(path: str) -> tuple[int, int]:
    try:
        status = os.stat(path)
    except OSError:
        return 0, 0
    return status.st_ino, status.st_mtime_ns
