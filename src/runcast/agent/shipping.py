"""The store's own runs, to the link: first in, first out, with a bounded number of bytes under way.

Owns the order in which runs have their turn, and what is done about each reply: a tail that is another
one than expected (go on from there), an engine that is full (pause), a run that was taken from this
host (leave it: its files are whole). A run never waits for any of this, and its file log is the only
store of what was not taken yet. Must not know how the link comes back: `rejoin` is called when it has.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from runcast import loggers
from runcast.agent.connection import Connection
from runcast.agent.own_run import CLOSED, LOOKED_AT, NEW, SHIPPED, TAKEN, OwnRun
from runcast.agent.watching import StoreWatch
from runcast.errors import Fenced, Full, LinkDown, LinkError, NoRun, RunNotFound, SegmentAway
from runcast.link import Look, Reply
from runcast.log.entries import RawEntry
from runcast.store.files import StoreFiles

__all__ = ["Shipping"]

_WINDOW = 4 * 1024 * 1024  # bytes under way, of all runs together
_PASS = 8  # entries of one run, then it is another one's turn
_OPEN_LOGS = 200  # three descriptors each
_BUSY, _SMALL, _GATHER = 20, 8 * 1024, 0.005  # so many small entries in one pass: gather for so many seconds
_LOOK = 200  # runs at once
_FULL_PAUSE, _FULL_LONGEST = 0.2, 5.0
_PROGRESS_SECONDS = 0.2  # between two of a run


class Shipping:
    """Ships runs.

    Args:
        connection: the link.
        files: of the store.
        host: its name at the link.
        watch: what tells which runs have news.
        here: whether the store is still where it was: if not, its runs were moved, and not removed.

    Attributes:
        runs: those that are not all at the link yet, by id.
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
        self.fenced: set[str] = set()
        self._dirty: deque[str] = deque()
        self._is_dirty: set[str] = set()
        self._again: dict[str, float] = {}  # whose progress is to be sent, and when
        self._open: OrderedDict[str, None] = OrderedDict()
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
        run.fields_changed = run.fields_changed or fields
        if run_id not in self._is_dirty:
            self._is_dirty.add(run_id)
            self._dirty.append(run_id)

    def remove(self, run_id: str) -> None:
        """Have the link forget a run that was removed here."""
        self._forget(run_id)
        if self._connection.up and self._here():
            self._connection.link.drop(run_id)

    def _forget(self, run_id: str) -> None:
        run = self.runs.pop(run_id, None)
        if run is not None:
            self._watch.remove(run_id)
            self._open.pop(run_id, None)
            self._again.pop(run_id, None)
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
            look = looks.get(run_id)
            if look is None:
                run.phase, run.sent = NEW, {}
            elif look.host != self._host or look.fence:
                self._refused(run)
                continue
            elif look.outcome is not None and run.closed:
                self._forget(run_id)
                continue
            else:
                run.phase, run.at = TAKEN, look.tail
                run.sent = {"state": look.state or b"", "progress": look.progress or b""}
            self.note(run_id, fields=True)

    def turn(self, now: float) -> None:
        """Ship what can be shipped now."""
        if not self._connection.up or now < self._later:
            return
        for run_id in [run_id for run_id, when in self._again.items() if when <= now]:
            del self._again[run_id]
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

    def due(self, now: float) -> float | None:
        """Return when the next turn is due, in monotonic seconds; None if there is nothing to do."""
        if not self._connection.up:
            return None
        due = min(self._again.values(), default=None)
        if self._dirty and self._flying < _WINDOW:
            due = now
        return None if due is None else max(self._later, due)

    def _advance(self, run: OwnRun, now: float) -> list[RawEntry]:
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
        self._opened(run)
        for entry in entries:
            self._put(run, entry)
        if entries:
            self.note(run.id, fields=False)
        else:
            self._tell(run, closed=closed, now=now)
        return entries

    def _opened(self, run: OwnRun) -> None:
        self._open[run.id] = None
        self._open.move_to_end(run.id)
        if len(self._open) > _OPEN_LOGS:
            oldest, _ = self._open.popitem(last=False)
            if oldest in self.runs:
                self.runs[oldest].log.close()

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
        if reply.result() != run.id:  # the key is another host's, which was started while the link was down
            self._create(run, keyed=False)
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
        if run.rewound is not None and not run.flying:
            run.at, run.rewound = run.rewound, None
        if not run.flying:
            self.note(run.id, fields=False)

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
            if run.phase in (TAKEN, CLOSED):
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
            self._forget(run.id)
        return False

    def _refused(self, run: OwnRun) -> None:
        self.fenced.add(run.id)
        others = f"{len(self.fenced) - 1} others and " if len(self.fenced) > 1 else ""
        was = "were" if others else "was"
        self._connection.note(
            "fenced",
            f"{others}run {run.id} {was} ended at the link, not by this host: what comes stays here, whole",
        )
        self._forget(run.id)

    def _tell(self, run: OwnRun, *, closed: bool, now: float) -> None:
        """Tell what else changed; and, when all of its output is there, how it ended."""
        if run.flying:
            return
        if run.fields_changed or closed:
            run.fields_changed = False
            if (state := run.state(closed=closed)) and state != run.sent.get("state"):
                self._field(run, "state", state)
            progress = run.progress()
            if progress and progress != run.sent.get("progress"):
                if closed or now >= run.progress_at:
                    run.progress_at = now + _PROGRESS_SECONDS
                    self._field(run, "progress", progress)
                else:
                    self._again[run.id] = run.progress_at
        if closed and run.phase == TAKEN and (outcome := run.outcome()) is not None:
            run.phase = CLOSED
            self._field(run, "outcome", outcome)

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
            run.phase = SHIPPED
            self._forget(run.id)
