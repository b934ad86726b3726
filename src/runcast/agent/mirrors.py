"""Runs of other hosts, in this store: stubs of the newest, and whole those that somebody wants.

Owns what is mirrored and for how long: a stub has no log, and is brought up to date at most once a second
while somebody looks at the store; a run that a reader wants has its log brought until nobody has wanted
it for a while. Readers wait meanwhile, in the files. Must not know what a mirror consists of.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from runcast.agent.connection import Connection
from runcast.agent.copies import Copies
from runcast.agent.late_marks import LateMarks
from runcast.agent.mirror_run import Mirror
from runcast.agent.resting import Resting
from runcast.agent.room import Room
from runcast.agent.vanished import Vanished
from runcast.errors import LinkError, NoRun
from runcast.ids import is_run_id
from runcast.link import Look, Reply, Stretch
from runcast.store.files import StoreFiles
from runcast.store.removed import removed_mirrors

__all__ = ["NEWEST", "Mirrors"]

NEWEST = 1000
"""How many runs of all hosts are in a list."""
_READ = 1024 * 1024
_LOOK = 100  # runs at once
_LIST_SECONDS = 1.0
_LOOKED_SECONDS = 10.0  # since somebody looked at the store, in which its stubs are kept up to date
_FIELD_SECONDS = 0.02  # between two looks at the fields of one run
_ROOM_SECONDS = 1.0  # until a disk that is full is tried again


class Mirrors:
    """Mirrors runs.

    Args:
        connection: the link.
        files: of the store.
        host: the store's own name at the link.
        lock_fd: the agent's lock, by which it owns its mirrors.

    Attributes:
        runs: mirrors that are not whole, by id.
        elsewhere: called with the id of a mirror whose log the link has not all of; returns whether the
            rest is brought from elsewhere: nobody else writes that log until `brought`.
        looked: when somebody looked at the store last, in monotonic seconds.
        listed: whether the newest runs of other hosts are here, since somebody waited for them.
        on_listed: called when they are.
    """

    def __init__(self, connection: Connection, files: StoreFiles, host: str, lock_fd: int) -> None:
        self._connection, self._files, self._host, self._lock_fd = connection, files, host, lock_fd
        self.runs: dict[str, Mirror] = {}
        self.looked = float("-inf")
        self.listed = False
        self.on_listed: Callable[[], None] = lambda: None
        self.elsewhere: Callable[[str], bool] = lambda run_id: False
        self._room, self._copies = Room(connection), Copies(self, files, lock_fd)
        self._late, self._vanished = LateMarks(), Vanished(self, files)
        self._handed: set[str] = set()  # whose log comes from elsewhere now
        self._known: dict[str, bool] = {}  # runs that are or were in the store: whether they are its own
        self._wanted: dict[str, float] = {}  # not here yet, and when they were wanted
        self._evicted: set[str] = set()  # removed by a rule: they come back if somebody wants one by its id
        self._queue: deque[str] = deque()  # to be looked at, for their stubs
        self._listing = self._looking = self._ids_here = False
        self._next_list = 0.0
        self._due: dict[str, float] = {}  # active ones that have news, and when to look
        self._resting = Resting(self.runs, self._handed, self.stop)

    def begin(self, ids: Iterable[str]) -> list[str]:
        """Go on with the mirrors of an earlier agent; return the ids of the store's own runs."""
        own = []
        self._known |= dict.fromkeys(removed_mirrors(self._files.path), False)
        for run_id in ids:
            if run_id in self.runs:
                continue
            files = self._files.run(run_id)
            self._known[run_id] = files.mirror_of is None
            if self._known[run_id]:
                own.append(run_id)
            else:
                if self._copies.note(files):
                    self._queue.append(run_id)
                if (mirror := Mirror.go_on(files, self._lock_fd)) is not None:
                    self._go_on(mirror)
                else:
                    self._late.go_on(files)
        return own

    def _go_on(self, mirror: Mirror) -> None:
        self.runs[mirror.id] = mirror
        if (wanted := self._wanted.pop(mirror.id, None)) is not None:
            self.want(mirror.id, wanted)

    def adopt(self, run_id: str, look: Look, whole: bool) -> None:
        """Have the copied folder of another host's run be its mirror."""
        self._known[run_id] = False
        try:
            self._copies.adopt(run_id, look, whole)
        except OSError as error:
            self._room.none(run_id, error)

    def is_own(self, run_id: str) -> bool:
        """Return whether a run that is, or was, in the store is its own; take note of one that is new."""
        if run_id in self._evicted:
            return False
        if run_id not in self._known:
            self._known[run_id] = self._files.run(run_id).mirror_of is None
        return self._known[run_id]

    def is_known(self, run_id: str) -> bool:
        """Return whether a run is, or was, in the store as far as is known."""
        return run_id in self._known

    def evict(self, run_id: str) -> None:
        """Forget a mirror that a rule is about to remove."""
        self._evicted.add(run_id)
        self._known.pop(run_id, None)
        self._end(run_id)

    def removed(self, run_id: str) -> None:
        """Take note that a mirror was removed: it does not come back, unless a rule removed it."""
        if run_id not in self._evicted:
            self._known[run_id] = False
            self._end(run_id)

    def _end(self, run_id: str) -> None:
        self._late.forget(run_id)
        self._room.again(run_id)
        mirror = self.runs.pop(run_id, None)
        if mirror is not None:
            self.stop(mirror)

    @property
    def active(self) -> bool:
        """Whether somebody wants something."""
        return any(mirror.active for mirror in self.runs.values())

    def want(self, run_id: str, now: float) -> None:
        """Bring the log of a run, and keep it up to date, for a while from now on."""
        mirror = self.runs.get(run_id)
        if mirror is None:
            if run_id not in self._known and is_run_id(run_id):
                self._wanted[run_id] = now
                self._queue.appendleft(run_id)
            return
        mirror.wanted = now
        if not mirror.active:
            mirror.active, mirror.reading, mirror.version = True, False, None
            self._resting.begin(now)
            self._connection.link.watch([run_id])
            self._due[run_id] = now

    def bring(self, run_id: str) -> None:
        """Make the stub of a run, if it is not here."""
        if run_id not in self._known and run_id not in self._queue and is_run_id(run_id):
            self._queue.appendleft(run_id)

    def look(self, now: float, *, anew: bool) -> None:
        """Take note that somebody looks at the store.

        Args:
            now: in monotonic seconds.
            anew: and waits for a list of this moment.
        """
        self.looked = now
        if anew:
            self.listed = self._ids_here = False
            self._next_list = now

    def rejoin(self) -> None:
        """Read on where it is needed: after each connection."""
        self._listing = self._looking = self._ids_here = self.listed = False
        self._next_list = 0.0
        for mirror in self.runs.values():
            mirror.reading = False
            if mirror.active:
                self._due[mirror.id] = 0.0

    def news(self, ids: Iterable[str]) -> None:
        """Take note of runs that have news at the link."""
        for run_id in ids:
            mirror = self.runs.get(run_id)
            if mirror is not None and mirror.active and run_id not in self._due:
                self._due[run_id] = 0.0

    def turn(self, now: float) -> None:
        """Request what is due."""
        self._resting.turn(now)
        if not self._connection.up:
            return
        for run_id in [run_id for run_id, when in self._due.items() if when <= now]:
            del self._due[run_id]
            mirror = self.runs.get(run_id)
            if mirror is not None and mirror.active and not mirror.puts_off():
                self._read(mirror)
        if now - self.looked < _LOOKED_SECONDS and not self._listing and now >= self._next_list:
            self._listing, self._next_list = True, now + _LIST_SECONDS
            self._connection.link.list(None, NEWEST).then(partial(self._listed, self._connection.number))
        if self._queue and not self._looking:
            self._looking = True
            ids = [self._queue.popleft() for _ in range(min(_LOOK, len(self._queue)))]
            self._connection.link.look(ids).then(partial(self._stubs, self._connection.number, ids))
        self._check_listed()

    def due(self, now: float) -> float | None:
        """Return when the next turn is due, in monotonic seconds."""
        times = [] if self._resting.due is None else [self._resting.due]
        if self._connection.up:
            times += self._due.values()
            if self._queue and not self._looking:
                times.append(now)
            if now - self.looked < _LOOKED_SECONDS and not self._listing:
                times.append(self._next_list)
        return min(times, default=None)

    def stop(self, mirror: Mirror) -> None:
        """Bring its log no more."""
        if mirror.active:
            self._connection.link.unwatch([mirror.id])
        self._due.pop(mirror.id, None)
        mirror.close()

    # Logs

    def brought(self, run_id: str, when: float) -> None:
        """Go on with a log that came from elsewhere, or did not, at a time in monotonic seconds."""
        self._handed.discard(run_id)
        mirror = self.runs.get(run_id)
        if mirror is not None and mirror.active:
            mirror.reading = False
            self._due[run_id] = when

    def _hands_over(self, mirror: Mirror, stretch: Stretch) -> bool:
        """Have what the link has no more brought from elsewhere; return whether that is tried."""
        gap = stretch.first > mirror.at or any(not entry.data for entry in stretch.entries)
        if not gap or not self.elsewhere(mirror.id):
            return False
        mirror.hand_over()
        self._handed.add(mirror.id)
        return True

    def _read(self, mirror: Mirror) -> None:
        if mirror.id in self._handed:
            return
        try:
            at = mirror.tail()
        except OSError as error:
            return self._trouble(mirror, error)
        mirror.reading = True
        reply = self._connection.link.read(mirror.id, at, _READ)
        reply.then(partial(self._was_read, self._connection.number, mirror))

    def _was_read(self, number: int, mirror: Mirror, reply: Reply[Stretch]) -> None:
        if not self._mine(number, mirror):
            return
        try:
            stretch = reply.result()
            if self._hands_over(mirror, stretch):
                return
            mirror.append(stretch.entries, stretch.first, stretch.tail)
            self._room.again(mirror.id)
        except OSError as error:
            if not isinstance(error, LinkError):
                return self._trouble(mirror, error)
            return self._failed(mirror, error)
        except LinkError as error:
            return self._failed(mirror, error)
        if mirror.at < stretch.tail and stretch.entries:
            self._read(mirror)
            return
        if stretch.version is not None and stretch.version == mirror.version and mirror.at >= stretch.tail:
            mirror.done(self._due)  # it has more bytes, and they are here
            return
        if time.monotonic() < mirror.again:
            mirror.done(self._due)
            self._due[mirror.id] = mirror.again
            return
        mirror.again = time.monotonic() + _FIELD_SECONDS
        look = self._connection.link.look([mirror.id])
        look.then(partial(self._was_looked_at, self._connection.number, mirror, stretch.version))

    def _was_looked_at(
        self, number: int, mirror: Mirror, version: int | None, reply: Reply[dict[str, Look]]
    ) -> None:
        if not self._mine(number, mirror):
            return
        mirror.done(self._due)
        try:
            look = reply.result().get(mirror.id)
            if look is None:
                raise NoRun(mirror.id)
            self._take(mirror, look, stub=False)
            # An outcome without all the bytes before it was not taken: with these it is looked at again.
            mirror.version = version if look.outcome is None else None
        except OSError as error:
            if not isinstance(error, LinkError):
                return self._trouble(mirror, error)
            return self._failed(mirror, error)
        except LinkError as error:
            return self._failed(mirror, error)
        if mirror.id in self.runs and mirror.at < look.tail:
            self._due[mirror.id] = 0.0

    def _mine(self, number: int, mirror: Mirror) -> bool:
        return number == self._connection.number and self.runs.get(mirror.id) is mirror and mirror.active

    def _failed(self, mirror: Mirror, error: LinkError) -> None:
        mirror.reading = False
        self._connection.failed(error)
        # An engine that lost its data has the run again in a moment, if its host lives.
        self._due[mirror.id] = time.monotonic() + mirror.next_pause()

    def _trouble(self, mirror: Mirror, error: OSError) -> None:
        mirror.reading = False
        if not self._files.has(mirror.id):
            self.runs.pop(mirror.id, None)
            self.stop(mirror)
            return
        self._room.none(mirror.id, error)
        self._due[mirror.id] = time.monotonic() + _ROOM_SECONDS

    def _take(self, mirror: Mirror, look: Look, *, stub: bool) -> None:
        if mirror.take(look, stub=stub):
            self._connection.link.unwatch([mirror.id])
            self._due.pop(mirror.id, None)
            self.runs.pop(mirror.id, None)
            self._late.add(mirror)

    # Stubs

    def _listed(self, number: int, reply: Reply[Sequence[str]]) -> None:
        if number != self._connection.number:
            return
        self._listing = False
        try:
            ids = reply.result()
        except LinkError as error:
            return self._connection.failed(error)
        self._ids_here = True
        ids = list(filter(is_run_id, ids))  # they become names of folders
        queued = set(self._queue)
        known = self._known.keys() | self._evicted | queued
        self._queue += [run_id for run_id in ids if run_id not in known]
        self._queue += [
            one.id
            for one in self.runs.values()
            if not one.active and (one.late or not one.ended) and one.id not in queued
        ]
        self._queue += [run_id for run_id in self._late.ids if run_id not in queued]

    def _check_listed(self) -> None:
        if self._ids_here and not self.listed and not self._queue and not self._looking:
            self.listed = True
            self.on_listed()

    def _stubs(self, number: int, ids: Sequence[str], reply: Reply[dict[str, Look]]) -> None:
        if number != self._connection.number:
            return
        self._looking = False
        try:
            looks = reply.result()
        except LinkError as error:
            return self._connection.failed(error)
        for run_id, look in looks.items():
            try:
                self._stub(run_id, look)
            except OSError as error:
                self._room.none(run_id, error)
            else:
                self._room.again(run_id)
        self._vanished.sweep(ids, looks)

    def _stub(self, run_id: str, look: Look) -> None:
        if self._copies.take(run_id, look) or self._late.take(run_id, look):
            return
        mirror = self.runs.get(run_id)
        if mirror is not None:
            if not mirror.active and run_id not in self._handed:
                self._take(mirror, look, stub=True)
            return
        if look.host == self._host:  # it was removed here while there was no agent
            self._known[run_id] = True
        if run_id in self._known or self._files.has(run_id):
            self._wanted.pop(run_id, None)
            return
        made = Mirror.make(self._files, run_id, look, self._lock_fd)
        self._known[run_id] = False
        self._evicted.discard(run_id)
        if made.whole:
            self._late.add(made)
        else:
            self._go_on(made)
