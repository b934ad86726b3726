"""Who supervises: the forkserver that fits the starter, one for each store and context."""

import contextlib
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from runcast import Reason, State, Store
from runcast.errors import UsageError
from runcast.run.base import files_of
from tests.helpers.children import PYTHON, marked, run_python, supervisor_of
from tests.helpers.programs import unshare
from tests.helpers.stores import supervisors, temporary_store
from tests.helpers.wait import MS, wait_until

DEADLINE = 5000 * MS


def forkservers(store: Store) -> list[int]:
    """Return the forkservers of a store: of all supervisors for one context, the parent."""
    contexts: dict[bytes, list[int]] = {}
    for pid in supervisors(Path(store.path)):
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        if b"forkserver" in command:  # still, and not a command that was just being executed
            contexts.setdefault(command, []).append(pid)
    return [pid for pids in contexts.values() for pid in pids if parent(pid) not in pids]


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[1])


@pytest.mark.slow
def test_context_of_the_starter(store: Store):
    """A command has the umask, limits, niceness and processors of whoever starts it."""
    assert store.start(["true"]).wait(timeout=DEADLINE).ok  # another forkserver, of this context

    said = run_python(
        """
        import os, resource, sys
        from runcast import Store

        os.umask(0o027)
        os.nice(3)
        resource.setrlimit(resource.RLIMIT_NOFILE, (200, 300))
        processor = max(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {processor})
        ask = "umask; nice; ulimit -n; ulimit -Hn; grep Cpus_allowed_list /proc/self/status"
        print(processor, *Store(sys.argv[1]).start(ask, shell=True).output().split())
        """,
        store.path,
    )

    processor, *seen = said.split()
    niceness = str(min(os.nice(0) + 3, 19))
    assert seen == ["0027", niceness, "200", "300", "Cpus_allowed_list:", processor]
    assert len(forkservers(store)) == 2


@pytest.mark.root
@pytest.mark.slow
def test_mounts_of_the_starter(store: Store, tmp_path: Path):
    """Two containers that share a store each run their commands on their own side."""
    (tmp_path / "place").mkdir()
    inside = (
        f"mount -t tmpfs none {tmp_path}/place && touch {tmp_path}/place/inside && exec "
        f'{sys.executable} -c "from runcast import Store; '
        f"print(Store('{store.path}').start(['ls', '{tmp_path}/place']).output())\""
    )
    command = [*unshare("--mount"), "sh", "-c", inside]
    assert store.start(["ls", str(tmp_path / "place")]).output() == ""

    done = subprocess.run(command, capture_output=True, text=True, timeout=20000 * MS, check=True)

    assert done.stdout.strip() == "inside"


@pytest.mark.slow
def test_first_start_by_several_processes(store: Store):
    """Processes that start a store's first run at the same moment share one forkserver."""
    code = (
        "import sys; from runcast import Store; sys.stdin.read(); Store(sys.argv[1]).start(['true']).wait()"
    )
    starters = [
        subprocess.Popen([sys.executable, "-c", code, store.path], stdin=subprocess.PIPE) for _ in range(4)
    ]
    for starter in starters:
        assert starter.stdin is not None
        starter.stdin.close()
    codes = [starter.wait(timeout=20000 * MS) for starter in starters]

    assert codes == [0] * 4
    assert len(list(store.list())) == 4
    assert len(forkservers(store)) == 1


@pytest.mark.slow
@pytest.mark.parametrize("attempt", range(5))
def test_first_start_by_several_threads(store: Store, attempt: int):
    """Threads that start a store's first run at the same moment all get a run."""
    together = threading.Barrier(8)
    outputs: list[str] = []

    def start() -> None:
        together.wait()
        outputs.append(store.start(["echo", "hello"]).output())

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20000 * MS)

    assert outputs == ["hello\n"] * 8
    assert len(forkservers(store)) == 1


def test_new_store_in_new_folders(tmp_path: Path):
    """A store is made with the folders above it, and is nobody else's business."""
    with temporary_store(tmp_path / "some" / "where" / "new") as store:
        run = store.start(["true"])

        assert run.wait(timeout=DEADLINE).ok
        assert os.stat(store.path).st_mode & 0o777 == 0o700
        modes = set()
        for entry in Path(files_of(run).path).rglob("*"):
            with contextlib.suppress(FileNotFoundError):  # the socket, which goes now
                modes.add(entry.stat().st_mode)
        assert {mode & 0o077 for mode in modes if not stat.S_ISSOCK(mode)} == {0}


def test_long_path(tmp_path: Path):
    """A store deep down, beyond what fits into the address of a socket, works like any other."""
    with temporary_store(tmp_path / ("d" * 200) / ("e" * 200)) as store:
        run = store.start(["cat"], stdin="pipe")
        run.send("hello\n")
        assert next(run.lines()) == "hello"
        run.stop()

        assert run.wait(timeout=DEADLINE).reason is Reason.STOPPED


def test_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A store named by a relative path stays where it was when this process moves."""
    monkeypatch.chdir(tmp_path)
    with temporary_store(tmp_path / "here"):
        store = Store("here")
        run = store.start(["echo", "hello"])
        monkeypatch.chdir("/")

        assert run.output() == "hello\n"
        assert (tmp_path / "here" / run.id).is_dir()


def test_no_place_for_a_socket(store: Store):
    """Where no forkserver can listen, a fresh interpreter supervises the run."""
    os.mkdir(store.path)
    Path(store.path, ".supervisors").touch()

    run = store.start(["cat"], stdin="pipe")
    run.send("hello\n")

    assert next(run.lines()) == "hello"
    assert not supervisors(Path(store.path))
    run.stop()
    assert run.wait(timeout=DEADLINE).reason is Reason.STOPPED


@pytest.mark.fault
def test_start_when_the_forkserver_was_killed(store: Store):
    """R3: a killed forkserver takes no run with it, and the next start does not wait for those."""
    first = store.start(["cat"], stdin="pipe")
    [forkserver] = forkservers(store)
    os.kill(forkserver, 9)

    second = store.start(["echo", "hello"])

    assert second.output(timeout=DEADLINE) == "hello\n"
    first.send("still there\n", eof=True)
    assert first.output(timeout=DEADLINE) == "still there\n"
    assert first.wait().ok


def test_environment_of_the_supervisor(store: Store, monkeypatch: pytest.MonkeyPatch):
    """A supervisor gets of the environment what its interpreter needs to start, and no secrets."""
    monkeypatch.setenv("LD_LIBRARY_PATH", "/some/where")
    monkeypatch.setenv("SOME_SECRET", "swordfish")
    monkeypatch.delenv("RUNCAST_RUN_ID", raising=False)

    run = store.start(["printenv", "SOME_SECRET"])

    assert run.output() == "swordfish\n"
    names = {line.partition(b"=")[0] for line in environment(supervisor_of(run)) if line}
    assert names == {b"PATH", b"LD_LIBRARY_PATH"}


def environment(pid: int) -> list[bytes]:
    return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")


def test_closed_descriptor(store: Store):
    """A descriptor that is not open is refused, and nothing is started."""
    reading, writing = os.pipe()
    os.close(reading)
    os.close(writing)

    with pytest.raises(UsageError, match=f"expected stdin to be .*, got {reading}"):
        store.start(["cat"], stdin=reading)
    assert list(store.list()) == []


@pytest.mark.slow
def test_nested_run(store: Store):
    """A run that starts a run has it supervised from within: stopped is both, and all they started."""
    code = (
        "from runcast import Store; "
        f"run = Store({store.path!r}).start(['sh', '-c', 'echo $$; sleep 60 & wait']); "
        "print(run.id, next(run.lines()), flush=True); run.wait()"
    )
    outer = store.start([PYTHON[0], "-c", code])
    inner_id, inner_pid = str(next(outer.lines())).split()
    assert len(forkservers(store)) == 2
    assert int(inner_pid) in marked(inner_id)

    outer.stop(grace=0.1)
    outer.wait(timeout=DEADLINE)

    wait_until(lambda: not marked(outer.id) and not marked(inner_id), what="the end of both runs")
    assert len(forkservers(store)) == 1
    assert store.get(inner_id).wait(timeout=DEADLINE).reason in (Reason.LOST, Reason.SIGNALED)


def test_nested_run_that_ends(store: Store):
    """What a nested run printed and how it ended is kept as of any other."""
    code = (
        f"from runcast import Store; run = Store({store.path!r}).start(['echo', 'inner']); "
        "print(run.id); print(run.wait())"
    )
    outer = store.start([PYTHON[0], "-c", code])
    inner_id, said = outer.output().split("\n")[:2]

    assert said == "exit code 0"
    assert store.get(inner_id).output() == "inner\n"
    assert store.get(inner_id).state is State.EXITED


@pytest.mark.slow
@pytest.mark.parametrize(
    "before",
    [
        "signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals())",  # as uWSGI's threads have it
        "signal.signal(signal.SIGCHLD, signal.SIG_IGN)",
    ],
    ids=["blocked", "ignored"],
)
def test_signals_of_the_starter(store: Store, before: str):
    """What its starter does with signals is none of a run: it ends, is stopped, and is seen to be lost."""
    said = run_python(
        f"""
        import os, signal
        from runcast import Store
        from tests.helpers.children import supervisor_of
        from tests.integration.supervisor.test_launch import parent

        {before}
        store = Store.open()
        print(store.start(["true"]).wait(timeout={DEADLINE}))
        run = store.start(["sleep", "60"])
        run.stop(grace=60)
        print(run.wait(timeout={DEADLINE}))
        served = []
        for _ in range(2):
            run = store.start(["sleep", "60"])
            served.append(parent(supervisor_of(run)))
            os.kill(supervisor_of(run), signal.SIGKILL)
            print(run.wait(timeout={DEADLINE}).reason)
        print("the same" if served[0] == served[1] else "another forkserver")
        """
    )
    assert said.splitlines() == ["exit code 0", "stopped, killed by SIGTERM", "lost", "lost", "the same"]
