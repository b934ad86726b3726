"""Keys of runs that are about to start here: claimed at the link, so that of many hosts one starts the run.

Owns what becomes of a claim whose run never came, since its starter died: the link is to forget it. A key
that another host has leads to the mirror of that host's run, which is made if it is not here; that of an
attempt which is over is taken.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from runcast.agent.connection import Connection
from runcast.agent.mirrors import Mirrors
from runcast.errors import LinkDown, LinkError
from runcast.json_objects import parse_object
from runcast.link import Look, Reply
from runcast.link.rules import key_name
from runcast.store.files import StoreFiles
from runcast.store.keys import ATTEMPT, run_of_key
from runcast.sysio.files import read_own

__all__ = ["Claims"]

_START_SECONDS = 60.0  # from a claim to the run's folder
_MIRROR_SECONDS = 4.0  # until the mirror of a key's run is here
_LOOK_SECONDS = 0.02
_CHECK_SECONDS = 0.5

Say = Callable[[dict[str, Any]], object]


class _Claim(NamedTuple):
    run_id: str
    key: str
    request: bytes
    say: Say


class Claims:
    """Claims keys.

    Args:
        connection: the link.
        files: of the store.
        host: its name at the link.
        mirrors: of the runs that have the keys.
        refused: returns why this store has no part in the link, or None; the attribute is the same.
    """

    def __init__(
        self,
        connection: Connection,
        files: StoreFiles,
        host: str,
        mirrors: Mirrors,
        refused: Callable[[], str | None] = lambda: None,
    ) -> None:
        self._connection, self._files, self._host, self._mirrors = connection, files, host, mirrors
        self.refused = refused
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
                the link is down, `alone`, and why, and whether to claim it `again` in a moment.
        """
        if not self._connection.settled:
            say(self._alone("the link is down"))
            return
        if (reason := self.refused()) is not None:
            say({"alone": reason})
            return
        try:
            request = read_own(f"{self._files.draft(run_id).path}/run.json")
        except OSError as error:
            say({"alone": str(error)})
            return
        self._starting[run_id] = time.monotonic() + _START_SECONDS
        self._create(_Claim(run_id, key, request, say))

    def _create(self, claim: _Claim) -> None:
        reply = self._connection.link.create(claim.run_id, claim.request, self._host, claim.key)
        reply.then(partial(self._claimed, claim))

    def _claimed(self, claim: _Claim, reply: Reply[str]) -> None:
        try:
            holder = reply.result()
        except LinkError as error:
            return self._failed(claim, error)
        if holder == claim.run_id:
            claim.say({"ok": True})
        elif self._files.has(holder) and self._files.run(holder).mirror_of is None:
            # It had the key until it was freed here while the link was down.
            freed = run_of_key(self._files.path, claim.key) != holder
            self._take_over(claim, holder) if freed else self._leave_to(claim, holder)
        else:
            self._connection.link.look([holder]).then(partial(self._looked, claim, holder))

    def _looked(self, claim: _Claim, holder: str, reply: Reply[dict[str, Look]]) -> None:
        """Take the key of an attempt that is over; leave it to any other run."""
        try:
            look = reply.result().get(holder)
        except LinkError as error:
            return self._failed(claim, error)
        over = look is not None and look.outcome is not None
        attempts = _is_attempt(claim.request) or (look is not None and _is_attempt(look.request))
        self._take_over(claim, holder) if over and attempts else self._leave_to(claim, holder)

    def _take_over(self, claim: _Claim, holder: str) -> None:
        self._connection.link.free(key_name(claim.key), holder.encode())
        self._create(claim)

    def _leave_to(self, claim: _Claim, holder: str) -> None:
        self._starting.pop(claim.run_id, None)
        self.await_mirror(holder, claim.say)

    def _failed(self, claim: _Claim, error: LinkError) -> None:
        if isinstance(error, LinkDown):
            self._connection.lost(error)
            claim.say(self._alone(str(error)))
        else:
            claim.say({"alone": str(error)})

    def await_mirror(self, holder: str, say: Say) -> None:
        """Say which run has a key once it is here, or could not be brought in time."""
        self._mirrors.bring(holder)
        self._coming.append((holder, time.monotonic() + _MIRROR_SECONDS, say))

    def _alone(self, why: str) -> dict[str, Any]:
        return {"alone": why, "again": self._connection.soon}

    def turn(self, now: float) -> None:
        """Answer those whose mirrors have come; forget claims whose runs have not, and never will."""
        for one in list(self._coming):
            holder, until, say = one
            if self._files.has(holder) or now >= until:
                self._coming.remove(one)
                say({"holder": holder})
            else:  # its key is at the link a moment before it is
                self._mirrors.bring(holder)
        if now < self._next:
            return
        self._next = now + _CHECK_SECONDS
        for run_id, until in list(self._starting.items()):
            if self._files.has(run_id):
                del self._starting[run_id]
            elif self._connection.up and (now >= until or not self._files.draft(run_id).exists):
                del self._starting[run_id]
                self._connection.link.drop(run_id)


def _is_attempt(request: bytes) -> bool:
    with contextlib.suppress(ValueError):
        return ATTEMPT in parse_object(request)
    return False
