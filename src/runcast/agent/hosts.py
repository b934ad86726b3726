"""Leases: this host's own, which other hosts are silent, and whose runs are lost.

Owns the name under which this store is at the link: nobody else may have it, a copy of its folder least
of all. A host that has been silent for `lost_after` seconds has its runs ended, once, by the first that
has listened for as long; the link then takes no more from it. Must not know what is shipped or mirrored.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from runcast.agent.connection import Connection
from runcast.errors import Fenced, LinkDown, LinkError
from runcast.link import Look, Reply
from runcast.model import Outcome, Reason
from runcast.store.links import LinkFile
from runcast.store.run_files import outcome_bytes

__all__ = ["Hosts"]

_LEASE, _PARTS = 10.0, 10.0 / 3  # seconds of a lease, and how often it is renewed meanwhile
_LATE = 0.05  # seconds after the end of a lease, to look whether it was renewed
_NEWEST = 1000
_LOOK = 200


class Hosts:
    """The hosts of a link.

    Args:
        connection: the link.
        settings: of the store's link.
        store: the folder.
        leased: called when this host has its lease, after each connection.

    Attributes:
        leased: whether it has it.
        refused: why it has not, where another store has this host's name; else None.
        silent: hosts without a lease, and for how many seconds nothing was heard of them.
    """

    def __init__(
        self, connection: Connection, settings: LinkFile, store: str, leased: Callable[[], object]
    ) -> None:
        self._connection, self._settings, self._call = connection, settings, leased
        self._seconds = min(_LEASE, settings.lost_after / 4)
        self._holder = _holder_of(store)
        self.leased = False
        self.refused: str | None = None
        self.silent: dict[str, float] = {}
        self._next = 0.0
        self._asked = False
        self._since: dict[str, float] = {}  # silent hosts, and since when, in seconds since the epoch
        self._listened = float("inf")  # since when this agent would have heard others, in monotonic seconds
        self._given_up: dict[str, float] = {}  # hosts whose runs are lost, and when to look again

    @property
    def name(self) -> str:
        """This host's own name."""
        return self._settings.host

    def note_silent(self, wanted: Iterable[str]) -> None:
        """Have people know which hosts are silent, of those whose runs go on."""
        silent = sorted(set(wanted) & self._since.keys())
        times = {host: time.strftime("%H:%M:%S", time.localtime(self._since[host])) for host in silent}
        said = "; ".join(f"host {host} is silent since {times[host]}" for host in silent)
        self._connection.note_silent({host: self._since[host] for host in silent})
        self._connection.note("silent", said or None)

    def rejoin(self) -> None:
        """Take the lease, after each connection."""
        self.leased = self._asked = False
        self._next = 0.0
        self._listened = time.monotonic()

    def turn(self, now: float) -> None:
        """Renew the lease, and look who is silent, if it is time for that."""
        if not self._connection.up or self._asked or now < self._next:
            return
        self._asked, self._next = True, now + self._seconds / _PARTS
        link, number = self._connection.link, self._connection.number
        link.leases().then(partial(self._looked, number))  # first: is this host's own there?
        link.lease(self.name, self._seconds, self._holder).then(partial(self._was_leased, number))

    def due(self) -> float | None:
        """Return when the next turn is due, in monotonic seconds."""
        return self._next if self._connection.up and not self._asked else None

    def _was_leased(self, number: int, reply: Reply[None]) -> None:
        if number != self._connection.number:
            return
        self._asked = False
        try:
            reply.result()
        except Fenced as error:
            self.leased, self.refused = False, str(error)
            self._connection.note("lease", self.refused)
        except LinkError as error:
            self._failed(error)
        else:
            if not self.leased:
                self.leased, self.refused = True, None
                self._connection.note("lease", None)
                self._call()

    def _failed(self, error: LinkError) -> None:
        if isinstance(error, LinkDown):
            self._connection.lost(error)

    def _looked(self, number: int, reply: Reply[dict[str, float]]) -> None:
        if number != self._connection.number:
            return
        try:
            leases = reply.result()
        except LinkError as error:
            return self._failed(error)
        if self.leased and self.name not in leases:
            return self._connection.lost(LinkDown("expected the engine to have its data, it was emptied"))
        if self.leased and leases[self.name] <= 0:  # others may have ended this host's runs: look at them all
            return self._connection.lost(LinkDown("expected this host's lease, it had ended: it was silent"))
        self.silent = {host: self._seconds - left for host, left in leases.items() if left <= 0}
        self._since = {
            host: self._since.get(host) or round(time.time() - seconds, 3)
            for host, seconds in self.silent.items()
        }
        now = time.monotonic()
        ends = min((left for left in leases.values() if left > 0), default=self._seconds)
        self._next = min(self._next, now + ends + _LATE)  # so that silence is known when it begins
        for host, seconds in self.silent.items():
            # While the engine was away nobody could be heard: what counts is silence that this agent heard.
            if host != self.name and min(seconds, now - self._listened) >= self._settings.lost_after:
                if now >= self._given_up.get(host, 0.0):
                    self._given_up[host] = now + self._settings.lost_after
                    ids = self._connection.link.list(None, _NEWEST)
                    ids.then(partial(self._listed, number, host))
        for host in leases.keys() - self.silent.keys():
            self._given_up.pop(host, None)

    def _listed(self, number: int, host: str, reply: Reply[Sequence[str]]) -> None:
        try:
            ids = reply.result()
        except LinkError as error:
            return self._failed(error)
        for at in range(0, len(ids), _LOOK):
            looks = self._connection.link.look(ids[at : at + _LOOK])
            looks.then(partial(self._lose, number, host))

    def _lose(self, number: int, host: str, reply: Reply[dict[str, Look]]) -> None:
        if number != self._connection.number:
            return
        try:
            looks = reply.result()
        except LinkError as error:
            return self._failed(error)
        for run_id, look in looks.items():
            if look.host == host and look.outcome is None:
                message = f"host {host} was silent for {self._settings.lost_after:g} s"
                outcome = Outcome(Reason.LOST, message=message, ended_at=time.time())
                self._connection.link.lose(run_id, outcome_bytes(outcome))


def _holder_of(store: str) -> bytes:
    """Return what tells this folder from a copy of it; the same after it was moved."""
    status = os.stat(store)
    try:
        with open("/etc/machine-id", encoding="ascii") as file:
            machine = file.read().strip()
    except OSError:
        machine = ""
    return json.dumps([machine, status.st_dev, status.st_ino]).encode()
