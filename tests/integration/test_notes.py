"""Notes in Python: of functions, generators and commands, here and on a server."""

import os
import subprocess
from collections.abc import Iterator

import pytest

import runcast
from runcast import Store
from runcast.errors import RunFinished, UsageError
from tests.helpers.cli import RUNCAST
from tests.helpers.wait import MS

DEADLINE = 20000 * MS


def noting() -> None:
    """Print, and note something between two lines."""
    print("one")
    run = runcast.current_run()
    assert run is not None
    run.note("with hunter2")
    print("two")


def test_function(store: Store):
    """A function notes by its run, in this process; outside of one it has none."""
    run = store.start(noting)
    assert run.output(timeout=DEADLINE) == "one\ntwo\n"
    assert [(note.offset, note.line, note.text) for note in run.notes] == [(4, 2, "with hunter2")]
    assert runcast.current_run() is None


@pytest.mark.slow
def test_process(store: Store):
    """So does one in a process of its own, and its programs by themselves."""
    run = store.start(noting, process=True, mask=["hunter2"])
    assert run.wait(timeout=DEADLINE).ok, run.output()
    assert [note.text for note in run.notes] == ["with ***"]


def test_generator(store: Store):
    """A generator notes at the place of what it has yielded."""

    def lines() -> Iterator[str]:
        yield "one"
        run = runcast.current_run()
        assert run is not None
        run.note("behind one")
        yield "two"

    run = store.start(lines)
    assert run.output(timeout=DEADLINE) == "one\ntwo\n"
    assert [(note.offset, note.text) for note in run.notes] == [(4, "behind one")]


def test_masked_function(store: Store):
    """What a run must not show is not in its notes."""
    run = store.start(noting, mask=["hunter2"])
    assert run.wait(timeout=DEADLINE).ok, run.output()
    assert [note.text for note in run.notes] == ["with ***"]


def test_async(store: Store):
    """A coroutine awaits it."""

    async def job() -> None:
        here = runcast.current_run()
        assert here is not None
        await runcast.AsyncRun(f"{store.path}/{here.id}").note("from a task")

    run = store.start(job)
    assert run.wait(timeout=DEADLINE).ok, run.output()
    assert [note.text for note in run.notes] == ["from a task"]


@pytest.mark.slow
def test_program_of_a_function(store: Store):
    """A program of a function speaks for its run where it is given the folder."""

    def job() -> None:
        here = runcast.current_run()
        assert here is not None
        env = {**os.environ, "RUNCAST_RUN_DIR": f"{store.path}/{here.id}"}
        subprocess.run([RUNCAST, "note", "from a program"], env=env, check=True)
        subprocess.run([RUNCAST, "progress", "1", "2"], env=env, check=True)

    run = store.start(job)
    assert run.wait(timeout=DEADLINE).ok, run.output()
    assert [note.text for note in run.notes] == ["from a program"]
    assert (run.progress or {})["total"] == 2


def test_from_outside(store: Store):
    """Whoever has the run may note something while it goes on; what is no note is refused."""
    run = store.start(["cat"], stdin="pipe")
    run.note("seen")
    with pytest.raises(UsageError, match="expected a note with something in it"):
        run.note("")
    run.send("x", eof=True)
    run.wait(timeout=DEADLINE)
    assert [note.text for note in run.notes] == ["seen"]
    with pytest.raises(RunFinished, match="expected one that still goes on"):
        run.note("too late")
