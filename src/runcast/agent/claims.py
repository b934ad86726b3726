"""Keys of runs that are about to start here: claimed at the link, so that of many hosts one starts the run.

Owns what becomes of a claim whose run never came, since its starter died: the link is to forget it. A key
that another host has leads to the mirror of that host's run, which is made if it is not here.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from runcast.agent.connection import Connection
from runcast.agent.mirrors import Mirrors
from runcast.errors import LinkDown, LinkError
from runcast.link import Reply
from runcast.store.files import StoreFiles
from runcast.sysio.files import read_own

__all__ = ["Claims"]

_START_SECONDS = 60.0  # from a claim to the run's folder
_MIRROR_SECONDS = 2.0  # until the mirror of a key's run is here
_LOOK_SECONDS = 0.02
_CHECK_SECONDS = 0.5

Say = Callable[[dict[str, Any]], object]


class Claims:
    """Claims keys.

    Args:
        connection: the link.
        files: of the store.
        host: its name at the link.
        mirrors: of the runs that have the keys.
    """

    def __init__(self, connection: Connection, files: StoreFiles, host: str, mirrors: Mirrors) -> None:
        self._connection, self._files, self._host, self._mirrors = connection, files, host, mirrors
        self._starting: dict[str, float] = {}  # claimed, and by when they are to be there
        self._next = 0.0
        self._coming: list[tuple[str, float, Say]] = []  # holders whose mirrors are to come, and who waits

    @property
    def busy(self) -> bool:
        """Whether a claim is not settled."""
        return bool(self._starting or self._coming)

    def due(self) -> float | None:
        """Return when the next turn is due, in monotonic seconds."""
        if self._coming:
            return time.monotonic() + _LOOK_SECONDS
        return self._next if self._starting else None

    def claim(self, run_id: str, key: str, say: Say) -> None:
        """Claim a key for a run whose folder has its hidden name still.

        Args:
            run_id: of the run.
            key: the key.
            say: gets the answer: empty if this run has the key, or `holder`, the run that has it; or, if
                the link is down, `alone`, and why.
        """
        if not self._connection.up:
            say({"alone": "the link is down", "again": not self._connection.tried})
            return
        try:
            request = read_own(f"{self._files.draft(run_id).path}/run.json")
        except OSError as error:
            say({"alone": str(error)})
            return
        self._starting[run_id] = time.monotonic() + _START_SECONDS
        reply = self._connection.link.create(run_id, request, self._host, key)
        reply.then(partial(self._claimed, run_id, say))

    def _claimed(self, run_id: str, say: Say, reply: Reply[str]) -> None:
        try:
            holder = reply.result()
        except LinkError as error:
            if isinstance(error, LinkDown):
                self._connection.lost(error)
            say({"alone": str(error)})
            return
        if holder == run_id:
            say({"ok": True})
            return
        self._starting.pop(run_id, None)
        self._mirrors.bring(holder)
        self._coming.append((holder, time.monotonic() + _MIRROR_SECONDS, say))

    def turn(self, now: float) -> None:
        """Answer those whose mirrors have come; forget claims whose runs have not, and never will."""
        for one in list(self._coming):
            holder, until, say = one
            if self._files.has(holder) or now >= until:
                self._coming.remove(one)
                say({"holder": holder})
        if now < self._next:
            return
        self._next = now + _CHECK_SECONDS
        for run_id, until in list(self._starting.items()):
            if self._files.has(run_id):
                del self._starting[run_id]
            elif self._connection.up and (now >= until or not self._files.draft(run_id).exists):
                del self._starting[run_id]
                self._connection.link.drop(run_id)
