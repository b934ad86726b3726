"""The reply to a poll: the number of the line that it begins in, and how long it waits for what is away."""

import json
from pathlib import Path
from typing import Any

import pytest

from runcast import Run, Store
from runcast.errors import SegmentAway
from runcast.log.eviction import evict
from runcast.run.base import files_of
from runcast.web.api.log_reply import log_reply
from runcast.web.http.messages import Request
from runcast.web.live.pull import pull
from tests.unit.runs import ERR, OUT, make_run

APPENDS = ((OUT, b"one\ntw"), (ERR, b"err\n"), (OUT, b"o\nthree\n"))


@pytest.fixture(name="run")
def run_fixture(own_store: Path) -> Run:
    """A run in whose second line another channel writes."""
    return Store(str(own_store)).get(make_run(own_store, appends=APPENDS))


def poll(run: Run, query: str) -> dict[str, Any]:
    stream = log_reply(run, Request("GET", "", query=f"format=json&wait=0&{query}", headers={})).stream
    assert stream is not None
    value: dict[str, Any] = json.loads(b"".join(pull(stream)))
    return value


@pytest.mark.parametrize(
    ("query", "line", "offset"),
    [
        ("", 1, 0),
        ("offset=3", 1, 3),
        ("offset=4", 2, 4),
        ("offset=7", 2, 7),
        ("line=3", 3, 10),
        ("tail=1", 4, 12),
        ("offset=now", 5, 18),
        ("line=99", 5, 18),
    ],
)
def test_line(run: Run, query: str, line: int, offset: int):
    """It is counted from 1, in line feeds of all channels, as for `?line=`."""
    reply = poll(run, query)

    assert (reply["line"], int(reply["offset"])) == (line, offset)


def test_lines_of_a_channel(run: Run):
    """Where channels are left out, each chunk has the number of the line that it begins in."""
    chunks = poll(run, "channel=stdout")["chunks"]

    assert [(chunk["line"], chunk["text"]) for chunk in chunks] == [(1, "one\ntw"), (3, "o\nthree\n")]
    assert [chunk["line"] for chunk in poll(run, "channel=stderr")["chunks"]] == [2]
    assert all("line" not in chunk for chunk in poll(run, "")["chunks"])


@pytest.fixture(name="away")
def away_fixture(run: Run) -> Run:
    """The same, of which no output is on this disk."""
    assert evict(files_of(run), 0)
    return run


@pytest.mark.parametrize(
    ("query", "seconds"),
    [
        *(("format=json&wait=0", 2), ("format=json&wait=0&tail=1", 2), ("format=json&wait=10", 10)),
        *(("format=json", 20), ("format=json&follow=0", 2), ("format=json&wait=3000", 55)),
        ("format=text&wait=0", None),
    ],
)
def test_how_long_for_what_is_away(away: Run, query: str, seconds: int | None):
    """It is waited for as long as for output, and 2 s at least, from when the request came."""
    with pytest.raises(SegmentAway) as caught:
        log_reply(away, Request("GET", "", query=query, headers={}, arrived=100.0))

    assert caught.value.until == (None if seconds is None else 100.0 + seconds)
