"""A run's place in a queue: whether it has its slot, who is before it, and who wakes the next.

Owns the rule. Of a queue so many runs have a slot at once as the one that looks for one allows; those that
wait get theirs in the order in which they were started. A slot is free when its run is closed. A
supervisor that leaves wakes the first that waits; who is not woken, because the one before it was killed,
looks by itself every second. What a dead supervisor left is settled first, its processes ended, before its
slot counts as free: two runs never share one. Knows no loop.
"""

from __future__ import annotations

import contextlib
import json
import os
from typing import NamedTuple

from runcast.errors import FileDamaged, RunElsewhere
from runcast.store.queues import STORE_QUEUE, Entry, QueueFiles
from runcast.store.run_files import RunFiles
from runcast.supervisor.control import ask, connect_path
from runcast.supervisor.end_hooks import begin_apart
from runcast.supervisor.recover import recover

__all__ = ["LOOK_SECONDS", "Look", "Place"]

LOOK_SECONDS = 1.0  # between looks of a run that nobody wakes
_NEAR = 10  # places from the front at which a run looks so often; those behind it look less often
_ASK_SECONDS = 2.0  # for another supervisor to answer


class Look(NamedTuple):
    """What a look at the queue found.

    Attributes:
        slot: the run has its slot.
        before: how many runs wait before it.
        replaced_by: the run that was started later to take its place, if there is one.
        again: seconds after which to look again.
    """

    slot: bool
    before: int
    replaced_by: str | None
    again: float


class Place:
    """The place of one run in one queue.

    Args:
        directory: of the run.
        name: of the queue.
        most: how many runs of it may have a slot at once.
        replace: stop those of it that were started before.
    """

    def __init__(self, directory: RunFiles, name: str, most: int, *, replace: bool) -> None:
        self._directory, self._id = directory, directory.id
        self._name, self._most = name, most
        self._own = name != STORE_QUEUE  # none replaces others in the queue of all runs
        self._replace = replace and self._own
        self._stopped: set[str] = set()  # which this run replaces, and which know

    @property
    def _store(self) -> str:
        """The folder of the store, which may have been moved."""
        return os.path.dirname(self._directory.locate().path)

    @property
    def _files(self) -> QueueFiles:
        return QueueFiles(self._store, self._name)

    def look(self) -> Look:
        """Look for a slot, and take it if there is one.

        Raises:
            OSError: the store cannot be written to.
        """
        entries = self._files.entries()
        if not any(entry.run_id == self._id for entry in entries):  # its starter died early
            self._files.enter(self._id, self._directory.path)
        dead = {entry.run_id for entry in entries if entry.run_id != self._id and not self._lives(entry)}
        with self._files.locked():
            entries = self._files.entries()
            for entry in entries:
                if entry.run_id in dead:
                    self._files.leave(entry)
            others = [entry for entry in entries if entry.run_id not in dead | {self._id}]
            started = sum(entry.started for entry in others)
            before = sum(not entry.started and entry.run_id < self._id for entry in others)
            replaced_by = self._replaced_by(others) if self._own else None
            older = [entry for entry in others if self._replace and entry.run_id < self._id]
            slot = replaced_by is None and not before and not older and started < self._most
            if slot:
                self._files.start(self._id)
        for entry in older:
            self._stop(entry.run_id)
        if slot and started + 1 < self._most:
            self._wake(others)
        return Look(slot, before, replaced_by, LOOK_SECONDS * max(1.0, before / _NEAR))

    def leave(self) -> None:
        """Leave the queue, so that the next may start."""
        with contextlib.suppress(OSError, FileDamaged):  # the store may be gone
            with self._files.locked():
                entries = self._files.entries()
                for entry in entries:
                    if entry.run_id == self._id:
                        self._files.leave(entry)
            self._wake([entry for entry in entries if entry.run_id != self._id])

    def _lives(self, entry: Entry) -> bool:
        """Return whether a run still needs its place. One that is lost is settled first."""
        directory = RunFiles(f"{self._store}/{entry.run_id}")
        if not directory.exists:
            return self._files.is_being_started(entry)
        if directory.held:  # also behind its outcome, while its log is open
            return True
        try:
            recover(directory.path, hooks=begin_apart)
        except RunElsewhere:  # its host settles it
            return True
        return not directory.ended

    def _replaced_by(self, others: list[Entry]) -> str | None:
        newer = [entry for entry in others if entry.run_id > self._id and self._files.replaces(entry)]
        return newer[-1].run_id if newer else None

    def _stop(self, run_id: str) -> None:
        """Have a run stopped that this one replaces."""
        if run_id in self._stopped:
            return
        path = RunFiles(f"{self._store}/{run_id}").supervisor_path
        with contextlib.suppress(OSError, ValueError):  # it does not listen yet: the next look asks again
            ask(path, {"op": "stop", "why": f"run {self._id} replaced it"}, timeout=_ASK_SECONDS)
            self._stopped.add(run_id)

    def _wake(self, others: list[Entry]) -> None:
        """Have the first run that waits look for its slot now."""
        for entry in others:
            if not entry.started:
                path = RunFiles(f"{self._store}/{entry.run_id}").supervisor_path
                with contextlib.suppress(OSError), connect_path(path, _ASK_SECONDS) as connection:
                    connection.sendall(json.dumps({"op": "look"}).encode() + b"\n")
                return
