"""`runcast log`: where it begins, and what it says of a place or an id that is none."""

import os
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from runcast import Run, Store
from runcast.run.base import files_of
from tests.helpers.cli import Call
from tests.unit.runs import ERR, OUT, make_run

APPENDS = ((OUT, b"one\n"), (ERR, b"two\n"), (OUT, b"three\n"), (ERR, b"four\n"), (OUT, b"five"))
LINES = b"one\nthree\nfive"
ERRORS = "two\nfour\n"


@pytest.fixture(name="run")
def run_fixture(own_store: Path) -> Run:
    """Give a finished run with five lines on two channels, just written, alone in its store."""
    return Store(str(own_store)).get(make_run(own_store, appends=APPENDS, begun=time.time()))


@pytest.fixture(name="log")
def log_fixture(call: Call, run: Run) -> Call:
    """Give a function that calls `runcast log` in the store of the run."""
    return lambda *arguments: call("log", *arguments)


@pytest.mark.parametrize(
    ("options", "out", "err"),
    [
        (["--tail", "2"], b"five", "four\n"),
        (["-n", "0"], b"", ""),
        (["-n", "99"], LINES, ERRORS),
        (["--tail", "1", "--channel", "stderr"], b"", "four\n"),
        (["--bytes", "7"], b"five", "ur\n"),
        (["--bytes", "999"], LINES, ERRORS),
        (["--line", "3"], b"three\nfive", "four\n"),
        (["--line", "1"], LINES, ERRORS),
        (["--line", "99"], b"", ""),
        (["--offset", "4"], b"three\nfive", ERRORS),
        (["--offset", "00000000000000000008"], b"three\nfive", "four\n"),
        (["--offset", "-1"], LINES, ERRORS),
        (["--offset", "now"], b"", ""),
        (["--offset=23"], b"", ""),
        (["--channel", "stdout"], LINES, ""),
        (["--channel", "stderr", "--channel", "stdout"], LINES, ERRORS),
        (["--channel", "data"], b"", ""),
        (["--since", "1h"], LINES, ERRORS),
        (["--since", "2000-01-01"], LINES, ERRORS),
        (["--since", "2999-01-01T00:00:00Z"], b"", ""),
    ],
)
def test_places_and_channels(log: Call, run: Run, options: list[str], out: bytes, err: str):
    """Each option begins where it says and leaves out what it says."""
    assert log(run.id, *options) == (0, out, err)


def test_since_a_chunk(log: Call, run: Run):
    """`--since` begins with the first byte of that time."""
    third = next(chunk for chunk in run.follow() if chunk and chunk.data == b"three\n")
    moment = datetime.fromtimestamp(third.time - 0.001, UTC).isoformat()

    assert log(run.id, "--since", moment) == (0, b"three\nfive", "four\n")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ["--offset", "abc"],
            "expected an offset (decimal digits, -1 for the start or `now` for the tail), got 'abc'",
        ),
        (
            ["--offset", ""],
            "expected an offset (decimal digits, -1 for the start or `now` for the tail), got ''",
        ),
        (
            ["--offset", "-2"],
            "expected an offset (decimal digits, -1 for the start or `now` for the tail), got '-2'",
        ),
        (["--offset", "24"], "expected an offset up to the tail, which is 23 now, got 24: use 23 (or `now`)"),
        (["--tail", "-1"], "--tail: expected a whole number of 0 or more, got '-1'"),
        (["--line", "0"], "--line: expected a whole number of 1 or more, got '0'"),
        (["--since", "then"], "--since: expected a time such as 2026-01-31T12:00:00Z, or a duration ago"),
        (
            ["--channel", "stdin"],
            "invalid value for '--channel': 'stdin' is not one of 'stdout', 'stderr', 'data'",
        ),
        (
            ["--tail", "1", "--bytes", "1"],
            "expected one place to begin, got --tail and --bytes: choose one of them",
        ),
    ],
)
def test_bad_places(log: Call, run: Run, options: list[str], said: str):
    """A place that is none is told in one line."""
    done = log(run.id, *options)

    assert (done.code, done.out) == (2, b"")
    assert done.err.startswith(f"runcast: {said}")
    assert done.err.count("\n") == 1


def test_unknown_id(log: Call, run: Run):
    """An id that is none is told, with those that look alike."""
    mistyped = run.id[:10] + ("0" if run.id[10] != "0" else "1") + run.id[11:]

    done = log(mistyped)

    assert (done.code, done.out) == (2, b"")
    store = os.path.dirname(files_of(run).path)
    assert done.err == f"runcast: no run '{mistyped}' in the store {store}; did you mean {run.id}?\n"


def test_name_for_an_id(log: Call, run: Run):
    """The name of a run is no id; whoever tries it is told the id of the newest of that name."""
    done = log(run.name)

    assert (done.code, done.out) == (2, b"")
    assert done.err.startswith(f"runcast: no run '{run.name}' in the store ")
    assert done.err.endswith(f"; did you mean {run.id}?\n")


def test_id_of_control_codes(log: Call, run: Run):
    """An id cannot draw on the terminal when it is told."""
    done = log("\x1b[31m\nred")

    assert (done.code, done.out) == (2, b"")
    assert done.err.startswith(r"runcast: no run '\x1b[31m\nred' in the store")
    assert done.err.count("\n") == 1


def test_last_of_none(call: Call, own_store: Path):
    """`last` of an empty store is told."""
    done = call("log", "last")

    assert (done.code, done.out) == (2, b"")
    assert done.err.startswith(f"runcast: no run 'last' in the store {own_store}, which is empty")
