"""The loop of an agent: one thread that polls the link, the store's files and the control socket.

Owns the order of a turn, and when there is nothing left to do. Must not know how its process lives.
"""

from __future__ import annotations

import heapq
import select
import time

from runcast.agent.claims import Claims
from runcast.agent.connection import Connection
from runcast.agent.control import Control
from runcast.agent.evicting import Evicting
from runcast.agent.hosts import Hosts
from runcast.agent.kept_files import KeptFiles
from runcast.agent.lost import LostRuns
from runcast.agent.mirrors import NEWEST, Mirrors
from runcast.agent.names import Names
from runcast.agent.removals import Removals
from runcast.agent.shelving import Shelving
from runcast.agent.shipping import Shipping
from runcast.agent.watching import StoreWatch
from runcast.link import ASKS, Link
from runcast.store.files import StoreFiles
from runcast.store.links import LinkFile
from runcast.store.mirrors import agent_lock
from runcast.sysio.files import is_at

__all__ = ["Agent"]

_LONGEST_TURN = 1.0


class Agent:
    """The agent of a store, whose lock the caller holds.

    Args:
        store: the folder.
        link: not connected yet.
        settings: of the store's link.
        lock_fd: the lock.
    """

    def __init__(self, store: str, link: Link, settings: LinkFile, lock_fd: int) -> None:
        self.files = StoreFiles(store)
        self._lock_fd, self._link = lock_fd, link
        self.connection = Connection(link, store, self._connected)
        self.watch = StoreWatch(store)
        self.shipping = Shipping(self.connection, self.files, settings.host, self.watch, self._shares)
        self.mirrors = Mirrors(self.connection, self.files, settings.host, lock_fd)
        self.hosts = Hosts(self.connection, settings, store, self.shipping.rejoin)
        self.shipping.on_copied, self.shipping.lost_after = self.mirrors.adopt, settings.lost_after
        self.claims = Claims(
            self.connection, self.files, settings.host, self.mirrors, lambda: self.hosts.refused
        )
        self.names = Names(self.connection, self.files, settings, self.claims)
        self.control = Control(self.connection, store, self.hosts, self.mirrors, self.claims, self.names)
        self.lost = LostRuns(self.shipping)
        self.removals = Removals(self.connection, self.files, settings.host, self.shipping, self.mirrors)
        self.shelving = Shelving(self.connection, self.files, settings, self.mirrors)
        self.evicting = Evicting(self.connection, settings, self.files, self.mirrors)
        self.control.unshipped = self.shipping.unshipped
        self.control.on_want = self.shelving.want
        self.kept_files = KeptFiles(
            self.connection, self.files, self.control.ask, lambda: self.hosts.silent.keys()
        )
        self.control.on_file = self.kept_files.want
        self._poll = select.poll()
        self._polled: dict[int, int] = {}
        self._rescan = True
        self._used = time.monotonic()

    @property
    def here(self) -> bool:
        """Whether the store is still where it was."""
        return is_at(agent_lock(self.files.path), self._lock_fd)

    def _shares(self) -> bool:
        """Whether what is removed here is removed for all: the store was not moved away, and is no copy."""
        return self.here and self.hosts.leased

    def idle_for(self, now: float) -> float:
        """Return for how many seconds there has been nothing to do, and nobody has wanted anything."""
        if (
            self.shelving.busy
            or self.shipping.runs
            or self.mirrors.active
            or self.control.busy
            or self.claims.busy
            or self.removals.busy
            or self.kept_files.busy
        ):
            self._used = now
        return now - max(self._used, self.control.heard)

    def turn(self, most: float = _LONGEST_TURN) -> None:
        """Wait for something to do, at most so many seconds, and do it."""
        now = time.monotonic()
        self._wait(self._timeout(now, most))
        now = time.monotonic()
        self._take_changes()
        if self.hosts.leased:
            self.shipping.turn(now)
        news = self.connection.turn(now)
        self.mirrors.news(news)
        self.mirrors.turn(now)
        if ASKS in news:  # all else can wait for lines that somebody follows
            self.control.take_asks()
        self.control.turn(now)
        self.claims.turn(now)
        self.kept_files.turn(now)
        self.hosts.turn(now)
        self.lost.turn(now)
        if self.hosts.leased:
            self.removals.turn(now)
        self.shelving.turn(now)
        self.evicting.turn(now)
        self._link.step()

    def stop_listening(self) -> None:
        """Hear nobody any more: who comes from now on finds no agent."""
        self.control.stop_listening()

    @property
    def all_shipped(self) -> bool:
        """Whether all of the store's own runs are over, and at the link; or it is down."""
        return not self.shipping.runs or not self.connection.up

    @property
    def unshared(self) -> bool:
        """Whether there are runs that this agent has not seen: before a link is up, ones that go on."""
        ids = self.files.ids()
        if not self._rescan:
            return any(not self.mirrors.is_known(run_id) for run_id in ids)
        newest = heapq.nlargest(NEWEST, ids)
        return any(not (run := self.files.run(run_id)).ended and not run.is_mirror for run_id in newest)

    def close(self) -> None:
        """End, with all descriptors closed. What is under way is done again by the next agent."""
        self.kept_files.close()
        self.control.close()
        self.shelving.close()
        self.connection.close()
        self.lost.close()
        self.watch.close()

    def _wait(self, seconds: float) -> None:
        wanted = {self._link.fileno(): select.POLLIN} | self.control.descriptors()
        for fd in (self.watch.fd, self.shelving.fd):
            if fd is not None:
                wanted[fd] = select.POLLIN
        for fd in self._polled.keys() - wanted.keys():
            self._poll.unregister(fd)
        for fd, events in wanted.items():
            if self._polled.get(fd) != events:
                self._poll.register(fd, events)
        self._polled = wanted
        for fd, _ in self._poll.poll(seconds * 1000):
            self.control.ready(fd)

    def _timeout(self, now: float, most: float) -> float:
        dues = (
            self.connection.due(),
            self.watch.due(),
            self.shipping.due(now) if self.hosts.leased else None,
            self.mirrors.due(now),
            self.shelving.due(now),
            self.hosts.due(),
            self.control.due(),
            self.claims.due(),
            self.kept_files.due(),
        )
        left = min((due - now for due in dues if due is not None), default=most)
        pause = self._link.timeout()
        return max(0.0, min(left, most, most if pause is None else pause))

    def _connected(self, lacking: bool) -> None:
        """Begin again: mirrors at once, the store's own runs when this host has its lease.

        Where the engine may be `lacking`, runs that it had whole are looked at, too.
        """
        if self._rescan or lacking:
            self._rescan = False
            self._scan()
        self.mirrors.rejoin()
        self.removals.rejoin()
        self.kept_files.rejoin()
        self.shelving.rejoin()
        self.control.rejoin()
        self.names.rejoin()
        self.hosts.rejoin()

    def _scan(self) -> None:
        """Find the runs of the store: the newest are shared, and all that go on."""
        own = self.mirrors.begin(sorted(self.files.ids(), reverse=True))
        newest = set(own[:NEWEST])
        for run_id in reversed(own):
            if run_id in newest or not self.files.run(run_id).ended:
                self.shipping.add(run_id)

    def _take_changes(self) -> None:
        changed, new, gone = self.watch.take()
        if not self._rescan:  # else all of them are found soon
            for run_id in sorted(self.files.ids()) if new is None else new:
                if self.mirrors.is_own(run_id):
                    self.shipping.add(run_id)
        for run_id, fields in changed.items():
            self.shipping.note(run_id, fields=fields)
        for run_id in gone:
            if self.mirrors.is_own(run_id):
                self.shipping.remove(run_id)
            else:
                self.mirrors.removed(run_id)
