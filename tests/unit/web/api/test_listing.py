"""The list: its pages, its filters, the time that a request has, and the runs that go on."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from runcast import Run, Store
from runcast.model import Channel, Outcome, Reason
from runcast.web.api import listing
from runcast.web.api.listing import last_line_of
from runcast.web.http.messages import Request
from runcast.web.live.run_list import LIST_RUNS, _scan
from runcast.web.responder import Responder
from tests.unit.runs import make_run
from tests.unit.web.api.test_filters import live_run

OUT, ERR = Channel.STDOUT, Channel.STDERR
FAILED = Outcome(Reason.EXITED, 1, ended_at=1_700_000_010.0)


@pytest.fixture(name="responder")
def responder_fixture(tmp_path: Path) -> Responder:
    """Give what answers for a store that tests fill."""
    return Responder(Store(str(tmp_path / "store")))


def ask(responder: Responder, query: str = "", status: int = 200) -> dict[str, Any]:
    """Return the JSON of a reply to a request for the list."""
    reply = responder.respond(Request("GET", "/runs", "", query, {"accept": "application/json"}))
    assert reply.status == status
    value: dict[str, Any] = json.loads(reply.body)
    return value


def ids_of(value: dict[str, Any]) -> list[str]:
    return [run["id"] for run in value["runs"]]


def made(responder: Responder, count: int, **options: Any) -> list[str]:
    """Make so many runs; return their ids, newest first."""
    return [make_run(Path(responder.store.path), **options) for _ in range(count)][::-1]


@pytest.mark.parametrize("query", ["", "name=ls", "state=exited"])
def test_pages(responder: Responder, query: str):
    """`next` of a page is where the page behind it begins, and the last page has none; `after` leads back."""
    ids = made(responder, 7)
    pages = []
    place = ""
    while True:
        page = ask(responder, f"limit=3&{query}{place}")
        pages.append(ids_of(page))
        assert page["stopped"] == (None if page["next"] is None else "max")
        if page["next"] is None:
            break
        place = f"&before={page['next']}"

    assert pages == [ids[:3], ids[3:6], ids[6:]]
    back = ask(responder, f"limit=3&{query}&after={ids[6]}")
    assert (ids_of(back), back["next"]) == (ids[3:6], ids[3])
    front = ask(responder, f"limit=3&{query}&after={back['next']}")
    assert (ids_of(front), front["next"]) == (ids[:3], None)
    assert ids_of(ask(responder, f"{query}&after={ids[0]}")) == []


def test_time_is_up(responder: Responder, monkeypatch: pytest.MonkeyPatch):
    """A search for a rare name ends when its time is up, says where, and goes on from there to the end."""
    rare = made(responder, 1, name="rare")
    made(responder, 5)
    monkeypatch.setattr(listing, "_SECONDS", -1.0)
    monkeypatch.setattr(listing, "_LEAST", 1)
    pages = [ask(responder, "name=rare")]
    while pages[-1]["next"] is not None:
        assert (pages[-1]["runs"], pages[-1]["stopped"]) == ([], "time")
        pages.append(ask(responder, f"name=rare&before={pages[-1]['next']}"))

    assert len(pages) == 6
    assert ids_of(pages[-1]) == rare


def test_busy_machine(responder: Responder, monkeypatch: pytest.MonkeyPatch):
    """Among the newest runs all are found that are wanted, though the time for it was over at once."""
    monkeypatch.setattr(listing, "_SECONDS", -1.0)
    ids = made(responder, 130)

    first = ask(responder, "name=ls&ok=1")
    assert (ids_of(first), first["stopped"]) == (ids[:50], "max")
    last = ask(responder, f"name=ls&ok=1&before={ids[99]}")
    assert (ids_of(last), last["stopped"]) == (ids[100:], None)


def test_filters(responder: Responder):
    """Runs are found by how they ended, and by a part of a name, in which a star is any text."""
    bad = made(responder, 2, name="build docs", outcome=FAILED)
    good = made(responder, 1, name="Build")
    other = made(responder, 1, name="a[b]?")
    going = [live_run(Path(responder.store.path), "build")]

    for _ in range(2):  # read, and remembered
        assert ids_of(ask(responder, "ok=0")) == bad
        assert ids_of(ask(responder, "ok=1")) == other + good
        assert ids_of(ask(responder, "name=build")) == going
        assert ids_of(ask(responder, "name=build*")) == going + good + bad
        assert ids_of(ask(responder, "name=*DOCS&ok=0")) == bad
        assert ids_of(ask(responder, "name=*[b]?")) == other
        assert ids_of(ask(responder, "name=*[b]?*x")) == []


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("state=gone", "expected state to be one of queued, starting, running"),
        ("ok=perhaps", "expected ok to be 1 or 0"),
        ("limit=0", "expected limit as a number from 1 to 1000"),
        ("before=0&after=0", "expected before or after"),
    ],
)
def test_bad_parameters(responder: Responder, query: str, words: str):
    """What is wrong with a parameter is said."""
    assert words in ask(responder, query, 400)["detail"]


def test_older_ones_that_go_on(responder: Responder):
    """A run that goes on is in the first page and in live lists, however many are newer."""
    store = Path(responder.store.path)
    going = live_run(store, "server")
    ids = made(responder, LIST_RUNS + 1)

    first = ask(responder)
    assert (ids_of(first), [run["id"] for run in first["going"]]) == (ids[:LIST_RUNS], [going])
    assert "going" not in ask(responder, f"before={ids[0]}")
    assert "going" not in ask(responder, "name=ls")
    assert ask(responder, "limit=1000")["going"] == []

    request = Request("GET", "/runs", "", "", {})
    shown = _scan(
        lambda: responder.listing.front(LIST_RUNS), lambda run: responder.listing.row(run, request), {}
    )
    assert [row["id"] for row in shown.rows] == [*ids[:LIST_RUNS], going]
    assert shown.next == ids[LIST_RUNS - 1]


def test_how_far_they_are(responder: Responder):
    """Of a run that goes on, a live list sends what changed of its output, and not its row."""
    going = live_run(Path(responder.store.path), "server")
    values = {"last_line": "one", "lines": 1, "tail_offset": "0", "progress": None, "place": None}

    def row(run: Run) -> dict[str, Any]:
        return run.to_json() | values

    def scan(sent: Any) -> Any:
        return _scan(lambda: responder.listing.front(LIST_RUNS), row, sent)

    first = scan({})
    assert [one["id"] for one in first.rows] == [going]
    again = scan(first.shown)
    assert (again.rows, again.going) == ([], [])
    values["last_line"] = "two"
    later = scan(again.shown)
    assert (later.rows, later.going) == ([], [{"id": going, **values}])


def test_last_line(responder: Responder):
    """The last line with text is that of the channel used last; only runs that go on have it."""
    store = Path(responder.store.path)
    appends = [(OUT, b"\x1b[31mred\x1b[0m \xe2\x80\xaetext\x07\r\n"), (ERR, b"\n \n")]
    run = Run(str(store / make_run(store, appends=appends)))
    (row,) = ask(responder)["runs"]

    assert last_line_of(run) == "red text"
    assert "last_line" not in row
    os.unlink(store / run.id / "outcome.json")
    fields = json.loads((store / run.id / "run.json").read_text())
    elsewhere = {"host": "other", "machine": "0" * 32, "boot": "0" * 32}
    (store / run.id / "run.json").write_text(json.dumps(fields | {"origin": elsewhere}))
    (row,) = ask(responder)["runs"]
    assert row["last_line"] == "red text"
