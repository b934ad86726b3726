"""`runcast log`: the output there is now."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from runcast import Run, State, Store
from tests.helpers.cli import LONG, Done, cli
from tests.helpers.stores import temporary_store
from tests.helpers.wait import wait_until

SAYS = "echo one; echo two >&2; echo three; echo four >&2; printf five"
LINES = b"one\nthree\nfive"
ERRORS = "two\nfour\n"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Give a finished run with five lines on two channels, in this order, alone in its store."""
    waits = SAYS.replace("; ", "; sleep 0.02; ")  # so that each is read before the next is written
    with temporary_store(tmp_path_factory.mktemp("log") / "store") as store:
        run = store.start(waits, shell=True)
        run.wait(timeout=LONG)
        assert run.output() == "one\ntwo\nthree\nfour\nfive"
        yield run


def log(run: Run, *arguments: object, **options: Any) -> Done:
    """Call `runcast log` in the store of a run."""
    return cli("--store", os.path.dirname(run.directory.path), "log", *arguments, **options)


def test_all(run: Run):
    """All output comes out, each channel where it belongs."""
    assert log(run, run.id) == (0, LINES, ERRORS)


@pytest.mark.slow
def test_last(store: Store):
    """`last` is the newest run, and a part of an id is enough."""
    older, newer = (store.start(["echo", text]) for text in ("older", "newer"))
    for run in (older, newer):
        run.wait(timeout=LONG)

    assert cli("log", "last").out == b"newer\n"
    assert cli("log", older.id[-6:]).out == b"older\n"
    assert cli("log", older.id.upper()).out == b"older\n"


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
def test_places_and_channels(run: Run, options: list[str], out: bytes, err: str):
    """Each option begins where it says and leaves out what it says."""
    assert log(run, run.id, *options) == (0, out, err)


def test_since_a_chunk(run: Run):
    """`--since` begins with the first byte of that time."""
    third = next(chunk for chunk in run.follow() if chunk and chunk.data == b"three\n")
    moment = datetime.fromtimestamp(third.time - 0.001, UTC).isoformat()

    assert log(run, run.id, "--since", moment) == (0, b"three\nfive", "four\n")


def test_does_not_wait(store: Store):
    """What there is comes out, and a run that goes on is not waited for."""
    run = store.start("echo so far; exec sleep 1000", shell=True)
    wait_until(lambda: run.tail_offset == 7)

    assert cli("log", "last") == (0, b"so far\n", "")
    assert run.state is State.RUNNING


@pytest.mark.slow
def test_ends_although_more_comes(store: Store):
    """A run that writes faster than it can be read does not keep us: the end is the tail of the beginning."""
    run = store.start(["yes"])
    wait_until(lambda: run.tail_offset > 100_000)
    before = run.tail_offset

    done = cli("log", "last")

    assert done.code == 0
    assert before <= len(done.out) < run.tail_offset
    run.kill()


@pytest.mark.slow
def test_gap(store: Store):
    """A range that was dropped is told on stderr, with its bytes."""
    run = store.start("head -c 8000000 /dev/zero", shell=True, cap=2 << 20)
    run.wait(timeout=LONG)
    (gap,) = [chunk for chunk in run.follow() if chunk and chunk.channel == "gap"]

    done = cli("log", run.id)

    assert done.code == 0
    assert len(done.out) == 8_000_000 - (gap.next - gap.offset)
    assert done.err == f"runcast: the bytes from offset {gap.offset} to {gap.next} are no longer kept\n"

    done = cli("log", run.id, "--offset", gap.offset + 1)
    assert (done.code, done.out) == (2, b"")
    assert f"are no longer kept: read on from {gap.next}" in done.err


def test_safe(store: Store):
    """`--safe` leaves out what a terminal would obey; without it the bytes are as they were."""
    raw = b"a\x1b[31mb\x1b]0;title\x07c\x08\xc2\x9b1md\n"
    run = store.start(["cat"], input=raw)
    run.wait(timeout=LONG)

    assert cli("log", "last").out == raw
    assert cli("log", "last", "--safe").out == b"abcd\n"


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
        (["--tail", "-1"], "invalid value for '-n' / '--tail': -1 is not in the range x>=0"),
        (["--line", "0"], "invalid value for '--line': 0 is not in the range x>=1"),
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
def test_bad_places(run: Run, options: list[str], said: str):
    """A place that is none is told in one line."""
    done = log(run, run.id, *options)

    assert (done.code, done.out) == (2, b"")
    assert done.err.startswith(f"runcast: {said}")
    assert done.err.count("\n") == 1


def test_unknown_id(run: Run):
    """An id that is none is told, with those that look alike."""
    mistyped = run.id[:10] + ("0" if run.id[10] != "0" else "1") + run.id[11:]

    done = log(run, mistyped)

    assert (done.code, done.out) == (2, b"")
    store = os.path.dirname(run.directory.path)
    assert done.err == f"runcast: no run '{mistyped}' in the store {store}; did you mean {run.id}?\n"


def test_id_of_control_codes(run: Run):
    """An id cannot draw on the terminal when it is told."""
    done = log(run, "\x1b[31m\nred")

    assert (done.code, done.out) == (2, b"")
    assert done.err.startswith(r"runcast: no run '\x1b[31m\nred' in the store")
    assert done.err.count("\n") == 1


def test_ambiguous_id(store: Store):
    """A part that several ids have is told, with them."""
    older, newer = store.start(["true"]), store.start(["true"])

    done = cli("log", older.id[:4])

    assert done.code == 2
    assert f"did you mean {older.id} or {newer.id}?" in done.err


def test_last_of_none(store: Store):
    """`last` of an empty store is told."""
    done = cli("log", "last")

    assert (done.code, done.out) == (2, b"")
    assert done.err.startswith(f"runcast: no run 'last' in the store {store.path}, which is empty")


def test_reader_left(store: Store):
    """A reader that has seen enough ends us without a word."""
    store.start(["head", "-c", "1000000", "/dev/zero"]).wait(timeout=LONG)
    reading, writing = os.pipe()
    os.close(reading)

    done = cli("log", "last", stdout=writing)
    os.close(writing)

    assert (done.code, done.err) == (141, "")


def test_full_disk(run: Run):
    """Output that cannot be written is told."""
    with open("/dev/full", "wb") as full:
        done = log(run, run.id, stdout=full)

    assert done.code == 2
    assert done.err.endswith("runcast: cannot write to stdout: no space left on device\n")
