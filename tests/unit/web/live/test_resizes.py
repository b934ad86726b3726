"""The sizes of a run's terminal in each form: every change, in its place in the output, and nowhere else."""

import json
from pathlib import Path
from typing import Any

import pytest

from runcast import Run, Store, TerminalSize
from runcast.run.base import files_of
from runcast.web.api.log_reply import log_reply
from runcast.web.http.messages import Request
from runcast.web.live.pull import pull
from tests.unit.runs import ERR, OUT, make_run
from tests.unit.wire.eventsource import EventSource

BEGAN = 1_700_000_000.0
APPENDS = ((OUT, b"one\n"), (OUT, b"two\n"), (ERR, b"three\n"), (OUT, b"four\n"))
# Before all output; inside of the second append; between two; behind all.
SIZES = [(0, 81, 24), (6, 90, 30), (8, 100, 31), (19, 132, 43)]


@pytest.fixture
def run(own_store: Path) -> Run:
    """A run that had a terminal, and several sizes."""
    options = {"tty": True, "columns": 80, "rows": 24}
    run = Store(str(own_store)).get(make_run(own_store, appends=APPENDS, options=options))
    for offset, columns, rows in SIZES:
        files_of(run).add_size(TerminalSize(offset, columns, rows, BEGAN + 10 + offset))
    return run


def reply(run: Run, query: str) -> bytes:
    """Return the whole reply to a request for the log."""
    stream = log_reply(run, Request("GET", "", query=query, headers={})).stream
    assert stream is not None
    return b"".join(pull(stream))


def lines(run: Run, query: str) -> list[Any]:
    return [json.loads(line) for line in reply(run, query).splitlines()]


def test_run(run: Run):
    """A run has its first size and all changes, with their places; the last one is that of now."""
    first = TerminalSize(0, 80, 24)
    assert run.sizes[0] == first
    assert [size[:3] for size in run.sizes[1:]] == SIZES
    assert run.size == run.sizes[-1]
    assert {name: run.to_json()[name] for name in ("tty", "columns", "rows")} == {
        "tty": True,
        "columns": 132,
        "rows": 43,
    }


def test_ndjson(run: Run):
    """NDJSON has a line for each change, before the output that was written for it."""
    head, *rest = lines(run, "format=ndjson")
    exit = rest.pop()

    assert (head["columns"], head["rows"]) == (81, 24)
    assert exit["event"] == "exit"
    assert [one.get("text") or one["resize"] for one in rest] == [
        *("one\n", "tw", [90, 30], "o\n", [100, 31], "three\n", "four\n", [132, 43]),
    ]
    places = [one["offset"] for one in rest if "resize" in one]
    assert places == [f"{offset:020}" for offset, _, _ in SIZES[1:]]


@pytest.mark.parametrize(("offset", "size"), [(0, (81, 24)), (5, (81, 24)), (6, (90, 30)), (18, (100, 31))])
def test_beginning(run: Run, offset: int, size: tuple[int, int]):
    """A reply that begins anywhere has the size of that place first, and the later changes only."""
    head, *rest = lines(run, f"format=ndjson&offset={offset}")

    assert (head["columns"], head["rows"]) == size
    later = [list(one[1:]) for one in SIZES if one[0] > offset]
    assert [one["resize"] for one in rest if "resize" in one] == later


def test_chunk_events(run: Run):
    """Events of JSON chunks have events of their own for it, without an id."""
    events = EventSource().read(reply(run, "format=sse-json"))
    found = [one for one in events if one.type == "resize"]

    assert [json.loads(one.data) for one in found] == [[90, 30], [100, 31], [132, 43]]


@pytest.mark.parametrize(("query", "count"), [("", 0), ("&named=1", 3)])
def test_line_events(run: Run, query: str, count: int):
    """Events of lines have them where names are shown: else a plain EventSource has nothing but output."""
    events = EventSource().read(reply(run, f"format=sse{query}"))

    assert len([one for one in events if one.type == "resize"]) == count
    assert [one.data for one in events if one.type in ("message", "stderr")] == [
        "one",
        "two",
        "three",
        "four",
    ]


@pytest.mark.parametrize("form", ["asciicast", "asciicast-v3"])
def test_recordings(run: Run, form: str):
    """A recording has the size at its beginning in its header, and changes as events of their kind."""
    head, *events = lines(run, f"format={form}")
    size = (head["width"], head["height"]) if form == "asciicast" else tuple(head["term"].values())

    assert size == (81, 24)
    assert [(kind, data) for _, kind, data in events if kind != "m" and data][:8] == [
        *(("o", "one\n"), ("o", "tw"), ("r", "90x30"), ("o", "o\n"), ("r", "100x31")),
        *(("o", "three\n"), ("o", "four\n"), ("r", "132x43")),
    ]
    assert all(time >= 0 for time, _, _ in events)


def test_text(run: Run):
    """Plain text has the bytes and nothing else."""
    assert reply(run, "format=text") == b"one\ntwo\nthree\nfour\n"


@pytest.mark.parametrize(
    ("offset", "size", "count"), [(0, (81, 24), 3), (6, (90, 30), 2), (7, (90, 30), 2), (19, (132, 43), 0)]
)
def test_polls(run: Run, offset: int, size: tuple[int, int], count: int):
    """A poll has the size at its offset, and the changes up to its end."""
    (value,) = lines(run, f"format=json&offset={offset}")

    assert (value["columns"], value["rows"]) == size
    assert [one["resize"] for one in value["resizes"]] == [list(one[1:]) for one in SIZES][4 - count :]


def test_filtered(run: Run):
    """With a filter for channels all changes come, too, in their order."""
    found = lines(run, "format=ndjson&channel=stderr")

    assert [one["resize"] for one in found if "resize" in one] == [[90, 30], [100, 31], [132, 43]]
    assert [one["text"] for one in found if "text" in one] == ["three\n"]


def test_pipes(own_store: Path):
    """A run with pipes has no size in any form."""
    run = Store(str(own_store)).get(make_run(own_store))
    files_of(run).add_size(TerminalSize(1, 90, 30, BEGAN))

    assert (run.tty, run.size, run.sizes) == (False, None, [])
    for form in ("ndjson", "sse&named=1", "sse-json", "json", "asciicast", "asciicast-v3"):
        found = reply(run, f"format={form}")
        assert b"resize" not in found, form
        assert b'"columns"' not in found, form
        assert b'"r"' not in found, form
