"""The store's own runs, to the link: first in, first out, with a bounded number of bytes under way.

Owns the order in which runs have their turn, and what is done about each reply: a tail that is another
one than expected (go on from there), an engine that is full (pause), a run that was taken from this
host (leave it: its files are whole). A run never waits for any of this, and its file log is the only
store of what was not taken yet. Must not know how the link comes back: `rejoin` is called when it has.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from runcast import loggers
from runcast.agent.connection import Connection
from runcast.agent.due_times import DueTimes
from runcast.agent.open_logs import OpenLogs
from runcast.agent.own_run import CLOSED, HOOKS, LOOKED_AT, NEW, SHIPPED, TAKEN, OwnRun
from runcast.agent.watching import StoreWatch
from runcast.errors import Fenced, Full, LinkDown, LinkError, NoRun, RuncastError, RunNotFound, SegmentAway
from runcast.link import Look, Reply
from runcast.link.rules import key_name
from runcast.log.entries import RawEntry
from runcast.model import Outcome, Reason
from runcast.store.files import StoreFiles
from runcast.store.links import LOST_AFTER
from runcast.store.run_files import outcome_bytes

__all__ = ["Shipping"]

_WINDOW = 4 * 1024 * 1024  # bytes under way, of all runs together
_PASS = 8  # entries of one run, then it is another one's turn
_BUSY, _SMALL, _GATHER = 20, 8 * 1024, 0.005  # so many small entries in one pass: gather for so many seconds
_LOOK = 200  # runs at once
_FULL_PAUSE, _FULL_LONGEST = 0.2, 5.0
_COUNT_SECONDS, _COUNTS = 2.0, 100  # between two counts of a run's lines; and counts a second, of all runs
_HOOKS_SECONDS = 0.5  # between two looks what became of a run's hooks


class Shipping:
    """Ships runs.

    Args:
        connection: the link.
        files: of the store.
        host: its name at the link.
        watch: what tells which runs have news.
        here: whether what is removed from the store is to be removed at the link.

    Attributes:
        runs: those that are not all at the link yet, by id.
        lost_after: seconds after which runs are lost whose folders were copied, and of which nothing is heard
            any more.
        on_copied: called with the run of another host whose folder was copied into this store, what the link
            has of it, and whether that is all here.
    """

    def __init__(
        self,
        connection: Connection,
        files: StoreFiles,
        host: str,
        watch: StoreWatch,
        here: Callable[[], bool] = lambda: True,
    ) -> None:
        self._connection, self._files, self._host, self._watch = connection, files, host, watch
        self._here = here
        self.runs: dict[str, OwnRun] = {}
        self.on_copied: Callable[[str, Look, bool], object] = lambda run_id, look, whole: None
        self.fenced: set[str] = set()
        self._dirty: deque[str] = deque()
        self._is_dirty: set[str] = set()
        self.lost_after = LOST_AFTER
        self._elsewhere: dict[str, float] = {}  # of this host's name, in a folder that was copied; when lost
        self._again = DueTimes()  # whose progress is to be sent, or lines to be counted
        self._open = OpenLogs()
        self._flying = 0
        self._later = 0.0  # no pass before
        self._full_pause = _FULL_PAUSE

    def add(self, run_id: str) -> None:
        """Ship a run of this store, from wherever the link has it."""
        if run_id in self.runs or run_id in self.fenced:
            return
        run = self.runs[run_id] = OwnRun(self._files.run(run_id))
        run.phase = NEW if self._connection.up else LOOKED_AT
        self._watch.add(run_id)
        self.note(run_id, fields=True)

    def note(self, run_id: str, *, fields: bool) -> None:
        """Take note that a run has news: output, or (`fields`) more than that."""
        run = self.runs.get(run_id)
        if run is None:
            return
        run.fields_changed, run.unchecked = run.fields_changed or fields, run.unchecked or fields
        if run_id not in self._is_dirty:
            self._is_dirty.add(run_id)
            self._dirty.append(run_id)

    def unshipped(self) -> int:
        """Return how many bytes of output the link has not acknowledged yet."""
        left = self._flying
        for run in list(self.runs.values()):
            with contextlib.suppress(OSError, RuncastError):  # it was removed
                left += max(0, run.log.tail_offset - run.at)
        return left

    def remove(self, run_id: str) -> None:
        """Have the link forget a run that was removed here."""
        self.forget(run_id)
        if self._connection.up and self._here():
            self._connection.link.look([run_id]).then(partial(self._drop, self._connection.number, run_id))

    def _drop(self, number: int, run_id: str, reply: Reply[dict[str, Look]]) -> None:
        if number != self._connection.number:
            return
        try:
            look = reply.result().get(run_id)
        except LinkError as error:
            return self._connection.lost(error)
        if look is not None and look.host == self._host:
            self._connection.link.drop(run_id)

    def forget(self, run_id: str) -> None:
        """Ship a run no more."""
        run = self.runs.pop(run_id, None)
        if run is not None:
            self._watch.remove(run_id)
            self._open.forget(run_id)
            self._again.forget(run_id)
            run.log.close()

    def rejoin(self) -> None:
        """Look at all runs at the link, and go on from where it has them: after each connection."""
        self._flying, self._later = 0, 0.0
        for run in self.runs.values():
            run.phase, run.flying, run.rewound = LOOKED_AT, 0, None
        ids = list(self.runs)
        for at in range(0, len(ids), _LOOK):
            self._look(ids[at : at + _LOOK])

    def _look(self, ids: list[str]) -> None:
        self._connection.link.look(ids).then(partial(self._looked, self._connection.number, ids))

    def _looked(self, number: int, ids: Iterable[str], reply: Reply[dict[str, Look]]) -> None:
        if number != self._connection.number:
            return
        try:
            looks = reply.result()
        except LinkError as error:
            return self._connection.lost(error)
        for run_id in ids:
            if (run := self.runs.get(run_id)) is None:
                continue
            look, run.unchecked = looks.get(run_id), True
            if look is None:
                run.phase, run.sent = NEW, {}
            elif look.host != self._host and run.copied:
                whole = run.is_whole(look)
                self.forget(run_id)
                self.on_copied(run_id, look, whole)
                continue
            elif look.host != self._host and not look.fence and look.outcome == run.outcome():
                self.forget(run_id)  # it was shared under another name, which this store had before
                continue
            elif look.host != self._host or look.fence:
                self._refused(run)
                continue
            elif look.outcome is None and not run.held and run.copied:
                self.forget(run_id)  # it may go on where the folder came from
                self._elsewhere.setdefault(run_id, time.monotonic() + self.lost_after)
                continue
            elif look.outcome is not None and run.closed:
                if run.hooks_over and not run.has_hooks:
                    self.forget(run_id)
                    continue
                run.phase, run.sent = HOOKS, {"state": look.state or b""}
            else:
                run.phase, run.at = TAKEN, look.tail
                run.sent = {"state": look.state or b"", "progress": look.progress or b""}
            self.note(run_id, fields=True)

    def turn(self, now: float) -> None:
        """Ship what can be shipped now."""
        if not self._connection.up or now < self._later:
            return
        for run_id in [run_id for run_id, when in self._elsewhere.items() if when <= now]:
            self._elsewhere[run_id] = now + self.lost_after
            message = f"the store of host {self._host} was moved or copied, and the first is gone"
            outcome = Outcome(Reason.LOST, message=message, ended_at=time.time())
            sent = self._connection.link.tell(run_id, "outcome", outcome_bytes(outcome))
            sent.then(partial(self._lost, run_id))
        for run_id in self._again.take(now):
            self.note(run_id, fields=True)
        entries = size = 0
        for _ in range(len(self._dirty)):
            if self._flying >= _WINDOW:
                break
            run_id = self._dirty.popleft()
            self._is_dirty.discard(run_id)
            if (run := self.runs.get(run_id)) is not None:
                shipped = self._advance(run, now)
                entries += len(shipped)
                size += sum(len(entry.data) for entry in shipped)
        if entries > _BUSY and size < entries * _SMALL:
            self._later = now + _GATHER

    def _lost(self, run_id: str, reply: Reply[bool]) -> None:
        try:
            reply.result()
        except LinkDown as error:
            return self._connection.lost(error)
        except LinkError:  # it was ended or dropped by somebody else
            pass
        self._elsewhere.pop(run_id, None)

    def due(self, now: float) -> float | None:
        """Return when the next turn is due, in monotonic seconds; None if there is nothing to do."""
        if not self._connection.up:
            return None
        due = min(self._elsewhere.values(), default=self._again.next)
        if self._dirty and self._flying < _WINDOW:
            due = now
        return max(self._later, min(due, self._again.next))

    def _advance(self, run: OwnRun, now: float) -> list[RawEntry]:
        if run.phase == HOOKS:
            self._follow_hooks(run, now)
        if run.phase == NEW:
            self._create(run)
        if run.phase not in (TAKEN, CLOSED) or run.rewound is not None:
            return []
        try:
            closed = run.closed
            entries = run.log.entries(run.at, _PASS) if run.phase == TAKEN else []
            if not entries and self._watch.grows(run.id, run.log):
                entries = run.log.entries(run.at, _PASS)
        except RunNotFound:
            self.remove(run.id)
            return []
        except SegmentAway as away:  # it is on the shelf, and the engine lost it: mirrors find it there
            entries = [RawEntry(run.at, away.end, b"", b"")]
        self._open.used(run)
        last = closed and len(entries) < _PASS
        if entries and run.fields_changed and not last:  # a run that writes on and on has a state, too
            self._tell_fields(run, closed=False, now=now)
        for entry in entries:
            self._put(run, entry)
        if not entries:
            self._tell(run, closed=closed, now=now)
        elif len(entries) >= _PASS or closed or run.fields_changed or not self._watch.sees(run.id, run.log):
            self.note(run.id, fields=False)  # else nothing is left, and what comes is news
        return entries

    def _create(self, run: OwnRun, *, keyed: bool = True) -> None:
        request = run.request()
        if request is None:
            return self.remove(run.id)
        run.phase = LOOKED_AT
        reply = self._connection.link.create(run.id, request, self._host, run.key if keyed else None)
        reply.then(partial(self._created, self._connection.number, run))

    def _created(self, number: int, run: OwnRun, reply: Reply[str]) -> None:
        if not self._settled(number, run, reply):
            return
        if (holder := reply.result()) != run.id:  # which was started while the link was down
            if older := run.attempt and run.key is not None and holder < run.id:
                self._connection.link.free(key_name(run.key), holder.encode())
            self._create(run, keyed=older)
            return
        self._look([run.id])  # it may have been there

    def _put(self, run: OwnRun, entry: RawEntry) -> None:
        size = len(entry.data)
        run.at = entry.end
        run.flying += 1
        self._flying += size
        reply = self._connection.link.put(run.id, *entry)
        reply.then(partial(self._was_put, self._connection.number, run, entry.start, size))

    def _was_put(self, number: int, run: OwnRun, start: int, size: int, reply: Reply[int | None]) -> None:
        if number != self._connection.number:
            return
        run.flying -= 1
        self._flying -= size
        if not self._settled(number, run, reply, at=start):
            return
        if (tail := reply.result()) is not None:
            run.rewound = tail if run.rewound is None else min(tail, run.rewound)
        elif self._full_pause != _FULL_PAUSE:
            self._full_pause = _FULL_PAUSE
            self._connection.note("full", None)
        self._rewind(run)

    def _rewind(self, run: OwnRun) -> None:
        """Once nothing is under way any more, go on from where the link has the run."""
        if run.flying:
            return
        if run.rewound is not None:
            run.at, run.rewound = run.rewound, None
            self.note(run.id, fields=False)
        elif run.fields_changed:
            self.note(run.id, fields=False)
        else:
            self._again.no_later(run.id, run.count_at)

    def _settled(self, number: int, run: OwnRun, reply: Reply[Any], at: int | None = None) -> bool:
        """Return whether a request was done; see to what is to be done if it was not."""
        if number != self._connection.number or self.runs.get(run.id) is not run:
            return False
        try:
            reply.result()
            return True
        except Fenced:
            self._refused(run)
        except NoRun:
            if run.phase in (TAKEN, CLOSED, HOOKS):
                run.phase, run.rewound = NEW, None
                self.note(run.id, fields=True)
        except Full as error:
            self._later = time.monotonic() + self._full_pause
            self._full_pause = min(2 * self._full_pause, _FULL_LONGEST)
            self._connection.note("full", str(error))
            run.sent.clear()
            if at is not None:
                run.rewound = at if run.rewound is None else min(at, run.rewound)
            else:
                run.phase = NEW if run.phase == LOOKED_AT else run.phase
            self._rewind(run)
            self.note(run.id, fields=True)
        except LinkDown as error:
            self._connection.lost(error)
        except LinkError as error:
            loggers.warning_once("agent", "run %s is not shared: %s", run.id, str(error))
            self.forget(run.id)
        return False

    def _refused(self, run: OwnRun) -> None:
        self.fenced.add(run.id)
        others = f"{len(self.fenced) - 1} others and " if len(self.fenced) > 1 else ""
        was = "were" if others else "was"
        self._connection.note(
            "fenced",
            f"{others}run {run.id} {was} ended at the link, not by this host: what comes stays here, whole",
        )
        self.forget(run.id)

    def _tell(self, run: OwnRun, *, closed: bool, now: float) -> None:
        """Tell what else changed; and, when all of its output is there, how it ended."""
        if run.flying:
            run.fields_changed = run.fields_changed or closed
            return
        self._tell_fields(run, closed=closed, now=now)
        if closed and run.phase == TAKEN and (outcome := run.outcome()) is not None:
            run.phase = CLOSED
            self._field(run, "outcome", outcome)

    def _tell_fields(self, run: OwnRun, *, closed: bool, now: float) -> None:
        every = max(_COUNT_SECONDS, len(self.runs) / _COUNTS)
        changed, due = run.changed(now, every, closed=closed)
        for field, value in changed.items():
            self._field(run, field, value)
        if due is not None:
            self._again.no_later(run.id, due)

    def _follow_hooks(self, run: OwnRun, now: float) -> None:
        """Tell what becomes of the hooks of a run that is over, which nothing but a look says."""
        over = run.hooks_over  # before what they became is read
        if (state := run.state(closed=True)) != run.sent.get("state"):
            self._field(run, "state", state)
        elif over:
            run.phase = SHIPPED
            self.forget(run.id)
        else:
            self._again.no_later(run.id, now + _HOOKS_SECONDS)

    def _field(self, run: OwnRun, field: str, value: bytes) -> None:
        run.sent[field] = value
        reply = self._connection.link.tell(run.id, field, value)  # type: ignore[arg-type]
        reply.then(partial(self._was_told, self._connection.number, run, field))

    def _was_told(self, number: int, run: OwnRun, field: str, reply: Reply[bool]) -> None:
        if not self._settled(number, run, reply):
            if run.phase == CLOSED:
                run.phase = TAKEN
            return
        if field == "outcome":
            run.phase = HOOKS
        if run.phase == HOOKS:
            self.note(run.id, fields=True)
