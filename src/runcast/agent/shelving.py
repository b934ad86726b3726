"""The shelf of a store, as its agent's loop has it: what the link may forget, and what comes from the shelf.

Owns when the link's part of a run is let go: some time after the shelf has acknowledged all of it, and not
before the link has its outcome. The threads that use the shelf are in `shelf_threads.py`.
"""

from __future__ import annotations

import time
from functools import partial

from runcast.agent.connection import Connection
from runcast.agent.mirrors import Mirrors
from runcast.agent.shelf_threads import ALL, BROUGHT, DOWN, KEPT, MISSING, ShelfEvent, ShelfThreads
from runcast.errors import LinkDown, LinkError, StoreUnusable
from runcast.link import Look, Reply
from runcast.shelf.opening import ShelfRules, open_shelf, parse_shelf
from runcast.store.files import StoreFiles
from runcast.store.links import LinkFile

__all__ = ["Shelving"]

_LOOK = 100  # runs at once
_AGAIN_SECONDS = 1.0  # until the link is looked at again
_PAUSE_SECONDS = 1.0  # until a shelf that failed is tried again


class Shelving:
    """The shelf; a store without one has nothing here.

    Args:
        connection: the link.
        files: of the store.
        settings: of the link.
        mirrors: what the link has no more is brought to them.
    """

    def __init__(
        self, connection: Connection, files: StoreFiles, settings: LinkFile, mirrors: Mirrors
    ) -> None:
        self._connection, self._files, self._host = connection, files, settings.host
        self._mirrors = mirrors
        self._threads: ShelfThreads | None = None
        self._rules = ShelfRules()
        self._trims: dict[str, float] = {}  # when the link may forget them, in seconds since the epoch
        self._looking = False
        self._missing: set[str] = set()
        if settings.shelf is None:
            return
        try:
            self._rules = parse_shelf(settings.shelf)[1]
            self._threads = ShelfThreads(open_shelf(settings.shelf), self._rules, files)
        except StoreUnusable as error:
            connection.note("shelf", str(error))
            return
        mirrors.elsewhere = self._bring_all

    @property
    def fd(self) -> int | None:
        """What to poll; None for nothing."""
        return None if self._threads is None else self._threads.fd

    @property
    def busy(self) -> bool:
        """Whether runs are to be kept, or to be forgotten by the link."""
        return self._threads is not None and (self._threads.busy or bool(self._trims))

    def want(self, run_id: str, start: object) -> None:
        """Bring the segment of a run's log that begins at an offset, if it is away."""
        if self._threads is not None:
            self._threads.want_segment(run_id, start)

    def _bring_all(self, run_id: str) -> bool:
        """Bring the log of a mirror; return whether that is tried."""
        if self._threads is None:
            return False
        if run_id in self._missing:  # only just now: later it may be there
            self._missing.discard(run_id)
            return False
        self._threads.want(run_id, ALL)
        return True

    def turn(self, now: float) -> None:
        """Take what the threads have done, and have the link forget what it may."""
        if self._threads is None:
            return
        for event in self._threads.take():
            self._take(event, now)
        if self._looking or not self._connection.up:
            return
        wall = time.time()
        ids = [run_id for run_id, when in self._trims.items() if when <= wall][:_LOOK]
        if ids:
            self._looking = True
            reply = self._connection.link.look(ids)
            reply.then(partial(self._looked, self._connection.number, ids))

    def due(self, now: float) -> float | None:
        """Return when the next turn is due, in monotonic seconds."""
        if self._looking or not self._trims or not self._connection.up:
            return None
        return now + max(0.0, min(self._trims.values()) - time.time())

    def rejoin(self) -> None:
        """Look again: after each connection."""
        self._looking = False

    def close(self) -> None:
        """End the threads."""
        if self._threads is not None:
            self._threads.close()

    def _take(self, event: ShelfEvent, now: float) -> None:
        if event.what == KEPT:
            self._trims[event.run_id] = event.at + self._rules.link_age
            return
        self._connection.note("output" if event.run_id else "shelf", event.message or None)
        if event.what == MISSING:
            self._missing.add(event.run_id)
        if event.what in (BROUGHT, MISSING):
            self._mirrors.brought(event.run_id, now)
        elif event.what == DOWN and event.run_id:
            self._mirrors.brought(event.run_id, now + _PAUSE_SECONDS)

    def _looked(self, number: int, ids: list[str], reply: Reply[dict[str, Look]]) -> None:
        if number != self._connection.number:
            return
        self._looking = False
        try:
            looks = reply.result()
        except LinkError as error:
            if isinstance(error, LinkDown):
                self._connection.lost(error)
            return
        for run_id in ids:
            look = looks.get(run_id)
            # It is being shipped, or will be: a short run may be on the shelf sooner than at the link.
            coming = self._files.has(run_id) if look is None else look.outcome is None
            if coming and (look is None or look.host == self._host):
                self._trims[run_id] = time.time() + _AGAIN_SECONDS
                continue
            self._trims.pop(run_id, None)
            if look is not None and look.host == self._host:
                trimmed = self._connection.link.trim(run_id, look.tail)
                trimmed.then(partial(self._trimmed, self._connection.number, run_id))

    def _trimmed(self, number: int, run_id: str, reply: Reply[int]) -> None:
        try:
            reply.result()
        except LinkDown as error:
            self._trims[run_id] = time.time() + _AGAIN_SECONDS
            if number == self._connection.number:
                self._connection.lost(error)
        except LinkError:  # it was dropped meanwhile
            return
