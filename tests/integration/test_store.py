"""A store: its folder, what is in it, and the one that ends with its process."""

import json
import os
import signal
import subprocess
import sys
import threading
from itertools import takewhile
from pathlib import Path

import pytest

from runcast import Reason, Run, State, Store
from runcast.errors import FormatTooNew, RunActive, RunNotFound, StoreUnusable
from runcast.run.base import files_of
from tests.helpers.children import marked, run_python, supervisor_of
from tests.helpers.lost import end as end_all
from tests.helpers.stores import supervisors
from tests.helpers.wait import MS, wait_until

DEADLINE = 10000 * MS


def finished(store: Store, *command: str) -> Run:
    """Return a run that is over."""
    run = store.start(list(command) or ["true"])
    run.wait(timeout=DEADLINE)
    return run


def test_newest_first(store: Store):
    """Runs are listed newest first, all or as many as asked for."""
    runs = [finished(store) for _ in range(5)]

    assert [run.id for run in store.list()] == [run.id for run in reversed(runs)]
    assert [run.id for run in store.list(2)] == [runs[4].id, runs[3].id]
    assert list(Store(store.path + "-none").list()) == []


def test_get(store: Store):
    """A run is found by its id, also in capitals, and by enough of its beginning or end."""
    run, other = finished(store), finished(store)

    assert store.get(run.id).id == run.id
    assert store.get(run.id.upper()).id == run.id
    assert store.get(run.id[-6:]).id == run.id
    assert store.get(other.id[:24] if run.id[:24] != other.id[:24] else other.id).id == other.id


def test_not_found(store: Store):
    """An id that is none names those that look alike; one that is too short, or several runs', as well."""
    run, other = finished(store), finished(store)
    mistyped = run.id[:-2] + ("00" if run.id[-2:] != "00" else "11")

    with pytest.raises(RunNotFound, match="did you mean") as caught:
        store.get(mistyped)
    assert run.id in caught.value.near
    shared = "".join(
        a for a, _ in takewhile(lambda pair: pair[0] == pair[1], zip(run.id, other.id, strict=True))
    )
    with pytest.raises(RunNotFound) as caught:
        store.get(shared)
    assert set(caught.value.near) == {run.id, other.id}
    with pytest.raises(RunNotFound):
        store.get(run.id[-3:])


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../store", "/etc", "store.json", ".supervisors", "a" * 300, "\0", "é", "0" * 26, "*"],
)
def test_ids_that_are_paths(store: Store, name: str):
    """T9: nothing but the id of a run of this store names a folder."""
    finished(store)

    with pytest.raises(RunNotFound):
        store.get(name)


def test_remove(store: Store):
    """A removed run is gone with all its files, at once."""
    run, kept = finished(store, "echo", "hello"), finished(store)

    store.remove(run)

    assert [run.id for run in store.list()] == [kept.id]
    assert not [name for name in os.listdir(store.path) if run.id in name]
    with pytest.raises(RunNotFound):
        store.remove(run)
    store.remove(kept.id)
    assert list(store.list()) == []


@pytest.mark.slow
def test_remove_right_after_the_end(store: Store):
    """Who waited for the end can remove the run at once."""
    for _ in range(20):
        run = store.start(["true"])
        run.wait(timeout=DEADLINE)
        store.remove(run)

    assert list(store.list()) == []


def test_remove_active(store: Store):
    """A run that goes on is not removed."""
    run = store.start(["cat"], stdin="pipe")

    with pytest.raises(RunActive, match=f"run {run.id} is (starting|running): stop it first"):
        store.remove(run)
    run.send("still there", eof=True)
    assert run.output(timeout=DEADLINE) == "still there"


def test_remove_lost(store: Store):
    """R3: a lost run that nobody has looked at is settled, and removed."""
    run = store.start(["sleep", "60"])
    os.kill(supervisor_of(run), signal.SIGKILL)
    wait_until(lambda: not files_of(run).held)

    store.remove(run)
    assert list(store.list()) == []
    assert not marked(run.id)


def test_opened_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A store is named by a path, with a `~` or a `file:`, or by the environment."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RUNCAST_STORE", str(tmp_path / "environment"))
    monkeypatch.chdir(tmp_path)

    assert Store.open(tmp_path / "a").path == f"{tmp_path}/a"
    assert Store.open("~/a").path == f"{tmp_path}/a"
    assert Store.open(f"file:{tmp_path}/a").path == f"{tmp_path}/a"
    assert Store.open(f"file://{tmp_path}/a").path == f"{tmp_path}/a"
    assert Store.open("here").path == f"{tmp_path}/here"
    assert Store.open().path == f"{tmp_path}/environment"
    assert os.listdir(tmp_path) == []


def test_user_state_folder(tmp_path: Path):
    """With nothing named, the store is in the user's state folder."""
    code = "from runcast import Store; print(Store.open().path)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"XDG_STATE_HOME": str(tmp_path), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=DEADLINE,
    )

    assert done.stdout.strip() == f"{tmp_path}/runcast"


def test_unusable(tmp_path: Path):
    """What is no store is refused with what it is."""
    (tmp_path / "file").write_text("")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("")
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "store.json").write_text("{")
    (tmp_path / "newer").mkdir()
    (tmp_path / "newer" / "store.json").write_text(json.dumps({"format": 99}))

    for name, message in (
        ("file", "is a file: name a folder"),
        ("full", "holds other files: name another folder"),
        ("damaged", "is this a store?"),
    ):
        with pytest.raises(StoreUnusable, match=message):
            Store.open(tmp_path / name)
    with pytest.raises(FormatTooNew, match="has format 99, this runcast knows up to 1: upgrade runcast"):
        Store.open(tmp_path / "newer")
    with pytest.raises(StoreUnusable, match="expected a folder, file:FOLDER, memory:, redis://HOST or"):
        Store.open("sqlite://localhost")


@pytest.mark.root
def test_somebody_elses(tmp_path: Path):
    """T15: somebody else's folder is refused, whatever its permissions."""
    (tmp_path / "theirs").mkdir(mode=0o777)
    os.chown(tmp_path / "theirs", 65534, 65534)

    with pytest.raises(StoreUnusable, match="belongs to user 65534, this is root: use a store of your own"):
        Store.open(tmp_path / "theirs")


def test_not_writable(tmp_path: Path):
    """A place where no folder can be made is told at the first start."""
    (tmp_path / "file").write_text("")

    with pytest.raises(
        StoreUnusable, match=r"cannot write to the store .*: not a directory: make it writable"
    ):
        Store(f"{tmp_path}/file/store").start(["true"])


def test_abandoned_starts_are_swept(store: Store):
    """What a start that was killed half-way left is swept away, after a while."""
    run = finished(store)
    old, fresh = Path(store.path, f".new-{run.id}"), Path(store.path, f".gone-{run.id}")
    for folder in (old, fresh):
        folder.mkdir()
        (folder / "run.json").write_text("{}")
    os.utime(old, (0, 0))

    assert [run.id for run in store.list()] == [run.id]
    assert not old.exists()
    assert fresh.exists()


@pytest.mark.slow
def test_list_while_runs_come_and_go(store: Store):
    """A list that is read while runs are started and removed names only whole runs."""
    done = threading.Event()
    wrong: list[str] = []

    def look() -> None:
        while not done.is_set():
            for run in store.list():
                try:
                    assert run.command == ["true"]
                    assert run.state in (State.STARTING, State.RUNNING, State.EXITED)
                except RunNotFound:  # removed since
                    continue
                except Exception as error:
                    wrong.append(repr(error))

    looking = threading.Thread(target=look)
    looking.start()
    for _ in range(30):
        store.remove(finished(store))
    done.set()
    looking.join(DEADLINE)

    assert wrong == []


MEMORY = """
    import os, signal, sys
    from runcast import Store

    store = Store.open("memory:")
    done = store.start(["echo", "hello"])
    assert done.output() == "hello\\n"
    run = store.start(["sh", "-c", "trap '' TERM; echo up; while :; do sleep 60; done"])
    assert next(run.lines()) == "up"
    assert [one.id for one in store.list()] == [run.id, done.id]
    print(store.path, run.id, run.pid, flush=True)
    {end}
"""

ENDS = {
    "end": "",
    "exit": "sys.exit(0)",
    "error": "try:\n        raise OSError\n    except OSError: sys.exit(0)",
}


@pytest.mark.slow
@pytest.mark.parametrize("end", ENDS)
def test_memory(end: str):
    """A store in memory is gone when its process ends, and its runs with it."""
    path, run_id, _pid = run_python(MEMORY.format(end=ENDS[end])).split()

    assert not os.path.exists(path)
    assert marked(run_id) == []
    end_all(supervisors(Path(path)))  # of a store that is gone: they end by themselves, too


@pytest.mark.fault
def test_memory_of_a_killed_process():
    """R3: when its owner is killed, so are the runs of a store in memory; the next one sweeps the folder."""
    code = "import os, signal, subprocess, sys\n" + (
        "child = subprocess.Popen([sys.executable, '-c', sys.argv[1]], stdout=subprocess.PIPE)\n"
        "print(child.stdout.readline().decode(), flush=True); child.kill(); child.wait()"
    )
    inner = MEMORY.format(end="signal.pause()").replace("\n    ", "\n").lstrip()
    path, run_id, _pid = run_python(code, inner).split()

    wait_until(lambda: not marked(run_id), what="the end of the run")
    assert os.path.isdir(path)
    run_python("from runcast import Store; Store.open('memory:')")
    assert not os.path.exists(path)
    end_all(supervisors(Path(path)))  # of a store that is gone: they end by themselves, too


def test_memory_is_private():
    """A store in memory is for its user only, and another process's is another one."""
    said = run_python(
        "import os; from runcast import Store; one, two = Store.open('memory:'), Store.open('memory:');"
        "print(one.path, two.path, oct(os.stat(one.path).st_mode & 0o777))"
    )
    one, two, mode = said.split()

    assert one != two
    assert mode == "0o700"


def test_store_removed_under_a_run(store: Store, tmp_path: Path):
    """A run whose folder is removed by force leaves nothing behind, and the next start makes a new store."""
    run = store.start(["sh", "-c", "echo up; sleep 0.3; echo more; exec sleep 60"])
    assert next(run.lines()) == "up"
    pid = run.pid or 0
    os.rename(store.path, tmp_path / "away")

    assert finished(store).wait().ok
    moved = Run(str(tmp_path / "away" / run.id))
    moved.kill()
    assert files_of(moved).path != files_of(run).path
    wait_until(lambda: not os.path.exists(f"/proc/{pid}"), DEADLINE)


def test_reason_is_kept(store: Store):
    """How a run ended is the same for whoever comes later, in another process."""
    run = store.start(["sleep", "60"], timeout=0.05)
    outcome = run.wait(timeout=DEADLINE)
    code = "import sys; from runcast import Store; print(Store(sys.argv[1]).get(sys.argv[2]).outcome.reason)"

    assert outcome.reason is Reason.TIMED_OUT
    assert run_python(code, store.path, run.id) == "timed out\n"
