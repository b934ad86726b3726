"""Hooks of runs whose supervisor is killed, and of helpers that are: done once, or interrupted."""

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from runcast import Reason, State, Store
from runcast.run.base import files_of
from runcast.supervisor.end_hooks import begin_hooks
from tests.helpers.children import supervisor_of
from tests.helpers.lost import alive, end, orphan, started
from tests.helpers.receivers import Handler, receiver
from tests.helpers.stores import supervisors
from tests.helpers.wait import MS, wait_until

LONG = 20000 * MS
LOOKERS = 8

pytestmark = [pytest.mark.fault, pytest.mark.slow]


def noting(file: Path) -> dict[str, object]:
    """Return a hook that appends a line to a file."""
    return {"command": ["sh", "-c", 'echo "$RUNCAST_HOOK_REASON" >> "$0"', str(file)]}


def done(run: object) -> bool:
    return all(hook["state"] != "waiting" for hook in run.hooks)  # type: ignore[attr-defined]


def test_lost_and_seen_by_many(store: Store, tmp_path: Path):
    """Eight processes find a lost run at once: its hooks are done once."""
    file = tmp_path / "noted"
    run = store.start(["sh", "-c", "echo ready; exec sleep 600"], on_end=[noting(file)])
    wait_until(lambda: run.tail_offset > 0, LONG)
    pid = run.pid
    assert pid is not None
    orphan(run)
    code = (
        "import sys; from runcast import Store; sys.stdin.read(1); "
        "print(Store(sys.argv[1]).get(sys.argv[2]).state)"
    )
    lookers = [
        subprocess.Popen([sys.executable, "-c", code, store.path, run.id], stdin=subprocess.PIPE)
        for _ in range(LOOKERS)
    ]
    for looker in lookers:
        looker.communicate(b"x", timeout=LONG)

    assert run.wait(timeout=LONG).reason is Reason.LOST
    wait_until(lambda: done(run), LONG)
    assert not alive(pid)
    assert file.read_text() == "lost\n"
    assert Path(files_of(run).path, "hooks").read_text().count('"pid"') == 1


def test_lost_under_a_forkserver(store: Store, tmp_path: Path):
    """The forkserver that sees a supervisor die begins the hooks, which outlive the next lost run."""
    file, gate = tmp_path / "noted", tmp_path / "gate"
    os.mkfifo(gate)
    waits = {"command": ["sh", "-c", f'read line < "{gate}"; echo "$line" >> "{file}"']}
    runs = [started(store, "echo ready; exec sleep 600", 1)[0]]
    runs.append(store.start(["sh", "-c", "exec sleep 600"], on_end=[waits]))
    wait_until(lambda: runs[1].pid is not None, LONG)
    for run in reversed(runs):
        state = json.loads(Path(files_of(run).path, "lock").read_text())
        os.kill(state["supervisor"], signal.SIGKILL)
        assert run.wait(timeout=LONG).reason is Reason.LOST
    wait_until(lambda: Path(files_of(runs[1]).path, "hooks").exists(), LONG)
    gate.write_text("through\n")
    wait_until(lambda: done(runs[1]), LONG)

    assert file.read_text() == "through\n"


@pytest.mark.parametrize("forkserver", ["alive", "killed"])
def test_lost_and_found_in_a_queue(store: Store, tmp_path: Path, forkserver: str):
    """Hooks that a run begins which waits behind a lost one are none of its own processes."""
    file, gate = tmp_path / "noted", tmp_path / "gate"
    os.mkfifo(gate)
    waits = {"command": ["sh", "-c", f'read line < "{gate}"; echo "$line" >> "{file}"']}
    lost = store.start(["sleep", "600"], queue="one", on_end=[waits])
    wait_until(lambda: lost.pid is not None, LONG)
    pid = lost.pid
    run = store.start(["sleep", "600"], queue="one")
    wait_until(lambda: run.state is State.QUEUED, LONG)
    supervisor = supervisor_of(lost)
    for one in [supervisors(Path(store.path))[0]] * (forkserver == "killed") + [supervisor]:
        os.kill(one, signal.SIGKILL)
    wait_until(lambda: run.state is State.RUNNING, LONG)
    wait_until(lambda: Path(files_of(lost).path, "hooks").exists(), LONG)
    run.stop(grace=600)
    assert run.wait(timeout=LONG).reason is Reason.STOPPED
    again = started(store, "echo ready; exec sleep 600", 1)[0]
    os.kill(supervisor_of(again), signal.SIGKILL)
    assert again.wait(timeout=LONG).reason is Reason.LOST
    gate.write_text("through\n")
    wait_until(lambda: done(lost), LONG)

    assert pid is not None
    assert not alive(pid)
    assert file.read_text() == "through\n"


def test_many_helpers(store: Store, tmp_path: Path):
    """Of helpers that are begun again and again one does the hooks."""
    file = tmp_path / "noted"
    hooks = [noting(file) | {"when": ["always"], "timeout": 60.0}]
    run = store.start(["true"], on_end=hooks)
    run.wait(timeout=LONG)
    for _ in range(LOOKERS):
        begin_hooks(files_of(run).path, hooks)
    wait_until(lambda: done(run), LONG)
    wait_until(lambda: helpers(run.id) == [], LONG)

    assert file.read_text() == "exited\n"


def helpers(run_id: str) -> list[int]:
    """Return the helper processes of a run."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            line = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if b"runcast.hooks.main" in line and run_id.encode() in line:
            found.append(int(pid))
    return found


def test_helper_killed(store: Store, tmp_path: Path):
    """A helper that is killed leaves its hooks interrupted, done ones as they are, and nobody sends again."""

    def hang(handler: Handler) -> None:
        handler.rfile.read(1)

    file = tmp_path / "noted"
    with receiver(hang) as there:
        run = store.start(["true"], on_end=[noting(file), {"webhook": there.url, "timeout": "10m"}])
        run.wait(timeout=LONG)
        wait_until(lambda: there.received and run.hooks[0]["state"] == "delivered", LONG)
        (helper,) = helpers(run.id)
        os.kill(helper, signal.SIGKILL)
        wait_until(lambda: not alive(helper), LONG)
        begin_hooks(files_of(run).path, run.request["on_end"])
        wait_until(lambda: helpers(run.id) == [], LONG)
        states = [hook["state"] for hook in store.get(run.id).hooks]

    assert states == ["delivered", "interrupted"]
    assert len(there.received) == 1
    assert file.read_text() == "exited\n"


def test_masked_and_lost(store: Store, tmp_path: Path):
    """A hook whose secret only the supervisor had has failed, and says why; one without goes on."""
    with receiver() as there:
        hooks = [{"webhook": f"{there.url}/hunter22"}, noting(tmp_path / "noted")]
        run = store.start(["sleep", "600"], mask=["hunter22"], on_end=hooks)
        wait_until(lambda: run.pid is not None, LONG)
        pid = run.pid
        assert pid is not None
        orphan(run)
        assert run.wait(timeout=LONG).reason is Reason.LOST
        wait_until(lambda: done(run), LONG)
        end([pid])

    assert [hook["state"] for hook in run.hooks] == ["failed", "delivered"]
    assert "was masked" in run.hooks[0]["message"]
    assert there.received == []


def test_process_killed(store: Store, tmp_path: Path):
    """The hooks of a function whose process is killed are begun by the one that finds it lost."""
    file = tmp_path / "noted"
    code = f"""
        import os, signal, time
        from runcast import Store
        run = Store({store.path!r}).start(lambda: time.sleep(600), on_end={[noting(file)]!r})
        print(run.id, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    shown = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE)
    run = store.get(shown.stdout.decode().strip())
    assert run.wait(timeout=LONG).reason is Reason.LOST
    wait_until(lambda: done(run), LONG)

    assert file.read_text() == "lost\n"


def test_supervisor_killed_before_it_begins(store: Store, tmp_path: Path):
    """A supervisor that is killed between the end of its run and the hooks: the forkserver begins them."""
    assert shutil.which("strace"), "expected strace, which `make test` installs as root"
    store.start(["true"]).wait(timeout=LONG)
    file = tmp_path / "noted"
    wait_until(lambda: len(supervisors(Path(store.path))) >= 4, LONG)  # the last to be forked, too
    pids = supervisors(Path(store.path))[1:]
    # The first is that of the command.
    command = ["strace", "-o", "/dev/null", "-e", "inject=clone3:signal=KILL:when=2"]
    for pid in pids:
        command += ["-p", str(pid)]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as strace:
        assert strace.stderr is not None
        for _ in pids:
            assert b"attached" in strace.stderr.readline()
        run = store.start(["true"], on_end=[noting(file)])
        assert run.wait(timeout=LONG).ok
        wait_until(lambda: any(not alive(pid) for pid in pids), LONG)
        strace.terminate()
        strace.communicate(timeout=LONG)
    wait_until(lambda: done(run), LONG)

    assert file.read_text() == "exited\n"


def test_nothing_without_hooks(store: Store, tmp_path: Path):
    """Without hooks a supervisor starts its command and nothing else, and looks for no file of any."""
    assert shutil.which("strace"), "expected strace, which `make test` installs as root"
    store.start(["true"]).wait(timeout=LONG)
    wait_until(lambda: len(supervisors(Path(store.path))) >= 4, LONG)  # the last to be forked, too
    shown = tmp_path / "shown"
    command = ["strace", "-f", "-o", str(shown), "-e", "trace=%process,%file"]
    pids = supervisors(Path(store.path))[1:]
    for pid in pids:
        command += ["-p", str(pid)]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as strace:
        assert strace.stderr is not None
        for _ in pids:
            assert b"attached" in strace.stderr.readline()
        assert store.start(["true"]).wait(timeout=LONG).ok
        strace.terminate()
        strace.communicate(timeout=LONG)
    calls = shown.read_text()

    assert calls.count("execve(") == 1
    assert '/hooks"' not in calls
