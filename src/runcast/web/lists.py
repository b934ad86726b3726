"""The live list of runs: one connection a page, however many runs it shows.

Owns when the list is told anew: when a run or a stream came, changed its state or went. Sizes and durations
that merely grow are the page's to count.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from runcast.readers import Steps, Wait, hub
from runcast.web.http import Reply, Request
from runcast.web.streams import KEEPALIVE_SECONDS, Viewing
from runcast.wire.jsons import compact
from runcast.wire.sse import RESTART_MS, event

if TYPE_CHECKING:
    from runcast.web.responder import Responder

__all__ = ["list_stream"]

_RUNS = 50
_LOOK_SECONDS = 1.0  # how often the states of the runs that go on are looked at


class _StoreNews:
    """A store as something that can be watched."""

    def __init__(self, path: str) -> None:
        self._path = path

    def subscribe(self, wake: Callable[[], None]) -> None:
        """Return None: runs are started by any process."""

    def watch_paths(self) -> list[str]:
        """Return the folder into which a new run is renamed, and that of new streams."""
        streams = f"{self._path}/.streams"
        return [self._path, streams] if os.path.isdir(streams) else [self._path]


class _ListViewing(Viewing):
    def __init__(self, responder: Responder, request: Request) -> None:
        self._responder, self._request = responder, request
        self.form = ("list", responder.store.path, request.root)
        self.offset = 0
        self._told: dict[str, Any] = {}

    @property
    def place(self) -> int:
        return self.offset

    def copy(self) -> _ListViewing:
        other = _ListViewing(self._responder, self._request)
        other.offset, other._told = self.offset, self._told
        return other

    def steps(self, *, begin: bool = True) -> Steps[bytes]:
        if begin:
            yield b"retry: 1000\n\n"
        watch = hub().watch(_StoreNews(self._responder.store.path))
        said = time.monotonic()
        try:
            while not self.stopping and not self.finished:
                seen = [(watch, watch.version)]
                listed = self._responder.list_json(self._request, _RUNS)
                shown = {run["id"]: (run["state"], run["closed"], run["pid"]) for run in listed["runs"]}
                if shown != self._told or not self.offset:
                    self._told, self.offset = shown, 1  # whoever was told the list is where all are
                    said = time.monotonic()
                    yield event(compact(listed), name="runs")
                elif time.monotonic() - said >= KEEPALIVE_SECONDS:
                    said = time.monotonic()
                    yield b": still here\n\n"
                yield Wait(seen, _LOOK_SECONDS)
            if not self.finished:
                self.finished = True
                yield event(b"{}", name="restart", retry=RESTART_MS)
        finally:
            watch.close()


def list_stream(responder: Responder, request: Request) -> Reply:
    """Return the list as server-sent events that go on."""
    headers = [
        ("Content-Type", "text/event-stream"),
        ("Cache-Control", "no-store, no-transform"),
        ("X-Accel-Buffering", "no"),
        ("X-Content-Type-Options", "nosniff"),
    ]
    return Reply(200, headers, stream=_ListViewing(responder, request))
