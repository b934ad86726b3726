"""R26: a mirror of another host's run is nobody's to settle here, and its processes are nobody's to kill.

The two hosts are two stores on one machine: all else that tells where a run belongs is the same for both.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from runcast import Reason, Run, State, Store
from runcast.errors import RunElsewhere
from runcast.run.base import files_of
from runcast.store.mirrors import AGENT, mark_mirror
from runcast.store.run_files import RunFiles
from tests.helpers.lost import CLEARED, alive, edit_state, end, orphan, started
from tests.helpers.wait import MS

DEADLINE = 10000 * MS

pytestmark = pytest.mark.fault


@pytest.fixture
def going(store: Store) -> Iterator[tuple[Run, list[int]]]:
    """A run of this machine that goes on, and its processes."""
    run, pids = started(store, CLEARED, 3)
    yield run, pids
    end(pids)


def mirror(run: Run, other: Store, host: str = "far") -> Run:
    """Return the mirror of a run in another store."""
    other.start(["true"]).wait(timeout=DEADLINE)  # which makes the store
    path = f"{other.path}/{run.id}"
    subprocess.run(["cp", "-a", files_of(run).path, path], check=True)
    mark_mirror(path, host)
    return Run(path)


def test_mirror_without_an_agent(store: Store, tmp_path: Path, going: tuple[Run, list[int]]):
    """R26: whoever looks at it sees its host and last state; neither it nor the run is touched."""
    run, pids = going
    other = Store(str(tmp_path / "other"))
    found = mirror(run, other)
    for _ in range(2):
        before = sorted(os.listdir(files_of(found).path))

        assert (found.state, found.elsewhere, found.outcome, found.closed) == ("running", "far", None, False)
        assert run.id in [one.id for one in other.list()]
        for act in (found.wait, found.stop, found.kill, lambda: other.remove(found), found.settle):
            with pytest.raises(RunElsewhere, match="'far', and the store is shared with no host any more"):
                act()
        assert other.start(["true"], queue="q").wait(timeout=DEADLINE).ok
        assert sorted(os.listdir(files_of(found).path)) == before
        assert all(map(alive, pids))
        orphan(run)  # and once more, with nobody who holds the run itself

    assert run.state is State.LOST
    assert not any(map(alive, pids))
    assert found.state is State.RUNNING


def test_marked_in_its_own_folder(going: tuple[Run, list[int]]):
    """R26: the mark counts whatever the origin says: a run of this very folder is not settled."""
    run, pids = going
    orphan(run)
    mark_mirror(files_of(run).path, "far")

    with pytest.raises(RunElsewhere):
        run.settle()
    assert all(map(alive, pids))
    assert run.outcome is None
    Path(files_of(run).path, "mirror").write_text("no JSON")
    assert run.elsewhere == "another host"
    assert all(map(alive, pids))
    Path(files_of(run).path, "mirror").unlink()

    assert run.wait(timeout=DEADLINE).reason is Reason.LOST
    assert not any(map(alive, pids))


def test_mirror_of_an_agent(store: Store, tmp_path: Path, going: tuple[Run, list[int]]):
    """Held by the store's agent it goes on like any run; without it, it is the other host's again."""
    run, pids = going
    other = Store(str(tmp_path / "other"))
    found = mirror(run, other)
    edit_state(files_of(found).path, owner=AGENT)
    os.makedirs(f"{other.path}/.owners", exist_ok=True)
    code = (
        "import os, sys; from runcast.sysio.locks import lock;"
        "assert lock(os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)); print(flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, f"{other.path}/.owners/{AGENT}"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as agent:
        assert agent.stdout is not None
        agent.stdout.readline()
        assert files_of(found).control_path == f"{other.path}/.owners/{AGENT}.sock"
        assert (found.state, found.elsewhere) == (State.RUNNING, None)
        found.settle()
        agent.kill()

    assert (found.state, found.elsewhere) == (State.RUNNING, "far")
    assert all(map(alive, pids))


def test_mirror_of_what_has_ended(store: Store, tmp_path: Path):
    """With its outcome a mirror is a run that has ended, and can be removed."""
    run = store.start(["echo", "words"])
    assert run.wait(timeout=DEADLINE).ok
    other = Store(str(tmp_path / "other"))
    found = mirror(run, other)

    assert (found.state, found.closed, found.output()) == (State.EXITED, True, "words\n")
    assert RunFiles(files_of(found).path).mirror_of == "far"
    other.remove(found)
    assert run.id not in [one.id for one in other.list()]
    assert run.output() == "words\n"
