"""Stubs of runs that the link has no more: their hosts removed them, or never came to make them.

Owns when such a stub goes. It has none of the log, so nothing is lost; a run whose engine lost its data is
there again before that, if its host lives. What there is of a log stays, whatever became of the run.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import Protocol

from runcast.agent.mirror_run import Mirror
from runcast.store.files import StoreFiles

__all__ = ["Vanished"]

_SECONDS = 20.0  # without it at the link, while that is looked at


class _Mirrors(Protocol):
    """What this needs of the store's mirrors."""

    runs: dict[str, Mirror]

    def evict(self, run_id: str) -> None: ...


class Vanished:
    """The stubs that are missing at the link.

    Args:
        mirrors: have the stubs.
        files: of the store.
    """

    def __init__(self, mirrors: _Mirrors, files: StoreFiles) -> None:
        self._mirrors, self._files = mirrors, files
        self._since: dict[str, float] = {}

    def sweep(self, ids: Collection[str], there: Collection[str]) -> None:
        """Remove the stubs that may go.

        Args:
            ids: runs that were looked at.
            there: those of them that the link has.
        """
        now = time.monotonic()
        for run_id in ids:
            mirror = self._mirrors.runs.get(run_id)
            if run_id in there or mirror is None or mirror.active or mirror.ended or mirror.tail():
                self._since.pop(run_id, None)
            elif now - self._since.setdefault(run_id, now) >= _SECONDS:
                del self._since[run_id]
                self._mirrors.evict(run_id)
                self._files.remove(run_id, for_good=False)
