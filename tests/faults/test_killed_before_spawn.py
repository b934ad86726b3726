"""A supervisor is killed between any two system calls of a start: the run is lost, or another takes it.

strace kills the supervisors that wait when they are about to make a certain call, the first of its
kind after they got a run, the second and so on, until the run gets through without. A run that waits
for a slot is the one that is looked at longest, and one that has its slot is followed up to its spawn.
"""

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from runcast import Reason, Run, State, Store
from runcast.errors import RunFinished
from runcast.run.base import files_of
from tests.helpers.children import marked
from tests.helpers.lost import alive
from tests.helpers.queued import place_before, queued, start_queued
from tests.helpers.stores import supervisors
from tests.helpers.wait import MS, wait_until

LONG = 20000 * MS
MOST = 60  # of one call that a start makes, or the test goes on for ever
BEFORE = "accept4,recvmsg,openat,flock,rename,sendto,close,newfstatat,pipe2,bind,listen,pwrite64,fallocate"
SPAWNING = "pread64,pwrite64,chdir,rt_sigprocmask,clone3,close,sendto"

pytestmark = [pytest.mark.fault, pytest.mark.slow, pytest.mark.timeout(300)]


@contextlib.contextmanager
def killed_at(pids: list[int], call: str, when: int) -> Iterator[None]:
    """Have each of these processes killed when it makes a call for so many times."""
    command = ["strace", "-o", "/dev/null", "-e", f"inject={call}:signal=KILL:when={when}"]
    for pid in pids:
        command += ["-p", str(pid)]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as strace:
        assert strace.stderr is not None
        for _ in pids:
            attached = strace.stderr.readline()
            assert b"attached" in attached, attached
        yield
        strace.terminate()
        strace.communicate(timeout=LONG)


def begin(store: Store) -> None:
    """Have a forkserver, and three supervisors that wait: one more was forked when the first had its run."""
    assert store.start(["true"]).wait(timeout=LONG).ok
    wait_until(lambda: len(supervisors(Path(store.path))) >= 4, LONG)  # else one may come that is not traced


def waiting(store: Store) -> list[int]:
    """Return the supervisors of a store that has no runs which go on."""
    wait_until(lambda: len(supervisors(Path(store.path))) >= 3, LONG)
    return supervisors(Path(store.path))[1:]


def check_lost(run: Run) -> None:
    """A run that is lost says so, has no process, and leaves no socket or draft."""
    outcome = run.wait(timeout=LONG)
    assert (outcome.reason, run.state) == (Reason.LOST, State.LOST)
    assert outcome.message.startswith("its supervisor died before the run ended")
    assert list(run.follow()) == []
    wait_until(lambda: run.closed and marked(run.id) == [])
    wait_until(lambda: not os.path.exists(files_of(run).control_path))


@pytest.mark.parametrize("call", BEFORE.split(","))
def test_kill_before_each_call(store: Store, call: str):
    """Wherever its supervisor is killed before the command has its slot, the run is lost or still waits."""
    assert shutil.which("strace"), "expected strace, which `make test` installs as root"
    begin(store)
    marker, kills = f"{store.path}/spawned", 0
    with place_before(store):
        for when in range(1, MOST):
            pids = waiting(store)
            with killed_at(pids, call, when):
                run = start_queued(store, ["touch", marker])
                wait_until(lambda run=run: run.state in (State.QUEUED, State.LOST), LONG)
                if run.state is State.QUEUED:
                    with contextlib.suppress(RunFinished):  # it was killed while we looked
                        run.stop()
                    assert run.wait(timeout=LONG).reason in (Reason.STOPPED, Reason.LOST)
                if run.state is State.LOST:
                    check_lost(run)
                    # The next one would settle it first, and make more calls of each kind from kill to kill.
                    Path(store.path, "queues", "one", run.id).unlink(missing_ok=True)
                assert not os.path.exists(marker)
            if all(alive(pid) for pid in pids):
                break
            kills += 1
        else:
            raise AssertionError(f"expected fewer than {MOST} calls of {call}")
    assert kills > 0, f"expected a start to make the call {call}"
    assert not [name for name in os.listdir(store.path) if name.startswith(".new-")]


def killed_by_us(run: Run) -> bool:
    """Kill a run that goes on; return whether it did: its supervisor may be killed just behind the spawn."""
    if run.state is not State.RUNNING:
        return False
    with contextlib.suppress(RunFinished):
        run.kill()
    return run.wait(timeout=LONG).signal == signal.SIGKILL


@pytest.mark.parametrize("call", SPAWNING.split(","))
def test_kill_while_spawning(store: Store, call: str):
    """Wherever its supervisor is killed once the run has its slot, it is lost, and no process is left."""
    assert store.start(["true"]).wait(timeout=LONG).ok
    marker, kills = f"{store.path}/spawned", 0
    for when in range(1, MOST):
        with queued(store, ["sh", "-c", f"touch {marker}; exec sleep 600"]) as queue:
            wait_until(lambda run=queue.run: run.state is State.QUEUED, LONG)
            supervisor = files_of(queue.run).state()["supervisor"]
            with killed_at([supervisor], call, when):
                queue.give_slot()
                wait_until(lambda run=queue.run: run.state is State.LOST or os.path.exists(marker), LONG)
                wait_until(
                    lambda run=queue.run, pid=supervisor: run.state in (State.LOST, State.RUNNING), LONG
                )
            if killed_by_us(queue.run):
                break
            check_lost(queue.run)
        kills += 1
        Path(marker).unlink(missing_ok=True)
    else:
        raise AssertionError(f"expected fewer than {MOST} calls of {call}")
    assert kills > 0, f"expected a spawn to make the call {call}"
