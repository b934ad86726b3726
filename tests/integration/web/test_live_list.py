"""The live list: whole at first, then what changed, at most five times a second."""

import contextlib
import json
import time
from collections.abc import Iterator
from http.client import HTTPResponse
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from runcast import Store
from tests.helpers.servers import ASGI, LONG, WSGI, Server

pytestmark = pytest.mark.slow
SERVES = {"uvicorn": ASGI, "gunicorn": WSGI}
STARTS = 111
SHOWN = 50


class Event(NamedTuple):
    """One event of the list: its name and what it has."""

    name: str
    data: dict[str, Any]


def events(reply: HTTPResponse) -> Iterator[Event]:
    """Yield the events of a live list."""
    name = ""
    while line := reply.readline():
        if line.startswith(b"event: "):
            name = line[7:].decode().strip()
        elif line.startswith(b"data: "):
            yield Event(name, json.loads(line[6:]))


def facts(run: dict[str, Any]) -> tuple[object, ...]:
    """Return what makes a row another one."""
    return run["state"], run["closed"], run["pid"]


class Shown:
    """The list as a page has it: what it was sent, merged."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Any]] = {}
        self.events = self.sent = 0

    def take(self, event: Event) -> None:
        """Take an event; it must say nothing that was known."""
        self.events += 1
        self.sent += len(event.data["runs"])
        assert event.name == ("changes" if self.events > 1 else "runs")
        for run in event.data["runs"]:
            known = self.rows.get(run["id"])
            assert known is None or facts(known) != facts(run)
            self.rows[run["id"]] = run
        for run_id in event.data.get("gone", []):
            del self.rows[run_id]

    @property
    def states(self) -> list[tuple[str, object]]:
        """What is shown, newest first."""
        return [(run_id, facts(self.rows[run_id])) for run_id in sorted(self.rows, reverse=True)]


def listed(server: Server) -> list[tuple[str, object]]:
    """Return what the list has now."""
    runs = json.loads(server.ask("GET", "/runs", Accept="application/json")[2])["runs"]
    return [(run["id"], facts(run)) for run in runs]


@pytest.mark.parametrize("name", SERVES)
def test_many_starts(store: Store, tmp_path: Path, name: str) -> None:
    """While 111 runs start and end, a page gets each row when it has changed, and has the list at last."""
    old = store.start(["true"], name="old")
    old.wait(timeout=LONG)
    with Server(tmp_path, name, SERVES[name], store=store) as server:
        began = time.monotonic()
        with server.stream("/runs", Accept="text/event-stream") as reply:
            coming, shown = events(reply), Shown()
            shown.take(next(coming))
            assert [run["name"] for run in shown.rows.values()] == ["old"]

            for _ in range(STARTS):
                last = store.start(["true"])
            last.wait(timeout=LONG)
            for run in store.list(SHOWN):
                run.wait(timeout=LONG)
            while not (shown.states == listed(server) and all(run["closed"] for run in shown.rows.values())):
                shown.take(next(coming))
            took = time.monotonic() - began

    assert len(shown.rows) == SHOWN
    assert shown.sent <= 1 + 4 * STARTS  # a run starts, runs, has exited, and is closed
    assert shown.events <= took / 0.2 + 2


def test_joins(store: Store, tmp_path: Path) -> None:
    """Viewers who come one after the other, amid changes, all get to the same list."""
    with Server(tmp_path, "uvicorn", ASGI, store=store) as server:
        with contextlib.ExitStack() as stack:
            replies = []
            for _ in range(4):
                reply = stack.enter_context(server.stream("/runs", Accept="text/event-stream"))
                replies.append((events(reply), Shown()))
                store.start(["true"])
            going = store.start(["sleep", "600"])
            for run in store.list():
                if run.id != going.id:
                    run.wait(timeout=LONG)
            for coming, shown in replies:
                while shown.states != listed(server):
                    shown.take(next(coming))
            going.kill()
            going.wait(timeout=LONG)
            for coming, shown in replies:
                while shown.states != listed(server):
                    shown.take(next(coming))
