"""Keys: one run per key in a store, whoever starts it and however many at once."""

import contextlib
import json
import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

import runcast
from runcast import Run, Store
from runcast.errors import RunExists, UsageError
from runcast.web.http.messages import Request
from runcast.web.responder import Responder
from tests.helpers.children import run_python
from tests.helpers.cli import cli
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


# attach and record


def test_next_attempt(store: Store):
    """The newest attempt takes the key from one that is over; all are found by it, newest first."""
    with runcast.attach("task", store=store, key="7") as first:
        pass
    with contextlib.suppress(ValueError), runcast.attach("task", store=store, key="7") as second:
        raise ValueError
    with runcast.attach("other", store=store, key="8"):
        pass

    assert [run.id for run in store.list(key="7")] == [second.id, first.id]
    assert [run.id for run in store.list(1, key="7")] == [second.id]
    assert list(store.list(key="9")) == []


def test_live_attempt(store: Store):
    """While an attempt goes on another one is an error that has its id, and so is any start."""
    with runcast.attach("task", store=store, key="7") as run:
        for begin in (
            lambda: runcast.attach("task", store=store, key="7").__enter__(),
            lambda: store.start(["true"], key="7"),
            lambda: store.start(print, key="7", name="task"),
        ):
            with pytest.raises(RunExists, match=f"names run {run.id}, which goes on") as caught:
                begin()
            assert caught.value.run_id == run.id
    assert store.start(["true"], key="7").id != run.id


def test_attempt_at_live_command(store: Store):
    """A block has no key of a command that goes on, and has it when the command is over."""
    command = store.start(["sleep", "60"], key="7")
    with pytest.raises(RunExists) as caught, runcast.attach("task", store=store, key="7"):
        raise AssertionError
    assert caught.value.run_id == command.id
    command.kill()
    command.wait(timeout=DEADLINE)
    with runcast.attach("task", store=store, key="7") as run:
        assert next(store.list(1, key="7")).id == run.id
    assert len(list(store.list())) == 2


@pytest.mark.fault
def test_lost_attempt(store: Store):
    """A key of a process that was killed in mid-run goes to the next attempt; the first one is lost."""
    code = (
        "import os, runcast\n"
        "with runcast.attach('task', key='7') as run:\n"
        "    print(run.id, file=os.fdopen(os.dup(1), 'w'), flush=True)\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == -9, done.stderr
    with runcast.attach("task", key="7") as run:
        pass

    assert [str(one.state) for one in store.list(key="7")] == ["exited", "lost"]
    assert [one.id for one in store.list(key="7")] == [run.id, done.stdout.strip()]


def test_many_attempts_at_once(store: Store):
    """Of many that begin at once one has the key, and the others learn its id."""
    begun, done, ids, refused = threading.Barrier(8), threading.Event(), [], []

    def attempt():
        begun.wait()
        try:
            with runcast.attach("task", store=store, key="7") as run:
                ids.append(run.id)
                done.wait(DEADLINE)
        except RunExists as error:
            refused.append(error.run_id)

    threads = [threading.Thread(target=attempt) for _ in range(8)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(refused) == 7, DEADLINE, "all others refused")
    done.set()
    for thread in threads:
        thread.join()

    assert refused == ids * 7
    assert [run.id for run in store.list()] == ids


def test_record(store: Store):
    """Each call of a recorded function may have a key of its own, made from its arguments."""

    @runcast.record(store=store, key=lambda order, **_: f"order {order}")
    def ship(order: int, fast: bool = False) -> None:
        with pytest.raises(RunExists):
            other(order)

    @runcast.record(store=store, key=lambda order: f"order {order}")
    def other(order: int) -> None:
        raise AssertionError

    ship(1)
    ship(2, fast=True)

    assert [run.request["key"] for run in store.list()] == ["order 2", "order 1"]
    assert next(store.list(key="order 1")).name.endswith("ship")


# finding them


@pytest.fixture(name="attempts")
def attempts_fixture(store: Store) -> list[str]:
    """Give the ids of the two attempts at one key, beside a run of another; the newest first."""
    for key in ("7", "7", "8"):
        with runcast.attach("task", store=store, key=key):
            print("for", key)
    return [run.id for run in store.list() if run.request["key"] == "7"]


def listed(store: Store, query: str) -> list[str]:
    """Return the ids in the list that a server gives."""
    reply = Responder(store).respond(Request("GET", "/runs", "", query, {"accept": "application/json"}))
    assert reply.status == 200
    return [run["id"] for run in json.loads(reply.body)["runs"]]


def test_list(store: Store, attempts: list[str]):
    """The list of a server has the runs of a key, the newest first, in pages as well."""
    for _ in range(2):
        assert listed(store, "key=7") == attempts
        assert listed(store, "key=7&limit=1") == attempts[:1]
        assert listed(store, f"key=7&before={attempts[0]}") == attempts[1:]
        assert listed(store, "key=9") == []


def test_newest_alone_is_read(store: Store, attempts: list[str], monkeypatch: pytest.MonkeyPatch):
    """The newest run of a key is found without a look at any other."""
    seen: list[str] = []
    read = Run.request.fget
    monkeypatch.setattr(Run, "request", property(lambda run: seen.append(run.id) or read(run)))

    assert listed(store, "key=7&limit=1") == attempts[:1]
    assert next(store.list(1, key="7")).id == attempts[0]
    assert set(seen) <= {attempts[0]}


def test_command_line(store: Store, attempts: list[str]):
    """`follow`, `log` and `wait` take the newest run of a key, and `ls` lists them all."""
    for verb in ("follow", "log"):
        assert cli(verb, "--key", "7").out == b"for 7\n"
    assert cli("wait", "--key", "7").code == 0
    lines = cli("ls", "--key", "7", "--json").out.splitlines()
    assert [json.loads(line)["id"] for line in lines] == attempts


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("follow", "--key", "9"), "no run '9' in the keys of the store"),
        (("log", "--key", "7", "last"), "expected ID or --key, got both"),
        (("follow",), "expected ID or --key, got neither"),
        (("wait",), "expected ID or --key, got neither"),
    ],
    ids=["unknown", "both", "neither", "neither-of-many"],
)
def test_command_line_refuses(store: Store, arguments: tuple[str, ...], words: str):
    """A key that nobody has, and a run that is named twice or not at all, are errors."""
    done = cli(*arguments)

    assert (done.code, words in done.err) == (2, True), done.err
