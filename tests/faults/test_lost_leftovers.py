"""R3: what a dead supervisor leaves is found by more than its environment, and is killed or named."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from runcast import Run, State, Store
from runcast.errors import RunNotFound
from runcast.ids import new_run_id
from runcast.run.base import files_of
from runcast.supervisor import leftovers
from tests.helpers.children import supervisor_of
from tests.helpers.lost import CLEARED, alive, edit_state, end, orphan, started
from tests.helpers.programs import program
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

    os.kill(files_of(run).state()["supervisor"], signal.SIGKILL)

    wait_until(lambda: run.outcome is not None, DEADLINE)
    assert not any(map(alive, pids)), run.outcome


# Says its number, and has neither the run's environment nor its session nor a parent in the run.
CUT_OFF = "env -i setsid sh -c 'echo $$; exec sleep 600 >/dev/null 2>&1' & "


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[1])


def cut_off(store: Store, rest: str) -> tuple[Run, int]:
    """Start a run with a process that shows nothing of the run; return both."""
    run = store.start(["sh", "-c", f"({CUT_OFF}); {rest}"])
    pid = next(int(line) for line in run.lines() if line and line.isdigit())
    supervisor = supervisor_of(run)
    wait_until(
        lambda: parent(pid) == supervisor and b"RUNCAST" not in Path(f"/proc/{pid}/environ").read_bytes()
    )
    return run, pid


@pytest.mark.parametrize("rest", ["exec sleep 600", "while :; do echo line; done"])
def test_cut_off(store: Store, rest: str):
    """R3: what has the run's environment, session and parents no more is the forkserver's child: it dies."""
    run, pid = cut_off(store, rest)

    os.kill(supervisor_of(run), signal.SIGKILL)

    wait_until(lambda: run.outcome is not None, DEADLINE)
    try:
        wait_until(lambda: not alive(pid), DEADLINE)
    finally:
        end([pid])
    assert run.wait(timeout=0).message == DIED
    assert store.start(["echo", "next"]).output(timeout=DEADLINE) == "next\n"


def test_daemon_beside_a_lost_run(store: Store, tmp_path: Path):
    """R26: what a run has left that ended by itself is not taken for that of a lost run."""
    done, daemon = cut_off(store, f"until [ -e {tmp_path}/go ]; do sleep 0.01; done")
    try:
        supervisor = supervisor_of(done)
        forkserver = parent(supervisor)
        (tmp_path / "go").touch()
        assert done.wait(timeout=DEADLINE).ok
        wait_until(lambda: not os.path.exists(f"/proc/{supervisor}"), DEADLINE)
        lost, pid = cut_off(store, "exec sleep 600")
        assert parent(supervisor_of(lost)) == forkserver

        os.kill(supervisor_of(lost), signal.SIGKILL)

        wait_until(lambda: not alive(pid), DEADLINE)
        assert alive(daemon)
        assert parent(daemon) != forkserver
    finally:
        end([daemon])


def test_killed_behind_its_run(store: Store):
    """R26: the daemon of a run that ended lives on where its supervisor is killed, beside a lost run, too."""
    lost, pid = cut_off(store, "exec sleep 600")
    forkserver = parent(supervisor_of(lost))
    os.kill(forkserver, signal.SIGSTOP)  # it finds both dead at once
    done = store.start(["sh", "-c", "setsid sleep 600 & echo $!"])  # it holds the pipe for some seconds
    daemon = int(next(done.lines()) or "")
    try:
        assert done.wait(timeout=DEADLINE).ok
        for run in (lost, done):
            os.kill(supervisor_of(run), signal.SIGKILL)
        os.kill(forkserver, signal.SIGCONT)

        wait_until(lambda: lost.outcome is not None, DEADLINE)
        assert lost.state is State.LOST
        assert done.wait(timeout=0).ok
        wait_until(lambda: parent(daemon) == forkserver)
        assert store.start(["echo", "next"]).output(timeout=DEADLINE) == "next\n"
        assert alive(daemon)
    finally:
        os.kill(forkserver, signal.SIGCONT)
        end([daemon, pid])


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
    for path in Path(files_of(run).path).rglob("*"):
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
    edit_state(files_of(run).path, birth=[1.0, 1.1])

    try:
        assert run.state is State.LOST
        assert all(map(alive, pids))
    finally:
        end(pids)


@pytest.mark.root
def test_processes_of_another_user_are_named(store: Store):
    """R3: what may not be killed is named with its number: whoever looks here may kill nobody else's."""
    keeps = "setpriv --reuid 65534 --clear-groups sleep 600 & echo ready; wait"
    run, pids = started(store, keeps, 2)
    wait_until(lambda: os.stat(f"/proc/{pids[1]}").st_uid == 65534)
    orphan(run)

    powerless = [program("setpriv"), "--bounding-set=-kill", "--inh-caps=-kill", sys.executable, "-c", LOOK]
    subprocess.run([*powerless, files_of(run).path], check=True)

    try:
        assert run.wait(timeout=0).message == f"{DIED}; still alive: process {pids[1]}"
    finally:
        end(pids)


def test_removed_by_hand(store: Store):
    """R3: a run whose folder somebody removes is stopped, its followers end, and a file says why."""
    run, pids = started(store, CLEARED, 3)
    shutil.rmtree(files_of(run).path)

    with pytest.raises(RunNotFound, match="was removed"):
        run.wait(timeout=DEADLINE)
    wait_until(lambda: not any(map(alive, pids)), DEADLINE)
    errors = Path(store.path, ".supervisors/errors.log")
    said = f"run {run.id}: its folder was removed while it went on: stopped"
    wait_until(lambda: errors.exists() and said in errors.read_text())
    assert store.start(["echo", "next"]).output(timeout=DEADLINE) == "next\n"


@pytest.mark.parametrize("what", ["", "lock"], ids=["folder", "lock"])
def test_restored_by_hand(store: Store, tmp_path: Path, what: str):
    """R3: a run whose folder is taken away and put back from a copy, or its lock, ends and says why."""
    run, pids = started(store, CLEARED, 3)
    path = files_of(run).path
    if what:
        os.unlink(f"{path}/{what}")
    else:
        shutil.copytree(path, tmp_path / "copy", ignore=shutil.ignore_patterns("control"))
        shutil.rmtree(path)
        os.rename(tmp_path / "copy", path)

    wait_until(lambda: not any(map(alive, pids)), DEADLINE)
    wait_until(lambda: files_of(run).outcome() is not None, DEADLINE)
    outcome = files_of(run).outcome()
    assert outcome is not None
    assert outcome.message == "its folder, or the lock in it, was removed while it went on"


def test_errors_are_bounded(store: Store):
    """R3: the file that says why a supervisor failed takes no more when it has 256 KiB."""
    run, pids = started(store, CLEARED, 3)
    supervisor = supervisor_of(run)
    errors = Path(store.path, ".supervisors/errors.log")
    errors.write_bytes(b"x" * 256 * 1024)
    shutil.rmtree(files_of(run).path)

    wait_until(lambda: not any(map(alive, [*pids, supervisor])), DEADLINE)

    assert errors.stat().st_size == 256 * 1024
