"""The loop of an agent: one thread that polls the link, the store's files and the control socket.

Owns the order of a turn, and when there is nothing left to do. Must not know how its process lives.
"""

from __future__ import annotations

import select
import time

from runcast.agent.claims import Claims
from runcast.agent.connection import Connection
from runcast.agent.control import Control
from runcast.agent.hosts import Hosts
from runcast.agent.lost import LostRuns
from runcast.agent.mirrors import NEWEST, Mirrors
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
        self.shipping = Shipping(self.connection, self.files, settings.host, self.watch, lambda: self.here)
        self.mirrors = Mirrors(self.connection, self.files, settings.host, lock_fd)
        self.hosts = Hosts(self.connection, settings, store, self.shipping.rejoin)
        self.claims = Claims(self.connection, self.files, settings.host, self.mirrors)
        self.control = Control(self.connection, store, self.hosts, self.mirrors, self.claims)
        self.lost = LostRuns(self.shipping)
        self.shelving = Shelving(self.connection, self.files, settings, self.mirrors)
        self.control.on_want = self.shelving.want
        self._poll = select.poll()
        self._polled: dict[int, int] = {}
        self._rescan = True
        self._used = time.monotonic()

    @property
    def here(self) -> bool:
        """Whether the store is still where it was."""
        return is_at(agent_lock(self.files.path), self._lock_fd)

    def idle_for(self, now: float) -> float:
        """Return for how many seconds there has been nothing to do, and nobody has wanted anything."""
        if (
            self.shelving.busy
            or self.shipping.runs
            or self.mirrors.active
            or self.control.busy
            or self.claims.busy
        ):
            self._used = now
        return now - max(self._used, self.control.heard)

    def turn(self, most: float = _LONGEST_TURN) -> None:
        """Wait for something to do, at most so many seconds, and do it."""
        now = time.monotonic()
        self._wait(self._timeout(now, most))
        now = time.monotonic()
        news = self.connection.turn(now)
        self._take_changes()
        if ASKS in news:
            self.control.take_asks()
        self.mirrors.news(news)
        self.control.turn(now)
        self.claims.turn(now)
        self.hosts.turn(now)
        self.lost.turn(now)
        if self.hosts.leased:
            self.shipping.turn(now)
        self.shelving.turn(now)
        self.mirrors.turn(now)
        self._link.step()

    def close(self) -> None:
        """End, with all descriptors closed. What is under way is done again by the next agent."""
        self.control.close()
        self.shelving.close()
        self._link.close()
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
        )
        left = min((due - now for due in dues if due is not None), default=most)
        pause = self._link.timeout()
        return max(0.0, min(left, most, most if pause is None else pause))

    def _connected(self, fresh: bool) -> None:
        """Begin again: mirrors at once, the store's own runs when this host has its lease."""
        if self._rescan or fresh:
            self._rescan = False
            self._scan()
        self.mirrors.rejoin()
        self.shelving.rejoin()
        self.control.rejoin()
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
