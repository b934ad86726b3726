"""A store that is moved while its runs go on: they end in it, wherever it is by then.

Each kind of run is begun, its store is moved, and it goes on there: it says more, by new segments as
well, and ends by itself, by `stop` or by a limit. `left` says what is in the old place meanwhile: nothing,
a copy as a backup leaves it, or a store made anew.
"""

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import runcast
from runcast import Reason, Run, State, Store
from runcast.run.base import files_of
from tests.helpers.lost import alive
from tests.helpers.stores import end_store, temporary_store
from tests.helpers.wait import MS, wait_until

DEADLINE = 20000 * MS
LEFT = ("nothing", "a copy", "a new store")
LONG = "x" * 5000  # two of them fill a segment of a log with the cap below
CAP = 256 * 1024

pytestmark = pytest.mark.fault


def says(gate: str) -> str:
    """Say a word, wait for a file to be there, say more, and return a value."""
    print("begun", flush=True)
    runcast.progress(1, 2)
    wait_until(lambda: os.path.exists(gate), DEADLINE)
    runcast.progress(2, 2)
    for _ in range(4):
        print(LONG)
    print("ended")
    return "value"


def steps(gate: str) -> Iterator[str]:
    """Say a word, and more when the file is there."""
    yield "begun"
    wait_until(lambda: os.path.exists(gate), DEADLINE)
    yield from [LONG] * 4
    yield "ended"


SHELL = f"""
echo begun
until [ -e "$0" ]; do sleep 0.02; done
for i in 1 2 3 4; do echo {LONG}; done
echo ended
"""
KINDS: dict[str, Callable[[Store, str], Run]] = {
    "command": lambda store, gate: store.start(["sh", "-c", SHELL, gate], cap=CAP),
    "function": lambda store, gate: store.start(says, gate, cap=CAP),
    "process": lambda store, gate: store.start(says, gate, cap=CAP, process=True),
    "generator": lambda store, gate: store.start(steps, gate, cap=CAP, ahead=1),
}


@contextmanager
def moved(store: Store, left: str, number: int = 0) -> Iterator[Store]:
    """Give the store in its new place; what its runs left ends with the block."""
    other = f"{store.path}-moved-{number}"
    os.rename(store.path, other)
    if left == "a copy":
        subprocess.run(["cp", "-a", other, store.path], check=True)
    elif left == "a new store":
        assert Store(store.path).start(["true"]).wait(timeout=DEADLINE).ok
        assert Store(store.path).start(says, os.devnull).wait(timeout=DEADLINE).ok
    with temporary_store(Path(other)) as found:
        yield found


@pytest.mark.parametrize("left", LEFT)
@pytest.mark.parametrize("kind", KINDS)
def test_goes_on_and_ends(store: Store, tmp_path: Path, kind: str, left: str):
    """All that a run says and how it ends is where its store is by then, and nothing is where it was."""
    gate = tmp_path / "gate"
    run = KINDS[kind](store, str(gate))
    assert next(run.lines()) == "begun"

    with moved(store, left) as there:
        found = there.get(run.id)
        gate.touch()
        said = list(found.lines())
        outcome = found.wait(timeout=DEADLINE)

        assert [line for line in said if line != LONG] == ["begun", "ended"]
        assert outcome.ok
        assert outcome.value == ("value" if kind in ("function", "process") else None)
        if kind in ("function", "process"):
            assert found.progress is not None
            assert found.progress["done"] == 2
        names = os.listdir(there.path)
        assert [name for name in names if run.id in name and name != f".watched-{run.id}"] == [run.id]
    if left == "a copy":
        kept = b"".join(chunk.data for chunk in run.log().read(0).chunks)
        assert kept.strip() == b"begun"  # it may have been copied before the end of its line came
        assert not os.path.exists(f"{files_of(run).path}/outcome.json")
    else:
        assert not os.path.exists(files_of(run).path)


@pytest.mark.parametrize("kind", KINDS)
def test_stopped(store: Store, tmp_path: Path, kind: str):
    """`stop` in the new place ends a run as stopped, with its processes, before and after it said more."""
    run = KINDS[kind](store, str(tmp_path / "gate"))
    assert next(run.lines()) == "begun"
    pid = run.pid

    with moved(store, "nothing") as there:
        found = there.get(run.id)
        assert found.state is State.RUNNING
        found.stop(grace=0.1)

        assert found.wait(timeout=DEADLINE).reason is Reason.STOPPED
        assert pid == os.getpid() or not alive(pid or 0)


def test_moved_again_and_again(store: Store, tmp_path: Path):
    """A run that writes without pause while its store is moved back and forth loses nothing and ends well."""
    script = f"for i in $(seq 2000); do echo $i {LONG[:500]}; done"
    run = store.start(["sh", "-c", script], cap=None)
    other = f"{store.path}-moved"
    places = [store.path, other]

    def ended_after_moves() -> bool:
        for _ in range(100):
            os.rename(*places)
            places.reverse()
        return Path(places[0], run.id, "outcome.json").exists()

    wait_until(ended_after_moves, DEADLINE)
    with temporary_store(Path(places[0])) as there:
        found = there.get(run.id)
        assert found.wait(timeout=DEADLINE).ok
        assert [int(line.split()[0]) for line in found.lines()] == list(range(1, 2001))


def test_watched_where_it_is(store: Store):
    """Who watches in the new place keeps a run that nobody watches from being stopped."""
    run = store.start(["sleep", "600"], stop_unwatched=400 * MS)
    assert run.pid

    with moved(store, "nothing") as there:
        found = there.get(run.id)
        for _ in range(30):
            files_of(found).touch_watched()
            assert next(found.follow(timeout=50 * MS)) is None
        assert found.state is State.RUNNING
        assert found.wait(timeout=DEADLINE).reason is Reason.STOPPED


def test_one_run_into_another_store(store: Store, tmp_path: Path):
    """The folder of a run alone may be moved, too: into another store."""
    run = store.start(["sleep", "600"])
    assert run.pid
    with temporary_store(tmp_path / "other") as other:
        assert other.start(["true"]).wait(timeout=DEADLINE).ok
        os.rename(files_of(run).path, f"{other.path}/{run.id}")

        other.get(run.id).stop()

        assert other.get(run.id).wait(timeout=DEADLINE).reason is Reason.STOPPED


def test_supervisor_killed(store: Store):
    """The forkserver settles a run whose supervisor died where the run is now."""
    run = store.start(["sleep", "600"])
    pid = run.pid or 0  # the forkserver knows of the run before anybody knows this

    with moved(store, "nothing") as there:
        found = there.get(run.id)
        os.kill(files_of(found).state()["supervisor"], 9)
        wait_until(lambda: Path(there.path, run.id, "outcome.json").exists(), DEADLINE)

        assert found.wait(timeout=0).reason is Reason.LOST
        assert not alive(pid)


def test_process_ends(tmp_path: Path):
    """A process that ends says of its runs that they are lost, where they are by then."""
    store, other = str(tmp_path / "store"), str(tmp_path / "moved")
    code = f"""
        import os, threading
        import runcast
        def waits():
            print("begun", flush=True)
            threading.Event().wait()
        run = runcast.Store({store!r}).start(waits)
        assert next(run.lines()) == "begun"
        os.rename({store!r}, {other!r})
    """
    try:
        subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, timeout=DEADLINE)

        [found] = Store(other).list()
        assert found.wait(timeout=0).reason in (Reason.STOPPED, Reason.LOST)
        assert os.listdir(f"{other}/.owners") == []
        assert not os.path.exists(store)
    finally:
        end_store(Path(other))
