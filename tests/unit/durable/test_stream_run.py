"""Streams as runs: what lists, pages and the command line are shown of them."""

from pathlib import Path

import pytest

from runcast import Store
from runcast.durable import FileStreams, MemoryStreams
from runcast.durable.stream_run import StreamRuns, newest_first, stream_runs, streams_in
from runcast.errors import RunActive, RunFinished, StreamNotFound
from runcast.ids import new_run_id
from runcast.model import State
from runcast.wire.durable import Appending, Creation
from tests.unit.runs import make_run

TEXT = Creation("text/plain")
CLOSE = Appending(close=True)


@pytest.fixture(name="streams")
def streams_fixture(tmp_path: Path) -> FileStreams:
    """Give the streams of an empty folder."""
    return FileStreams(str(tmp_path))


@pytest.fixture(name="runs")
def runs_fixture(streams: FileStreams) -> StreamRuns:
    """Give the same as runs."""
    return StreamRuns(streams)


def test_life(streams: FileStreams, runs: StreamRuns):
    """A stream is running until it is closed, from when it was made; it has a name and no command."""
    stream, _ = streams.create("a/b", TEXT, b"one\n")
    run = runs.get(stream.id)
    assert run is not None
    told = run.to_json()

    assert (told["name"], told["source"], told["command"], told["pid"]) == ("a/b", "stream", [], None)
    assert (told["state"], told["closed"], told["outcome"]) == ("running", False, None)
    assert told["started_at"] == told["created_at"]
    assert (int(told["tail_offset"]), told["lines"]) == (4, 1)
    stream.append(CLOSE, b"")
    assert (run.state, run.closed) == (State.EXITED, True)


def test_nothing_to_stop(streams: FileStreams, runs: StreamRuns):
    """To stop or kill a stream is refused, with what to do instead."""
    run = runs.get(streams.create("s", TEXT)[0].id)
    assert run is not None
    for act in (run.stop, run.kill):
        with pytest.raises(RunFinished, match="others append to: stop them instead"):
            act()


def test_find(streams: FileStreams, runs: StreamRuns):
    """A stream is found by its id and its name; what is no name, gone or over is not there."""
    stream, _ = streams.create("a/b", TEXT)
    streams.create("gone", TEXT)
    streams.delete("gone")
    old, _ = streams.create("old", Creation("text/plain", expires_at="2001-01-01T00:00:00Z"))

    for found in (runs.get(stream.id), runs.named("a/b")):
        assert found is not None
        assert found.id == stream.id
    assert [runs.named(name) for name in ("gone", "old", "none", "../x", "")] == [None] * 5
    assert [runs.get(one) for one in (old.id, new_run_id(), "../" + stream.id, "")] == [None] * 4


def test_matching(streams: FileStreams, runs: StreamRuns):
    """A part of an id names those streams that are there."""
    stream, _ = streams.create("s", TEXT)
    streams.create("old", Creation("text/plain", expires_at="2001-01-01T00:00:00Z"))

    assert runs.matching(stream.id[:4]) == [stream.id]
    assert runs.matching(stream.id[-8:]) == [stream.id]
    assert runs.matching("zzzz") == []


def test_remove(streams: FileStreams, runs: StreamRuns):
    """A closed stream is removed, an open one only by force, and one that is gone is told."""
    for name in ("open", "closed"):
        streams.create(name, TEXT, b"x")
    streams.get("closed").append(CLOSE, b"")
    closed, still_open = runs.named("closed"), runs.named("open")
    assert closed is not None
    assert still_open is not None
    with pytest.raises(RunActive, match="'open' is open"):
        runs.remove(still_open)
    runs.remove(closed)
    assert [run.name for run in runs.list()] == ["open"]
    runs.remove(still_open, force=True)

    assert list(runs.list()) == []
    with pytest.raises(StreamNotFound):
        runs.remove(still_open, force=True)


def test_where_there_are_none(tmp_path: Path):
    """A store that never had a stream has none to look at, nor have streams in memory files."""
    assert streams_in(str(tmp_path)) is None
    assert stream_runs(MemoryStreams()) is None
    FileStreams(str(tmp_path)).create("s", TEXT)

    found = streams_in(str(tmp_path))
    assert found is not None
    assert [run.name for run in found.list()] == ["s"]


def test_newest_first(own_store: Path, streams: FileStreams, runs: StreamRuns):
    """Runs and streams are one list, in order of time."""
    made: list[str] = []
    for number in range(3):
        made.append(make_run(own_store))
        made.append(streams.create(f"s{number}", TEXT)[0].id)

    assert [run.id for run in newest_first(Store(str(own_store)).list(), runs.list())] == made[::-1]


def test_only_what_is_asked_for_is_read(streams: FileStreams, runs: StreamRuns):
    """A list is read no further than somebody takes from it; what is rubbish there is listed as such."""
    made = [streams.create(f"s{number}", TEXT)[0].id for number in range(5)]
    listed = newest_first([], runs.list())
    assert next(listed).id == made[4]
    (Path(streams.path) / made[0] / "run.json").unlink()

    rest = list(listed)
    assert [run.id for run in rest] == made[3::-1]
    assert rest[-1].damaged == "run.json: it is missing"
