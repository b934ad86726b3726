"""`runcast log`: the output there is now."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runcast import Run, State, Store
from runcast.run.base import files_of
from tests.helpers.cli import LONG, Done, cli
from tests.helpers.stores import temporary_store
from tests.helpers.wait import wait_until
from tests.unit.runs import ERR, OUT, make_run

LINES = b"one\nthree\nfive"
ERRORS = "two\nfour\n"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Give a finished run with five lines on two channels, in this order, alone in its store."""
    pieces = ("echo one", "echo two >&2", "echo three", "echo four >&2", "printf five")
    with temporary_store(tmp_path_factory.mktemp("log") / "store") as store:
        run = store.start("; read _; ".join(pieces), shell=True, stdin="pipe")
        for tail in (4, 8, 14, 19):
            wait_until(lambda tail=tail: run.tail_offset == tail, LONG)  # read, before the next is written
            run.send("\n")
        run.wait(timeout=LONG)
        assert run.output() == "one\ntwo\nthree\nfour\nfive"
        yield run


def log(run: Run, *arguments: object, **options: Any) -> Done:
    """Call `runcast log` in the store of a run."""
    return cli("--store", os.path.dirname(files_of(run).path), "log", *arguments, **options)


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


def test_not_started(store: Store):
    """A command that could not be started has no output; why is said, as `follow` does."""
    run = store.start(["/no/such/program"], check=False)
    run.wait(check=False)
    done = log(run, run.id)

    assert (done.code, done.out) == (0, b"")
    assert done.err == "runcast: no such file: '/no/such/program'\n"


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
    assert before <= len(done.out)
    wait_until(lambda: len(done.out) < run.tail_offset, what="it to go on")
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
    assert f"are no longer kept: continue at {gap.next}" in done.err


def test_safe(store: Store):
    """`--safe` leaves out what a terminal would obey; without it the bytes are as they were."""
    raw = b"a\x1b[31mb\x1b]0;title\x07c\x08\xc2\x9b1md\n"
    run = store.start(["cat"], input=raw)
    run.wait(timeout=LONG)

    assert cli("log", "last").out == raw
    assert cli("log", "last", "--safe").out == b"abcd\n"


def test_ambiguous_id(store: Store):
    """A part that several ids have is told, with them."""
    older, newer = store.start(["true"]), store.start(["true"])

    done = cli("log", older.id[:4])

    assert done.code == 2
    assert f"did you mean {older.id} or {newer.id}?" in done.err


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


@pytest.mark.parametrize("command", ["log", "follow"])
def test_cut_characters(tmp_path: Path, command: str):
    """Where both channels go to one place, neither writes in the middle of the other's characters."""
    pairs = zip("a\u20ac\u00e9\U0001f600".encode(), "x\u20a4\u00f1\U0001f680".encode(), strict=True)
    appends = [one for out, err in pairs for one in ((OUT, bytes([out])), (ERR, bytes([err])))]
    run = make_run(tmp_path, appends=[*appends, (OUT, b"\xe2")])

    both = cli("--store", tmp_path, command, run, stderr=subprocess.STDOUT).out
    apart = cli("--store", tmp_path, command, run)

    assert both.decode(errors="replace") == "ax\u20ac\u20a4\u00e9\u00f1\U0001f600\U0001f680\ufffd"
    assert apart == (0, "a\u20ac\u00e9\U0001f600".encode() + b"\xe2", "x\u20a4\u00f1\U0001f680")


def test_grep(store: Store):
    """Only lines with the text are printed, each on its channel; without any the exit status is 1."""
    store.start(
        [
            "sh",
            "-c",
            "echo one; echo 'an Error' >&2; printf '\\033[31merr\\033[0mor 2\\n'; printf 'last error'",
        ]
    ).wait()

    assert cli("log", "last", "--grep", "error") == (0, b"\x1b[31merr\x1b[0mor 2\nlast error\n", "")
    assert cli("log", "last", "--grep", "error", "-i", "--channel", "stderr") == (0, b"", "an Error\n")
    assert cli("log", "last", "--grep", "^(one|last)", "--regex") == (0, b"one\nlast error\n", "")
    assert cli("log", "last", "--grep", "error", "--tail", 1) == (0, b"last error\n", "")
    assert cli("log", "last", "--grep", "nowhere") == (1, b"", "")
    assert "unterminated character set" in cli("log", "last", "--grep", "a[", "--regex").err
    assert "expected --grep" in cli("log", "last", "--regex").err
