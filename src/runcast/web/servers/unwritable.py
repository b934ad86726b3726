"""The notice at the start of a server that its runs have no place; else the first of them would say it, late.

Owns its text, and logs it once for each store. A warning and not an error: what is there may be served from a
folder that is read-only, and a disk may be mounted a moment later.
"""

from __future__ import annotations

import logging

from runcast.errors import StoreUnusable
from runcast.store.folder import check_writable

__all__ = ["warn_unwritable"]

log = logging.getLogger("runcast.web")
_warned: set[str] = set()


def warn_unwritable(path: str) -> None:
    """Warn where no run could be started in the store at `path`; the first time in a process."""
    try:
        check_writable(path)
    except StoreUnusable as error:
        if path not in _warned:
            _warned.add(path)
            log.warning("no run can be started here: %s", error)
