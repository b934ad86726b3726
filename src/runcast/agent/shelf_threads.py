"""The threads of an agent that use the shelf: a disk or a network may block them for as long as it likes.

Owns what they do: one keeps runs that are over, and lets go on this disk what the rules say, once the
shelf has acknowledged it; the other brings what is wanted, so that nobody waits behind a large run that
is kept. What comes of it is an event for the loop. Must not know the link, or mirrors.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Iterator
from typing import Final, NamedTuple

from runcast import loggers
from runcast.agent.own_run import OwnRun
from runcast.errors import FileDamaged, RuncastError, ShelfDown, ShelfFull, ShelfMissing
from runcast.ids import is_run_id
from runcast.log.away import away_at
from runcast.log.eviction import evict
from runcast.log.segments import segment_name, segment_starts
from runcast.own_thread import Background
from runcast.shelf.base import Shelf
from runcast.shelf.bringing import bring, is_kept, lay_out
from runcast.shelf.keeping import keep_run
from runcast.shelf.manifest import Manifest, fetch_manifest
from runcast.shelf.opening import ShelfRules, identify
from runcast.store.files import StoreFiles
from runcast.store.run_files import RunFiles
from runcast.store.shelved import known_shelf, mark_shelved, note_shelf, shelved_at

__all__ = ["ALL", "BROUGHT", "DOWN", "FINE", "KEPT", "MISSING", "ShelfEvent", "ShelfThreads"]

ALL: Final = -1
"""In place of an offset: all of a mirror's log."""
KEPT, BROUGHT, MISSING, DOWN, FINE = "kept", "brought", "missing", "down", "fine"
_SCAN_SECONDS = 2.0
_LONGEST_PAUSE = 60.0
_LONGEST_ABSENT = 600.0  # between two looks whether the shelf has a mirror
_HERE_SECONDS = 5.0  # in which output that was written or brought stays, whatever the rules are
_MANIFESTS = 16
_END_SECONDS = 5.0
_MOST = 2**63  # of offsets


class ShelfEvent(NamedTuple):
    """What a thread has done.

    Attributes:
        what: one of the above: a run was kept; all of a mirror's log was brought; the shelf has no such
            run; it failed; all is well.
        run_id: the run; empty where keeping is meant, of all runs.
        at: when it was kept, in seconds since the epoch.
        message: why it failed.
    """

    what: str
    run_id: str = ""
    at: float = 0.0
    message: str = ""


class ShelfThreads:
    """Two threads, from the first moment on.

    Args:
        shelf: the shelf.
        rules: of what stays here.
        files: of the store.

    Attributes:
        fd: readable when there is something to `take`.
        busy: whether there are runs that are to be kept, as far as is known.
        active: whether runs of this store go on, as far as is known.
    """

    def __init__(self, shelf: Shelf, rules: ShelfRules, files: StoreFiles) -> None:
        self._shelf, self._rules, self._files = shelf, rules, files
        self.fd, self._wake = os.pipe()
        for fd in (self.fd, self._wake):
            os.set_blocking(fd, False)
        self.busy = self.active = True
        self._events: deque[ShelfEvent] = deque()
        self._wanted: queue.SimpleQueue[tuple[str, int] | None] = queue.SimpleQueue()
        self._queued: set[tuple[str, int]] = set()
        self._manifests: OrderedDict[str, Manifest] = OrderedDict()
        self._id: str | None = None  # of the shelf
        self._done: set[str] = set()  # runs that need no look any more
        self._mirrors: dict[str, tuple[float, float]] = {}  # that it had not: when to look again, the pause
        self._evictable: set[str] = set()  # … of which the rules may take output away
        self._stop = threading.Event()
        self._threads = [
            Background(self._keep_all, "runcast keeps runs"),
            Background(self._bring_all, "runcast brings output"),
        ]
        for thread in self._threads:
            thread.start()

    def want_segment(self, run_id: str, start: object) -> None:
        """Bring the segment of a run's log that begins at an offset, if there is one, and it is away."""
        if is_run_id(run_id) and isinstance(start, int) and 0 <= start < _MOST:
            if away_at(f"{self._files.run(run_id).log_path}/{segment_name(start)}") is not None:
                self.want(run_id, start)

    def want(self, run_id: str, start: int) -> None:
        """Bring the segment of a run's log that begins at an offset, or `ALL` of it."""
        if (run_id, start) not in self._queued:
            self._queued.add((run_id, start))
            self._wanted.put((run_id, start))

    def take(self) -> Iterator[ShelfEvent]:
        """Yield what has been done."""
        with contextlib.suppress(BlockingIOError):
            while os.read(self.fd, 4096):
                pass
        while self._events:
            yield self._events.popleft()

    def close(self) -> None:
        """End, if the shelf lets them; what is under way is done again by the next agent."""
        self._stop.set()
        self._wanted.put(None)
        for thread in self._threads:
            thread.join(_END_SECONDS)
        if not any(thread.is_alive() for thread in self._threads):
            os.close(self.fd)
            os.close(self._wake)

    def _tell(self, event: ShelfEvent) -> None:
        self._events.append(event)
        with contextlib.suppress(BlockingIOError):
            os.write(self._wake, b".")

    # Keeping

    def _keep_all(self) -> None:
        pause = _SCAN_SECONDS
        while not self._stop.is_set():
            try:
                self._identify()
                self._keep_new()
                self.busy = False
                self._let_go()
                pause = _SCAN_SECONDS
                self._tell(ShelfEvent(FINE))
            except Exception as error:
                self._look_here()
                self._tell(ShelfEvent(DOWN, message=_said(error)))
                self._stop.wait(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
                continue
            self._stop.wait(pause)

    def _look_here(self) -> None:
        """Look which runs are left for a shelf that cannot be had now: without any its agent may end."""
        shelf_id = self._id or known_shelf(self._files.path)
        busy = active = False
        with contextlib.suppress(OSError):
            for run_id in self._files.ids():
                files = self._files.run(run_id)
                if busy and active:
                    break
                if run_id in self._done or files.is_mirror:
                    continue
                if not files.ended:
                    active = active or files.held
                elif shelf_id is None or shelved_at(files, shelf_id) is None:
                    busy = True
        self.busy, self.active = busy, active

    def _identify(self) -> None:
        known = known_shelf(self._files.path)
        self._id = identify(self._shelf, known, f"{self._files.path}/.away-shelf")
        if known is None:
            note_shelf(self._files.path, self._id)

    def _keep_new(self) -> None:
        """Keep what has ended since the last time.

        Raises:
            ShelfError, OSError: it is to be tried again.
        """
        assert self._id is not None
        active = False
        for run_id in sorted(self._files.ids()):
            if run_id in self._done or self._stop.is_set():
                continue
            run = OwnRun(self._files.run(run_id))
            try:
                self._keep(run, self._files.run(run_id), self._id)
                active = active or (run_id not in self._done and not run.closed and run.held)
            except FileNotFoundError:  # it was removed
                continue
            except (ShelfDown, ShelfFull):
                raise
            except RuncastError as error:  # a later agent may try again
                loggers.warning_once("agent", "run %s is not kept on the shelf: %s", run_id, str(error))
                self._done.add(run_id)
            finally:
                run.log.close()
        self.active = active

    def _keep(self, run: OwnRun, files: RunFiles, shelf_id: str) -> None:
        at, mine = shelved_at(files, shelf_id), not files.is_mirror
        if not run.closed:
            return
        if at is None and not mine:
            if not self._has(files):
                return
            mark_shelved(files, shelf_id)
        elif at is None:
            self.busy = True
            keep_run(self._shelf, files, run.state(closed=True), run.progress())
            mark_shelved(files, shelf_id)
            at = time.time()
        self._done.add(run.id)
        self._evictable.add(run.id)
        if mine and at is not None:
            self._tell(ShelfEvent(KEPT, run.id, at))

    def _has(self, files: RunFiles) -> bool:
        """Return whether the shelf has a mirror that came from the link: then the rules hold for it, too."""
        now = time.monotonic()
        due, pause = self._mirrors.get(files.id, (now, _SCAN_SECONDS))
        if not self._rules.local or now < due:
            return False
        try:
            found = is_kept(fetch_manifest(self._shelf, files.id), files)
        except ShelfMissing:  # its host keeps it in a moment, or has no shelf
            self._mirrors[files.id] = now + pause, min(2 * pause, _LONGEST_ABSENT)
            return False
        self._mirrors.pop(files.id, None)
        if not found:
            self._done.add(files.id)
            loggers.warning("agent", "the shelf has another run %s: its output stays here", files.id)
        return found

    def _let_go(self) -> None:
        """Take away what the rules leave of the output on this disk: what came last stays."""
        age, most = self._rules.local_age, self._rules.local_bytes
        if not self._rules.local:
            return
        here: list[tuple[float, int, RunFiles, int]] = []
        for run_id in list(self._evictable):
            files = self._files.run(run_id)
            try:
                starts = segment_starts(files.log_path)
            except FileNotFoundError:
                self._evictable.discard(run_id)
                continue
            for start in starts:
                with contextlib.suppress(FileNotFoundError):  # it is away
                    status = os.lstat(f"{files.log_path}/{segment_name(start)}")
                    here.append((status.st_mtime, status.st_size, files, start))
        total, now = 0, time.time()
        for written, size, files, start in sorted(here, key=lambda one: one[0], reverse=True):
            total += size
            over = (age is not None and now - written > age) or (most is not None and total > most)
            if over and now - written > _HERE_SECONDS:
                with contextlib.suppress(FileDamaged):
                    evict(files, start)

    # Bringing

    def _bring_all(self) -> None:
        while (wanted := self._wanted.get()) is not None:
            run_id, start = wanted
            try:
                event = self._bring(self._files.run(run_id), start)
            except ShelfMissing:
                event = ShelfEvent(MISSING, run_id)
            except Exception as error:
                self._manifests.pop(run_id, None)
                event = ShelfEvent(DOWN, run_id, message=_said(error))
            self._queued.discard(wanted)  # before its event, so that a reader may ask again at once
            self._tell(event)

    def _bring(self, files: RunFiles, start: int) -> ShelfEvent:
        manifest = self._manifests.get(files.id)
        if manifest is None:
            manifest = self._manifests[files.id] = fetch_manifest(self._shelf, files.id)
            if len(self._manifests) > _MANIFESTS:
                self._manifests.popitem(last=False)
        if start != ALL:
            bring(self._shelf, manifest, files, start)
            return ShelfEvent(FINE, files.id)
        lay_out(self._shelf, manifest, files)
        if self._id is not None:
            mark_shelved(files, self._id)
        return ShelfEvent(BROUGHT, files.id)


def _said(error: Exception) -> str:
    """Return an error in words. A fault of ours is said, too: the thread goes on."""
    if isinstance(error, RuncastError | OSError):
        return str(error)
    loggers.error("agent", "the shelf failed", failure=error)
    return f"the shelf failed: {error!r}"
