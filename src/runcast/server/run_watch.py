"""Looking after the runs of a store, for the metrics: which are new, which go on, which have ended.

Owns when the store is read: every ten seconds, and when somebody wants the metrics. Any process starts and
ends runs, so nothing is counted where that happens: a run is counted when a look finds it over. What was
over before the server began is not. The folder of a store changes with each start and each end of a run, so
while its time of change stands, it is not listed; of runs that are over nothing is read again.
"""

from __future__ import annotations

import os
import pickle
import threading
import time
from collections import Counter
from collections.abc import Collection
from copy import deepcopy

from runcast.errors import RuncastError
from runcast.model import Outcome, State
from runcast.own_thread import Background
from runcast.run import Run
from runcast.run.base import files_of
from runcast.server.run_counts import OTHER, RunCounts
from runcast.server.scoreboard import LOOK, Scoreboard
from runcast.store.files import StoreFiles
from runcast.store.queues import STORE_QUEUE

__all__ = ["RunWatch", "SharedRunWatch"]

_EVERY_SECONDS = 10.0  # a run stays for a minute after its end, unless somebody removes it by hand
_SAME_TIME_SECONDS = (
    1.0  # more than the steps of a file system's clock: a later change may have the same time
)


class RunWatch:
    """The runs of a store, as one server sees them.

    Args:
        store: its folder, which need not be there yet.
        commands: the names that always have numbers of their own.
    """

    def __init__(self, store: str, commands: Collection[str] = ()) -> None:
        self._files = StoreFiles(store)
        self._counts = RunCounts(commands)
        self._began: float | None = time.time()
        self._known: set[str] = set()
        self._listed_at: int | None = None  # the time of change of the folder that was listed
        self._open: dict[str, tuple[str, Run]] = {}  # the runs that are not over, with their names
        self._lock = threading.Lock()
        self._due = 0.0

    def look_soon(self) -> None:
        """Look in a thread, if the last look is long ago."""
        if (now := time.monotonic()) < self._due:
            return
        self._due = now + _EVERY_SECONDS
        try:
            Background(target=self.look, name="runcast counts runs").start()
        except RuntimeError:  # there are too many threads: next time
            return

    def look(self) -> RunCounts:
        """Count what has ended since the last look, and return a copy of all counts. Call it in a thread."""
        with self._lock:
            return self._look()

    def _look(self) -> RunCounts:
        self._due = time.monotonic() + _EVERY_SECONDS
        self._list()
        self._count()
        return deepcopy(self._counts)

    def _list(self) -> None:
        try:
            changed = os.stat(self._files.path).st_mtime_ns
        except OSError:  # it is not there yet, or no longer
            changed = 0
        if changed == self._listed_at:
            return
        settled = time.time_ns() - changed > _SAME_TIME_SECONDS * 1e9
        self._listed_at = changed if settled else None
        there = set(self._files.ids())
        for run_id in there - self._known:
            if self._began is None or not self._was_over(run_id, self._began):
                self._open[run_id] = OTHER, self._run(run_id)
        self._known, self._began = there, None

    def _run(self, run_id: str) -> Run:
        return Run(self._files.run(run_id).path)

    def _was_over(self, run_id: str, when: float) -> bool:
        try:
            return time.time() - self._files.run(run_id).over_seconds() < when
        except OSError:  # it is not over
            return False

    def _count(self) -> None:
        running, queued = Counter[str](), Counter[str]()
        for run_id, (name, run) in list(self._open.items()):
            try:
                name = run.name
                self._open[run_id] = name, run
                state, outcome = _now(run)
            except (OSError, RuncastError):
                if not self._files.has(run_id):  # else it cannot be read just now
                    self._counts.add(name, None)
                    del self._open[run_id]
                continue
            if outcome is not None:
                self._counts.add(name, outcome)
                del self._open[run_id]
            elif state == State.QUEUED:
                queued[run.queue or STORE_QUEUE] += 1
            elif state != State.LOST:
                running[name] += 1
        self._counts.set_now(running, queued)


class SharedRunWatch(RunWatch):
    """The runs of a store, as all workers of one server see them: one looks, and leaves what it found.

    Args:
        store: its folder, which need not be there yet.
        commands: the names that always have numbers of their own.
        board: of the server.
    """

    def __init__(self, store: str, commands: Collection[str], board: Scoreboard) -> None:
        super().__init__(store, commands)
        self._board = board
        self._began = board.began

    def look_soon(self) -> None:
        """Look in a thread, if the last look of any worker is long ago."""
        self._due = max(self._due, self._board.due)
        super().look_soon()

    def _look(self) -> RunCounts:
        with self._board.locked(LOOK):
            if data := self._board.looked.load():
                self._counts, self._known, self._listed_at, names = pickle.loads(data)
                self._began = None
                self._open = {
                    run_id: (name, self._open[run_id][1] if run_id in self._open else self._run(run_id))
                    for run_id, name in names.items()
                }
            counts = super()._look()
            names = {run_id: name for run_id, (name, _) in self._open.items()}
            self._board.looked.store(pickle.dumps((self._counts, self._known, self._listed_at, names)))
            self._board.due = self._due
        return counts


def _now(run: Run) -> tuple[str, Outcome | None]:
    """Return the state of a run and its outcome; of one whose writer lives, by a few calls of the system."""
    files = files_of(run)
    if not files.ended and files.held:
        return files.state().get("state", State.STARTING), None
    return run.state, run.outcome  # which recovers one whose writer is dead
