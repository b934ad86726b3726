"""Runs that were removed from this store: the link is to forget the store's own, and mirrors stay away.

Owns when the notes of those who removed them are looked at. So a run leaves the engine also where it was
removed while there was no agent, or no engine, and where the kernel has no watch left. Only who has the
lease of the host has the link forget anything: a copy of the store has not. Also claims of keys whose runs
never came.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from typing import TypeVar

from runcast.agent.connection import Connection
from runcast.agent.mirrors import NEWEST, Mirrors
from runcast.agent.shipping import Shipping
from runcast.errors import LinkDown, LinkError
from runcast.ids import is_run_id, time_of
from runcast.link import Look, Reply
from runcast.store.files import StoreFiles
from runcast.store.removed import Dropped

__all__ = ["Removals"]

_SECONDS = 1.0  # between two looks, two calls of stat(2) each
_SWEEP_SECONDS = 300.0  # between two looks at what the link has of this host
_START_SECONDS = 120.0  # from a claim to the run's folder, and more
_LOOK = 200  # runs at once
T = TypeVar("T")


class Removals:
    """Sees to removed runs.

    Args:
        connection: the link.
        files: of the store.
        host: its name at the link.
        shipping: ships them no more.
        mirrors: has them no more.
    """

    def __init__(
        self, connection: Connection, files: StoreFiles, host: str, shipping: Shipping, mirrors: Mirrors
    ) -> None:
        self._connection, self._files, self._host = connection, files, host
        self._shipping, self._mirrors = shipping, mirrors
        self._notes = Dropped(files.path)
        self._next = 0.0
        self._left = 0  # requests under way
        self._sweep_at = 0.0

    @property
    def busy(self) -> bool:
        """Whether the link is about to forget runs."""
        return bool(self._left)

    def rejoin(self) -> None:
        """Begin again, after each connection."""
        self._left, self._next = 0, 0.0
        self._sweep_at = 0.0

    def turn(self, now: float) -> None:
        """Look, if it is time for that. The caller has the host's lease."""
        if now < self._next or self._left or not self._connection.up:
            return
        self._next = now + _SECONDS
        if now >= self._sweep_at:
            self._sweep_at = now + _SWEEP_SECONDS
            link = self._connection.link
            link.list(None, NEWEST).then(partial(self._listed, self._connection.number))
        for run_id in self._notes.new_mirrors():
            self._mirrors.removed(run_id)
        ids, size = self._notes.own()
        gone = [run_id for run_id in ids if not self._files.has(run_id)]
        for run_id in gone:
            self._shipping.forget(run_id)
        if not gone:
            if size:
                self._notes.forgotten(size)
            return
        self._left = len(gone)
        looks = self._connection.link.look(gone)
        looks.then(partial(self._looked, self._connection.number, size))

    def _looked(self, number: int, size: int, reply: Reply[dict[str, Look]]) -> None:
        """Have the link forget those that are this host's: what is removed may be a copy of another one's."""
        if number != self._connection.number:
            return
        try:
            own = [run_id for run_id, look in reply.result().items() if look.host == self._host]
        except LinkError as error:
            return self._connection.lost(error)
        self._left = len(own)
        if not own:
            self._notes.forgotten(size)
        for run_id in own:
            dropped = self._connection.link.drop(run_id)
            dropped.then(partial(self._dropped, number, size))

    # Claims whose runs never came, as their starter and the agent of that moment were both killed

    def _listed(self, number: int, reply: Reply[Sequence[str]]) -> None:
        ids = [
            run_id
            for run_id in self._result(number, reply) or ()
            if is_run_id(run_id)
            and time.time() - time_of(run_id) > _START_SECONDS
            and not (self._files.has(run_id) or self._files.draft(run_id).exists)
        ]
        for at in range(0, len(ids), _LOOK):
            looks = self._connection.link.look(ids[at : at + _LOOK])
            looks.then(partial(self._claimed, number))

    def _claimed(self, number: int, reply: Reply[dict[str, Look]]) -> None:
        for run_id, look in (self._result(number, reply) or {}).items():
            if look.host == self._host and look.outcome is None and not look.tail and not look.state:
                self._connection.link.drop(run_id)

    def _result(self, number: int, reply: Reply[T]) -> T | None:
        if number != self._connection.number:
            return None
        try:
            return reply.result()
        except LinkError as error:
            if isinstance(error, LinkDown):
                self._connection.lost(error)
            return None

    def _dropped(self, number: int, size: int, reply: Reply[None]) -> None:
        if number != self._connection.number:
            return
        try:
            reply.result()
        except LinkDown as error:
            self._connection.lost(error)
            return
        except LinkError:  # it has no right to: nor will it have next time
            pass
        self._left -= 1
        if not self._left:
            self._notes.forgotten(size)
