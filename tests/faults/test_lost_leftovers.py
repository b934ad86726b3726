"""R3: what a dead supervisor leaves is found by more than its environment, and is killed or named."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from runcast import State, Store
from runcast.errors import RunNotFound
from runcast.ids import new_run_id
from runcast.supervisor import leftovers
from tests.helpers.lost import CLEARED, alive, edit_state, end, orphan, started
from tests.helpers.wait import MS, wait_until

DEADLINE = 10000 * MS
SETSID = 'setsid sh -c "env -i setsid sleep 600 & sleep 600" & echo ready; wait'
LOOK = "import sys; from runcast import Run; print(Run(sys.argv[1]).state)"
DIED = "its supervisor died before the run ended"

pytestmark = pytest.mark.fault


@pytest.mark.parametrize("script", [CLEARED, SETSID])
def test_cleared_environment(store: Store, script: str):
    """R3: processes without our variable, in the run's session and out of it, die with a lost run."""
    run, pids = started(store, script, 3)

    orphan(run)

    assert run.state is State.LOST
    assert not any(map(alive, pids))
    assert run.wait(timeout=0).message == DIED


def test_settled_by_the_forkserver(store: Store):
    """R3: the same where the first process dies of the broken pipe, with nobody looking."""
    run, pids = started(store, "env -i sleep 600 & while :; do echo line; done", 2)

    os.kill(run.directory.state()["supervisor"], signal.SIGKILL)

    wait_until(lambda: run.outcome is not None, DEADLINE)
    assert not any(map(alive, pids))


def test_first_process_is_gone(store: Store):
    """R3: a session whose leader is dead is the run's, if it was while the supervisor lived."""
    run, pids = started(store, "env -i sleep 600 & echo ready; wait", 2)

    orphan(run)
    os.kill(pids[0], signal.SIGKILL)
    wait_until(lambda: not os.path.exists(f"/proc/{pids[0]}"))

    assert run.state is State.LOST
    assert not any(map(alive, pids))


def test_doubtful_processes_are_named(store: Store):
    """R26: a session of the run's number that may be another's by now is named, and not killed."""
    run, pids = started(store, "env -i sleep 600 & echo ready; wait", 2)
    orphan(run)
    os.kill(pids[0], signal.SIGKILL)
    wait_until(lambda: not os.path.exists(f"/proc/{pids[0]}"))
    for path in Path(run.directory.path).rglob("*"):
        os.utime(path, (1_000_000_000, 1_000_000_000))  # the supervisor has said nothing for long

    try:
        assert run.state is State.LOST
        assert run.wait(timeout=0).message == f"{DIED}; perhaps of this run, and let be: process {pids[1]}"
        assert alive(pids[1])
    finally:
        end(pids)


def test_no_time_left(monkeypatch: pytest.MonkeyPatch):
    """What is found when the time is up is killed all the same: nothing stays stopped for ever."""
    monkeypatch.setattr(leftovers, "_KILL_SECONDS", -1.0)
    run_id = new_run_id()
    with subprocess.Popen(["sleep", "600"], env=os.environ | {"RUNCAST_RUN_ID": run_id}) as process:
        try:
            wait_until(lambda: leftovers.marked(run_id) == [process.pid])
            left = leftovers.kill_leftovers(run_id, None, None, 0.0)
            wait_until(lambda: process.poll() is not None)
        finally:
            process.terminate()

    assert (process.returncode, left.doubtful) == (-signal.SIGKILL, [])


def test_another_process_has_the_number(store: Store):
    """R26: a process that has the number of the run's first one, and another birth, lives on."""
    run, pids = started(store, "env -i sleep 600 & echo ready; exec env -i sleep 601", 2)
    orphan(run)
    edit_state(run.directory.path, birth=[1.0, 1.1])

    try:
        assert run.state is State.LOST
        assert all(map(alive, pids))
    finally:
        end(pids)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
def test_processes_of_another_user_are_named(store: Store):
    """R3: what may not be killed is named with its number: whoever looks here may kill nobody else's."""
    keeps = "setpriv --reuid 65534 --clear-groups sleep 600 & echo ready; wait"
    run, pids = started(store, keeps, 2)
    wait_until(lambda: os.stat(f"/proc/{pids[1]}").st_uid == 65534)
    orphan(run)

    powerless = ["setpriv", "--bounding-set=-kill", "--inh-caps=-kill", sys.executable, "-c", LOOK]
    subprocess.run([*powerless, run.directory.path], check=True)

    try:
        assert run.wait(timeout=0).message == f"{DIED}; still alive: process {pids[1]}"
    finally:
        end(pids)


def test_removed_by_hand(store: Store):
    """R3: a run whose folder somebody removes is stopped, its followers end, and a file says why."""
    run, pids = started(store, CLEARED, 3)
    shutil.rmtree(run.directory.path)

    with pytest.raises(RunNotFound, match="was removed"):
        run.wait(timeout=DEADLINE)
    wait_until(lambda: not any(map(alive, pids)), DEADLINE)
    errors = Path(store.path, ".supervisors/errors.log")
    said = f"run {run.id}: its folder was removed while it went on: stopped"
    wait_until(lambda: errors.exists() and said in errors.read_text())
    assert store.start(["echo", "next"]).output(timeout=DEADLINE) == "next\n"
