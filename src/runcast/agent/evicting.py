"""How many mirrors stay: the rule `mirrors` of the store's link, once a minute.

Owns when a mirror may go: it has ended, is not pinned, nobody reads it, and it is beyond the rule. It is a
copy, so nothing is lost: who wants it by its id has it brought again. The store's own runs have rules of
their own, by which neither side counts for the other (retention/prune.py).
"""

from __future__ import annotations

import contextlib
import time

from runcast.agent.connection import Connection
from runcast.agent.mirrors import Mirrors
from runcast.errors import RuncastError
from runcast.keep import Keep
from runcast.store.files import StoreFiles
from runcast.store.kept import first_beyond
from runcast.store.links import LinkFile

__all__ = ["Evicting"]

_EVERY_SECONDS = 60.0
_QUIET_SECONDS = 60.0  # since its end or its last viewer, in which a mirror stays


class Evicting:
    """Removes mirrors by their rule.

    Args:
        connection: of the link.
        settings: of the link.
        files: of the store.
        mirrors: those that there are.
    """

    def __init__(
        self, connection: Connection, settings: LinkFile, files: StoreFiles, mirrors: Mirrors
    ) -> None:
        self._files, self._mirrors = files, mirrors
        self._keep: Keep | None = None
        self._next = 0.0
        try:
            self._keep = settings.keep_mirrors
        except ValueError as error:
            connection.note("mirrors", f"{error}, as mirrors in the URL of the store")

    def turn(self, now: float) -> None:
        """Remove what is beyond the rule, if it is time for that."""
        if self._keep is None or now < self._next:
            return
        self._next = now + _EVERY_SECONDS
        self.sweep(self._keep, _QUIET_SECONDS)

    def sweep(self, keep: Keep, quiet: float) -> None:
        """Remove mirrors beyond a rule that ended, and were watched last, `quiet` seconds ago or more."""
        ids = sorted((one for one in self._files.ids() if self._files.run(one).is_mirror), reverse=True)
        first = first_beyond(ids, keep, lambda run_id: self._files.run(run_id).disk_bytes())
        for at, run_id in enumerate(ids):
            if at >= first or keep.seconds is not None:
                seconds = 0 if at >= first else keep.seconds or 0
                with contextlib.suppress(RuncastError, OSError):  # it goes on, is pinned, or was removed
                    self._remove(run_id, seconds, quiet)

    def _remove(self, run_id: str, seconds: float, quiet: float) -> None:
        run = self._files.run(run_id)
        outcome = run.outcome()
        over = -1.0 if outcome is None else time.time() - outcome.ended_at
        if over < seconds or run.over_seconds(unwatched=True) < quiet or run.pinned:
            return
        with run.unread() as unread:
            if unread:
                self._mirrors.evict(run_id)
                self._files.remove(run_id, run.described()[0].get("key"), for_good=False)
