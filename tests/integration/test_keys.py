"""Keys: one run per key in a store, whoever starts it and however many at once."""

import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from runcast import Store
from runcast.errors import RunExists, UsageError
from tests.helpers.children import run_python
from tests.helpers.wait import MS, wait_until

DEADLINE = 20000 * MS


def count():
    """A generator whose first value is asked for by nobody."""
    yield "one"


def test_same_run(store: Store):
    """Whoever starts with the same key gets the same run, also when it has ended; another key is another."""
    first = store.start(["echo", "x"], key="build")
    again = store.start(["echo", "x"], key="build")
    first.wait(timeout=DEADLINE)
    later = Store(store.path).start(["echo", "x"], key="build")
    other = store.start(["echo", "x"], key="build 2")

    assert first.id == again.id == later.id != other.id
    assert first.request["key"] == "build"
    assert len(list(store.list())) == 2


def test_functions_and_generators(store: Store):
    """Functions and generators have keys as commands have, and are called once."""
    called = []
    runs = [store.start(called.append, 1, key="f", name="append") for _ in range(3)]
    generators = [store.start(count, key="g") for _ in range(3)]

    assert len({run.id for run in runs}) == len({run.id for run in generators}) == 1
    assert runs[0].wait(timeout=DEADLINE).ok
    assert called == [1]
    assert generators[2].output() == "one\n"


@pytest.mark.parametrize(
    ("source", "options"),
    [
        (["echo", "y"], {}),
        (["echo", "x"], {"name": "other"}),
        (count, {"name": "echo"}),
        (print, {"name": "echo"}),
        (["echo", "x"], {"view": "page"}),
    ],
    ids=["command", "name", "generator", "function", "view"],
)
def test_different_request(store: Store, source: object, options: dict[str, str]):
    """The key of a run that was started with other options is an error, and starts nothing."""
    first = store.start(["echo", "x"], key="build")

    with pytest.raises(RunExists, match=f"the key 'build' already names run {first.id}") as caught:
        store.start(source, key="build", **options)
    assert caught.value.http_status == 409
    assert [run.id for run in store.list()] == [first.id]


def test_freed_by_remove(store: Store):
    """A removed run's key names nothing any more."""
    first = store.start(["true"], key="build")
    first.wait(timeout=DEADLINE)
    store.remove(first)
    second = store.start(["sh", "-c", "true"], key="build")

    assert second.id != first.id
    assert store.start(["sh", "-c", "true"], key="build").id == second.id


def test_keys_of_stores(store: Store, tmp_path: Path):
    """A key belongs to its store, and any text is one: a path, an empty space, a long one."""
    keys = ["../../x", " ", "ü\0n", "k" * 10000, "\udcff"]
    runs = [store.start(count, key=key) for key in keys]
    other = Store(str(tmp_path / "other")).start(count, key=" ")

    assert len({run.id for run in [*runs, other]}) == 6
    assert [store.start(count, key=key).id for key in keys] == [run.id for run in runs]
    assert sorted(os.listdir(tmp_path)) == ["other", "store"]
    other.stop()
    other.wait(timeout=DEADLINE)


@pytest.mark.parametrize("key", ["", 7, b"x"])
def test_bad_keys(store: Store, key: object):
    """What is no key is an error at the start."""
    with pytest.raises(UsageError, match="expected a key of at least one character"):
        store.start(["true"], key=key)  # type: ignore[arg-type]


def test_threads(store: Store):
    """32 threads that start the same key have one child."""
    go, ids = threading.Barrier(32), []

    def start():
        go.wait()
        ids.append(store.start(["sleep", "1000"], key="one").id)

    threads = [threading.Thread(target=start) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(ids) == 32
    assert len(set(ids)) == 1
    assert len(list(store.list())) == 1


@pytest.mark.slow
def test_processes(store: Store, tmp_path: Path):
    """R14: 64 processes that start the same key have exactly one child, and all get its id."""
    marks = tmp_path / "marks"
    code = """
        import os, sys, runcast.starting
        from runcast import start
        children = []
        ready, go = os.pipe(), os.pipe()
        for _ in range(64):
            told, tell = os.pipe()
            if os.fork() == 0:
                os.close(go[1])
                os.read(go[0], 1)  # all at once, when the last writing end is closed
                try:
                    told = start(f"echo x >> {sys.argv[1]}", shell=True, key="one").id
                except BaseException as error:
                    told = repr(error)
                os.write(tell, told.encode())
                os._exit(0)
            os.close(tell)
            children.append(told)
        os.close(go[1])
        for told in children:
            print(os.read(told, 1000).decode())
    """
    ids = run_python(code, marks, timeout=60000 * MS).splitlines()

    assert len(ids) == 64
    assert len(set(ids)) == 1
    store.get(ids[0]).wait(timeout=DEADLINE)
    assert marks.read_text() == "x\n"
    assert [name for name in os.listdir(store.path) if name.startswith(".new-")] == []


STARTS = """
    import os, sys, runcast
    from runcast import starting

    def stop_here(*args, **kwargs):
        print("taken", flush=True)
        sys.stdin.read()
        os._exit(1)

    starting.launch = stop_here  # the key is taken, and nobody has the run yet
    runcast.start(["echo", "x"], key="build")
"""


@pytest.mark.fault
def test_starter_dies(store: Store):
    """A starter that dies between taking the key and the start does not keep it."""
    starter = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(STARTS)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with starter:
        assert starter.stdout is not None
        assert starter.stdout.readline() == "taken\n"
        started = []
        waits = threading.Thread(target=lambda: started.append(store.start(["echo", "x"], key="build")))
        waits.start()
        waits.join(0.2)
        assert started == []  # it waits for the one that has the key
        starter.kill()
        waits.join(DEADLINE)

    assert [run.output() for run in started] == ["x\n"]
    assert store.start(["echo", "x"], key="build").id == started[0].id


@pytest.mark.fault
def test_many_find_a_stale_key(store: Store):
    """Of many that find the key of a dead starter exactly one starts."""
    for number in range(5):
        dead = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(STARTS).replace("build", f"k{number}")],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            check=False,
        )
        assert dead.returncode == 1
        go, ids = threading.Barrier(16), []

        def start(key: str = f"k{number}", go: threading.Barrier = go, ids: list[str] = ids):
            go.wait()
            ids.append(store.start(["echo", "x"], key=key).id)

        threads = [threading.Thread(target=start) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(set(ids)) == 1
    wait_until(lambda: all(run.closed for run in store.list()), DEADLINE)


def test_start_that_fails(store: Store, monkeypatch: pytest.MonkeyPatch):
    """A start that fails frees the key, and leaves nothing behind."""
    store.start(["true"], name="warm").wait(timeout=DEADLINE)

    def fails(*args: object, **kwargs: object):
        raise OSError("no forkserver")

    with monkeypatch.context() as patch:
        patch.setattr("runcast.starting.launch", fails)
        with pytest.raises(Exception, match="no forkserver"):
            store.start(["echo", "x"], key="build")

    assert [name for name in os.listdir(store.path) if name.startswith(".new-")] == []
    assert store.start(["echo", "x"], key="build").output() == "x\n"


def test_damaged_key(store: Store):
    """A key that a power loss left empty keeps nobody waiting."""
    first = store.start(["echo", "x"], key="build")
    first.wait(timeout=DEADLINE)
    (link,) = [name for name in os.listdir(f"{store.path}/keys") if not name.startswith(".")]
    os.unlink(f"{store.path}/keys/{link}")
    Path(f"{store.path}/keys/{link}").touch()

    assert store.start(["echo", "x"], key="build").id != first.id
