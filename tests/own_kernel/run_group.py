"""Bounds of all processes of a run together, in a real cgroup v2 where this process is root, or nobody."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runcast import Outcome, Reason, Store
from tests.helpers.children import supervisor_of
from tests.helpers.stores import end_store
from tests.helpers.wait import wait_until

GROUPS = Path("/sys/fs/cgroup")
NOBODY = 65534
MIB = 1024 * 1024
# Starts one run with the limits of argv, as whoever and wherever this process is; prints how it ended.
START = """
import json, sys
from runcast import Store
run = Store(sys.argv[1]).start(sys.argv[3:], limits=json.loads(sys.argv[2]))
outcome = run.wait()
print(json.dumps([outcome.to_json(), run.output()]))
"""


@pytest.fixture(name="store")
def store_fixture(tmp_path: Path) -> Iterator[Store]:
    """A store, whose processes are gone behind the test."""
    store = Store(str(tmp_path / "store"))
    yield store
    end_store(Path(store.path))


def groups() -> list[str]:
    """Return the groups of runs that there are."""
    return [name for _, names, _ in os.walk(GROUPS) for name in names if name.startswith("runcast-")]


def ended(store: Store, script: str, **limits: Any) -> Outcome:
    """Run a shell script with limits to its end; its group is gone behind it."""
    run = store.start(["sh", "-c", script], limits=limits)
    outcome = run.wait(timeout=30)
    assert outcome is not None
    wait_until(lambda: groups() == [])
    return outcome


def takes(mebibytes: int) -> str:
    """Return a command that takes so much memory."""
    return f"{sys.executable} -S -c 'b = bytearray({mebibytes * MIB}); print(len(b))'"


def test_memory(store: Store):
    """A run whose processes take more than they may together is out of memory, with limit and peak."""
    outcome = ended(store, f"{takes(40)}; exec {takes(100)}", run_memory="64M")

    assert outcome.reason is Reason.OUT_OF_MEMORY
    assert outcome.message.startswith("the group's limit is 64 MiB, its peak was 6")
    assert outcome.usage is not None
    assert 60 * MIB < (outcome.usage.peak_memory_bytes or 0) <= 64 * MIB


def test_memory_of_a_child(store: Store):
    """Where a child was the victim and the code is 0, the outcome has a warning."""
    outcome = ended(store, f"{takes(100)} | cat; true", run_memory="64M")

    assert (outcome.reason, outcome.code) == (Reason.EXITED, 0)
    assert outcome.message == "1 process of this group was killed for lack of memory during the run"


def test_next_run(store: Store):
    """A run behind one that was out of memory hears nothing of it, and one without limits has no group."""
    assert ended(store, takes(100), run_memory="64M").reason is Reason.OUT_OF_MEMORY

    assert ended(store, takes(40), run_memory="64M").message == ""
    outcome = ended(store, "kill -9 $$")
    assert (outcome.reason, outcome.message) == (Reason.SIGNALED, "")


def test_processes(store: Store):
    """A run that starts more processes than it may gets an error for each beyond, and says so itself."""
    script = "sleep 60 & sleep 60 & sleep 60 & sleep 60 & sleep 60 & echo all"
    run = store.start(["dash", "-c", script], limits={"run_processes": 4})

    outcome = run.wait(timeout=30)

    assert outcome is not None
    assert outcome.code == 2
    assert "Cannot fork" in run.output()


def test_cpus(store: Store):
    """A run is throttled at so many processors, and its usage has all of its processes, ended or not."""
    own = "/sys/fs/cgroup$(cut -d: -f3 /proc/self/cgroup)"
    script = f"until grep -q 'nr_throttled [1-9]' {own}/cpu.stat; do :; done; cat {own}/cpu.max"
    run = store.start(["sh", "-c", script], limits={"run_cpus": 0.2})

    outcome = run.wait(timeout=30)

    assert outcome is not None
    assert run.output() == "20000 100000\n"
    assert outcome.usage is not None
    assert outcome.usage.cpu_seconds >= 0.02


def test_stop(store: Store):
    """What forks without end is gone when its run is stopped, and so is its group."""
    script = "trap '' TERM; f() { while :; do (setsid sh -c 'sleep 0.01') & done; }; f & f & echo on; f"
    run = store.start(["sh", "-c", script], limits={"run_processes": 200})
    wait_until(lambda: run.tail_offset > 0)

    run.kill()

    assert run.wait(timeout=30)
    wait_until(lambda: groups() == [])


def test_supervisor_killed(store: Store):
    """The group of a run whose supervisor was killed is gone at the latest behind a next start."""
    run = store.start(["sh", "-c", "echo on; exec sleep 600"], limits={"run_processes": 10})
    wait_until(lambda: run.tail_offset > 0)
    (group,) = groups()
    os.kill(supervisor_of(run), signal.SIGKILL)
    assert store.get(run.id).wait(timeout=30)

    wait_until(lambda: not (GROUPS / group / "cgroup.procs").read_text())
    assert ended(store, "true", run_processes=10).ok
    assert groups() == []


def test_with_other_limits(store: Store):
    """Limits of each process, a niceness and a user go together with those of all."""
    run = store.start(
        ["sh", "-c", "ulimit -n; nice; id -un; cut -d: -f3 /proc/self/cgroup"],
        limits={"open_files": 20, "run_memory": "64M"},
        nice=5,
        user="nobody",
        cwd="/",
    )
    assert run.wait(timeout=30)
    assert run.output().split() == ["20", "5", "nobody", f"/runcast-{run.id}"]


# In groups that others own


def started(
    folder: Path, group: Path | None, limits: dict[str, Any], *command: str
) -> tuple[dict[str, Any], str]:
    """Start a run as nobody, in a group; return its outcome and its output."""
    join = "" if group is None else f"echo $$ > {group}/cgroup.procs; "
    words = [
        "setpriv",
        f"--reuid={NOBODY}",
        f"--regid={NOBODY}",
        "--clear-groups",
        sys.executable,
        "-c",
        START,
    ]
    words += [str(folder / "store"), json.dumps(limits), *command]
    done = subprocess.run(
        ["sh", "-c", f'{join}exec "$@"', "sh", *words],
        check=False,
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert done.returncode == 0, done.stderr
    outcome, output = json.loads(done.stdout)
    return outcome, output


@pytest.fixture(name="folder")
def folder_fixture(tmp_path: Path) -> Iterator[Path]:
    """A folder of nobody's, for a store."""
    for one in (tmp_path, *tmp_path.parents[:2]):
        one.chmod(0o755)
    os.chown(tmp_path, NOBODY, NOBODY)
    yield tmp_path
    end_store(tmp_path / "store")


def delegated(name: str) -> Path:
    """Return a new group that systemd would have given to nobody."""
    (GROUPS / "cgroup.subtree_control").write_text("+memory +pids +cpu")
    group = GROUPS / name
    group.mkdir()
    for path in (
        group,
        *(group / file for file in ("cgroup.procs", "cgroup.subtree_control", "cgroup.threads")),
    ):
        os.chown(path, NOBODY, NOBODY)
    return group


def test_not_delegated(folder: Path):
    """Who has no group to divide hears how to get one; the run did not start."""
    outcome, output = started(folder, None, {"run_memory": "64M"}, "echo", "one")

    assert (outcome["reason"], outcome["code"], output) == ("failed to start", 125, "")
    assert "no group of cgroup v2 is delegated to this process: start runcast in" in outcome["message"]


def test_group_of_others(tmp_path: Path):
    """root is not let divide the root of all groups from a group that somebody made in it."""
    group = GROUPS / "theirs"
    group.mkdir()
    words = [sys.executable, "-c", START, str(tmp_path / "store"), json.dumps({"run_memory": "64M"}), "true"]
    join = f'echo $$ > {group}/cgroup.procs; exec "$@"'
    done = subprocess.run(["sh", "-c", join, "sh", *words], check=True, capture_output=True, timeout=50)
    end_store(tmp_path / "store")

    outcome, _ = json.loads(done.stdout)
    assert outcome["reason"] == "failed to start"
    assert "no group of cgroup v2 is delegated to this process" in outcome["message"]
    assert groups() == []


def test_subgroup(folder: Path):
    """With DelegateSubgroup= the groups of runs are beside that of the server."""
    unit = delegated("unit")
    server = unit / "server"
    server.mkdir()
    os.chown(server, NOBODY, NOBODY)
    os.chown(server / "cgroup.procs", NOBODY, NOBODY)

    _, output = started(folder, server, {"run_memory": "64M"}, "cat", "/proc/self/cgroup")

    assert output.startswith("0::/unit/runcast-")
    assert (unit / "cgroup.subtree_control").read_text() == "memory\n"


def test_scope(folder: Path):
    """In a delegated group that has processes itself, these go into a group of their own."""
    scope = delegated("scope")

    _, output = started(folder, scope, {"run_memory": "64M", "run_processes": 9}, "cat", "/proc/self/cgroup")

    assert output.startswith("0::/scope/runcast-")
    assert (scope / "cgroup.procs").read_text() == ""
