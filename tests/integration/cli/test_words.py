"""`runcast progress` and `runcast note`: what programs say of their run."""

import os
import shutil
import signal

import pytest

from runcast import Store
from tests.helpers.cli import LONG, RUNCAST, cli
from tests.helpers.wait import wait_until

pytestmark = pytest.mark.slow

INSIDE = f"""
printf 'one\\ntwo'
{RUNCAST} progress 3 10 linking
{RUNCAST} note '- first'
printf '\\nthree\\n'
{RUNCAST} note -- --help
{RUNCAST} progress - - waiting
"""


@pytest.mark.parametrize("options", [{}, {"tty": True}, {"stdin": "pipe"}], ids=str)
def test_inside(store: Store, options: dict[str, object]):
    """They are seen of the run at once, each note at its place; the log has nothing of them."""
    run = store.start(["sh", "-c", INSIDE], **options)  # type: ignore[arg-type]

    assert run.output(timeout=LONG).split() == ["one", "two", "three"]
    first, second = run.notes
    assert (first.text, first.line, second.text) == ("- first", 2, "--help")
    assert (second.offset, second.line) == (run.tail_offset, 4)
    assert first.time <= second.time
    assert run.progress is not None
    assert {**run.progress, "time": 0} == {"done": None, "total": None, "text": "waiting", "time": 0}


def test_outside(store: Store, monkeypatch: pytest.MonkeyPatch):
    """Outside of a run, and when it is over or gone, they do nothing and that is no failure."""
    run = store.start(["sh", "-c", "echo $RUNCAST_RUN_DIR"])
    folder = run.output(timeout=LONG).strip()
    assert os.path.samefile(folder, f"{store.path}/{run.id}")

    monkeypatch.delenv("RUNCAST_RUN_DIR", raising=False)
    assert cli("note", "nobody hears it") == cli("progress", "1") == (0, b"", "")
    monkeypatch.setenv("RUNCAST_RUN_DIR", folder)
    assert cli("note", "too late") == cli("progress", "1", "2") == (0, b"", "")
    shutil.rmtree(folder)
    assert cli("note", "too late") == cli("progress", "1", "2") == (0, b"", "")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["note"], "expected note TEXT, got 0 arguments"),
        (["note", "two", "words"], "got 2 arguments: quote the text"),
        (["note", " "], "expected a note with something in it"),
        (["note", "x" * 501], "expected a note of at most 500 characters, got 501"),
        (["progress"], "expected progress DONE [TOTAL [TEXT]], got 0 arguments"),
        (["progress", "1", "2", "two", "words"], "got 4 arguments: quote the text"),
        (["progress", "half"], "expected DONE as a number, or - where it is not known, got 'half'"),
        (["progress", "1", "1e999"], "expected total as a finite number"),
    ],
)
def test_bad_arguments(arguments: list[str], why: str, monkeypatch: pytest.MonkeyPatch):
    """Bad arguments are an error everywhere: a script is wrong also where nobody looks."""
    monkeypatch.delenv("RUNCAST_RUN_DIR", raising=False)
    done = cli(*arguments)
    assert (done.code, done.out) == (2, b"")
    assert why in done.err
    assert done.err.count("\n") == 1


def test_help():
    """Each has its help."""
    for word in ("progress", "note"):
        assert b"Outside a run" in b" ".join(cli(word, "--help").out.split())


def test_innermost(store: Store):
    """Of runs in each other the inner one is meant; the outer one is again behind it."""
    inner = f"{RUNCAST} run -- sh -c '{RUNCAST} note inner'"
    run = store.start(["sh", "-c", f"{inner}; {RUNCAST} note outer"])
    assert run.wait(timeout=LONG).ok

    notes = {one.id: [note.text for note in one.notes] for one in store.list()}
    assert notes.pop(run.id) == ["outer"]
    assert list(notes.values()) == [["inner"]]


def test_masked(store: Store):
    """What a run must not show is shown by neither, whoever says it."""
    said = f"{RUNCAST} note 'with hunter2!'; {RUNCAST} progress 1 2 hunter2"
    run = store.start(["sh", "-c", said], mask=["hunter2"])
    assert run.wait(timeout=LONG).ok
    assert [note.text for note in run.notes] == ["with ***!"]
    assert run.progress is not None
    assert run.progress["text"] == "***"


def test_stopped_supervisor(store: Store):
    """A supervisor that does not answer is reported, and holds nobody up for long."""
    run = store.start(["sleep", "1000"])
    wait_until(lambda: run.pid is not None, LONG)
    supervisor = run._state()["supervisor"]
    os.kill(supervisor, signal.SIGSTOP)
    try:
        done = cli("note", "x", env={**os.environ, "RUNCAST_RUN_DIR": f"{store.path}/{run.id}"})
    finally:
        os.kill(supervisor, signal.SIGCONT)
        run.kill()
    assert (done.code, done.err) == (0, "runcast: this run cannot be reached: timed out\n")
