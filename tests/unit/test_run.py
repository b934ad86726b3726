"""A run that is over: what it says of itself, and its output in every form."""

from pathlib import Path

import pytest

from runcast.errors import OffsetBeyondTail, RunFailed, RunFinished, StartFailed, UsageError
from runcast.model import Channel, Outcome, Reason, State
from runcast.run import Run
from runcast.run.local import follow_runs
from tests.unit.runs import APPENDS, EXITED, make_run

OUT, ERR = Channel.STDOUT, Channel.STDERR


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run that printed three lines and exited with 0."""
    store = tmp_path / "store"
    return Run(f"{store}/{make_run(store)}")


def failed(tmp_path: Path, outcome: Outcome, *, check: bool = False) -> Run:
    store = tmp_path / "store"
    return Run(f"{store}/{make_run(store, outcome=outcome)}", check=check)


def test_what_it_says(run: Run):
    """A run says what was asked, how it stands, and how it ended."""
    assert (run.name, run.command, run.created_at) == ("ls", ["ls", "-l"], 1_700_000_000.0)
    assert (run.state, run.closed, run.outcome, run.tail_offset) == (State.EXITED, True, EXITED, 14)
    assert (run.pid, run.started_at) == (4711, 1_700_000_000.25)
    assert repr(run) == f"<Run {run.id} exit code 0>"


def test_as_json(run: Run):
    """As JSON it has the same, times in RFC 3339 and offsets as text."""
    assert run.to_json() == {
        "id": run.id,
        "name": "ls",
        "source": "command",
        "command": ["ls", "-l"],
        "state": "exited",
        "pid": 4711,
        "outcome": EXITED.to_json()
        | {"ended_at": "2023-11-14T22:13:30.000000Z", "started_at": "2023-11-14T22:13:20.250000Z"},
        "progress": None,
        "notes": [],
        "artifacts": None,
        "left_out": [],
        "waiting": None,
        "params": {},
        "queue": None,
        "place": None,
        "hooks": [],
        "created_at": "2023-11-14T22:13:20.000000Z",
        "started_by": None,
        "started_at": "2023-11-14T22:13:20.250000Z",
        "ended_at": "2023-11-14T22:13:30.000000Z",
        "tail_offset": "00000000000000000014",
        "lines": 2,
        "closed": True,
        "pinned": False,
        "tty": False,
    }


def test_output(run: Run):
    """The output comes whole, or one channel of it, as text or as bytes."""
    assert run.output() == "one\ntwo\r\nthree"
    assert run.output(encoding=None) == b"one\ntwo\r\nthree"
    assert run.output(channel="stderr") == "two\r\n"
    assert run.output(channel=[OUT]) == "one\nthree"


def test_chunks_and_lines(run: Run):
    """Chunks have their channels; lines have lost their ends; both begin where they are told."""
    assert [(chunk.channel, chunk.data) for chunk in run.follow()] == list(APPENDS)
    assert list(run.lines()) == ["one", "two", "three"]
    assert list(run.lines(channel="stdout")) == ["one", "three"]
    assert list(run.lines(tail=1)) == ["three"]
    assert list(run.lines(line=2)) == ["two", "three"]
    assert list(run.lines(since=1_700_000_001.0)) == ["two", "three"]
    assert [chunk.data for chunk in run.follow(offset=12)] == [b"ee"]
    assert list(run.follow(offset=14)) == []


def test_wrong_places_are_told_at_once(run: Run):
    """A place that cannot be is refused by the call, not by the first step."""
    with pytest.raises(OffsetBeyondTail):
        run.follow(offset=15)
    with pytest.raises(UsageError, match="expected channels among stdout, stderr and data, got 'both'"):
        run.lines(channel="both")
    with pytest.raises(UsageError, match="expected one place to begin, got line and tail"):
        run.lines(tail=1, line=1)
    with pytest.raises(TypeError, match="got an unexpected keyword argument 'channels'"):
        run.lines(channels="stderr")


def test_wait(run: Run):
    """Waiting for what is over returns its outcome at once."""
    assert run.wait() == EXITED
    assert run.wait(timeout=0) == EXITED


def test_checked(tmp_path: Path):
    """With `check`, an outcome that is not ok is raised, and a start that failed by its own kind."""
    run = failed(tmp_path, Outcome(Reason.EXITED, 3), check=True)
    with pytest.raises(RunFailed, match=f"run {run.id} was not ok: exit code 3") as raised:
        run.wait()
    expected = Outcome(Reason.EXITED, 3, started_at=1_700_000_000.25)
    assert raised.value.outcome == expected
    assert run.wait(check=False) == expected
    with pytest.raises(RunFailed):
        run.output()

    run = failed(tmp_path, Outcome(Reason.FAILED_TO_START, 127, message="why"))
    assert run.wait().code == 127
    with pytest.raises(StartFailed, match="failed to start"):
        run.wait(check=True)


def test_too_late(run: Run):
    """What has ended can be neither stopped, killed, signalled nor sent anything."""
    for call in (run.stop, run.kill, lambda: run.signal(15), lambda: run.send(b"x")):
        with pytest.raises(RunFinished, match=f"run {run.id} has ended"):
            call()


def test_lost(tmp_path: Path):
    """A run whose outcome says lost is in the state lost."""
    run = failed(tmp_path, Outcome(Reason.LOST, message="why"))

    assert (run.state, str(run.outcome), run.outcome.exit_status) == (State.LOST, "lost (why)", 1)


def test_lines_of_several_runs(tmp_path: Path):
    """Several runs are followed as one, each line with its run, until all are over."""
    store = tmp_path / "store"
    runs = [Run(f"{store}/{make_run(store, appends=((OUT, text),))}") for text in (b"a\nb\n", b"c\nd")]

    got = list(follow_runs(runs, None, None))

    assert [line for run, line in got if run is runs[0]] == ["a", "b"]
    assert [line for run, line in got if run is runs[1]] == ["c", "d"]
