"""The live list of runs: one connection a page, however many runs it shows.

Owns when the list is sent, and which rows: all at first, then those that changed (a run or a stream
was added, changed its state or was removed), at most five times a second, and of runs that go on their
last line, size and progress. The page counts durations by itself. A run that is over is not read again.
In an event loop a thread reads the folders.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Mapping
from copy import copy
from typing import Any, NamedTuple

from runcast.errors import SupervisorLost
from runcast.model import State
from runcast.own_thread import Background, begin, in_event_loop
from runcast.readers import Steps, Wait, hub
from runcast.run import Run
from runcast.store.files import StoreFiles
from runcast.store.sharing import link_json
from runcast.web.http.messages import Reply
from runcast.web.http.response_stream import ResponseStream
from runcast.web.live.log_stream import KEEPALIVE_SECONDS
from runcast.wire.jsons import compact
from runcast.wire.sse import RESTART_MS, event

__all__ = ["LIST_RUNS", "list_stream"]

LIST_RUNS = 50
_OUTPUT = ("tail_offset", "lines", "progress", "last_line", "place")
_SCAN_SECONDS = 1.0  # between two scans of the states of live runs
_PAUSE_SECONDS = 0.2  # between two scans at least, however many runs are added meanwhile


class _Shown(NamedTuple):
    """The values of a run whose change has its row sent again; and those that are sent alone."""

    state: str
    closed: bool
    pid: int | None
    waiting: Mapping[str, str] | None = None
    host: Mapping[str, Any] | None = None
    output: Mapping[str, Any] | None = None
    """How far it is, of a run that goes on."""

    @property
    def final(self) -> bool:
        """Whether none of it will change. A log may close while its row is read, after its state."""
        return self.closed and self.state in (State.EXITED, State.LOST)

    def same_row(self, other: _Shown | None) -> bool:
        """Whether the row that was sent need not be sent again."""
        return other is not None and self[:5] == other[:5]


class _Change(NamedTuple):
    """The result of a scan.

    Attributes:
        rows: the new and the changed ones, newest first.
        shown: the values in the list now, by id.
        going: of other rows, of runs that go on, what changed as they did.
        next: the oldest in the list, where there are older ones; else None.
    """

    rows: list[dict[str, Any]]
    shown: dict[str, _Shown]
    going: list[dict[str, Any]]
    next: str | None


Front = tuple[Iterable[Run], Iterable[Run]]
Row = Callable[[Run], dict[str, Any] | None]
_ScanFunction = Callable[[Mapping[str, _Shown]], _Change]


class _Scan:
    """One scan in a thread. The hub can watch it and is notified when it is done."""

    def __init__(self, scan: Callable[[], _Change]) -> None:
        self._scan = scan
        self._wake: Callable[[], None] = lambda: None
        self.change: _Change | None = None
        self.error: Exception | None = None

    def subscribe(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Call `wake` when it is done."""
        self._wake = wake
        return lambda: None

    def watch_paths(self) -> list[str]:
        """Return nothing: no folder is watched for it."""
        return []

    def growing(self) -> None:
        """Return None: no file is watched for it."""

    def run(self) -> None:
        """Scan, keep the result, and wake the subscriber."""
        try:
            self.change = self._scan()
        except Exception as error:
            self.error = error
        self._wake()


class _RunListStream(ResponseStream):
    def __init__(self, path: str, root: str, scan: _ScanFunction, first: _Change) -> None:
        self._path, self._scan = path, scan
        self.form = ("list", path, root)
        self.offset = 0
        self._first = first
        self._sent: dict[str, _Shown] = {}
        self._link: dict[str, Any] | None = None  # as it was sent

    @property
    def position(self) -> tuple[int, dict[str, _Shown]]:
        return self.offset, self._sent

    def copy(self) -> _RunListStream:
        return copy(self)

    def steps(self, *, begin: bool = True) -> Steps[bytes]:
        watch = hub().watch(StoreFiles(self._path))
        sent_at = scanned_at = time.monotonic()
        try:
            if begin:
                yield b"retry: 1000\n\n"
                self.offset, self._sent = 1, self._first.shown
                values: dict[str, Any] = {"runs": self._first.rows, "next": self._first.next}
                yield event(compact(values | self._link_news()), name="runs")
            while not self.stopping and not self.finished:
                if (pause := scanned_at + _PAUSE_SECONDS - time.monotonic()) > 0:
                    yield Wait([], pause)
                    continue
                seen = [(watch, watch.version)]
                change = yield from self._changed()
                if change is None:
                    break
                scanned_at = time.monotonic()
                gone = sorted(self._sent.keys() - change.shown.keys())
                self._sent = change.shown
                link = self._link_news()
                if change.rows or gone or change.going or link:
                    sent_at = scanned_at
                    values = {"runs": change.rows, "gone": gone, "going": change.going, "next": change.next}
                    yield event(compact(values | link), name="changes")
                elif scanned_at - sent_at >= KEEPALIVE_SECONDS:
                    sent_at = scanned_at
                    yield b": still here\n\n"
                yield Wait(seen, _SCAN_SECONDS)
            if not self.finished:
                self.finished = True
                yield event(b"{}", name="restart", retry=RESTART_MS)
        finally:
            watch.close()

    def _link_news(self) -> dict[str, Any]:
        """Return how the link of the store is, where that changed."""
        link, before = link_json(self._path), self._link
        self._link = link
        return {} if link == before else {"link": link}

    def _changed(self) -> Generator[Wait, None, _Change | None]:
        """Return the result of a scan, which an event loop awaits; None where the server ends first."""
        if not in_event_loop():
            return self._scan(self._sent)
        sent = self._sent
        scan = _Scan(lambda: self._scan(sent))
        watch = hub().watch(scan)
        try:
            seen = [(watch, watch.version)]
            try:
                begin(Background(target=scan.run, name="runcast lists"))
            except SupervisorLost:
                scan.run()
            while scan.change is None and scan.error is None and not self.stopping:
                yield Wait(seen, _SCAN_SECONDS)
            if scan.error is not None:
                raise scan.error
            return scan.change
        finally:
            watch.close()


def _scan(front: Callable[[], Front], row: Row, sent: Mapping[str, _Shown]) -> _Change:
    """Return what changed since the list was sent; a run that was over by then is not read."""
    rows: list[dict[str, Any]] = []
    going: list[dict[str, Any]] = []
    shown: dict[str, _Shown] = {}
    following: str | None = None

    def look_at(run: Run) -> None:
        before = sent.get(run.id)
        if before is not None and before.final:
            shown[run.id] = before
        elif (value := row(run)) is not None:
            now = _shown(value)
            shown[run.id] = now
            if not now.same_row(before):
                rows.append(value)
            elif before is not None and now.output is not None and now.output != before.output:
                going.append({"id": run.id, **now.output})

    newest, older = front()
    for run in newest:
        if len(shown) == LIST_RUNS:
            following = min(shown)
            break
        look_at(run)
    for run in older:
        if run.id not in shown:
            look_at(run)
    return _Change(rows, shown, going, following)


def _shown(value: Mapping[str, Any]) -> _Shown:
    output = {name: value[name] for name in _OUTPUT if name in value} if value["outcome"] is None else None
    state, closed, pid, waiting = (value[name] for name in ("state", "closed", "pid", "waiting"))
    return _Shown(state, closed, pid, waiting, value.get("host"), output)


def list_stream(path: str, root: str, front: Callable[[], Front], row: Row) -> Reply:
    """Return the list as endless server-sent events. It reads files at once: call it in a thread.

    Args:
        path: the store's folder, in which new runs appear.
        root: the path at which runcast is mounted, for the links in the rows.
        front: returns runs and streams, newest first, more than `LIST_RUNS` of them if there are more; and
            older ones that go on.
        row: returns a run as JSON values; None if it was removed meanwhile.
    """

    def scan(sent: Mapping[str, _Shown]) -> _Change:
        return _scan(front, row, sent)

    headers = [
        ("Content-Type", "text/event-stream"),
        ("Cache-Control", "no-store, no-transform"),
        ("X-Accel-Buffering", "no"),
        ("X-Content-Type-Options", "nosniff"),
    ]
    return Reply(200, headers, stream=_RunListStream(path, root, scan, scan({})))
