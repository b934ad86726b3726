"""attach and record: what somebody else calls, recorded as runs."""

import asyncio
import contextlib
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import runcast
from runcast import Reason, Run, State, Store
from runcast.errors import StoreUnusable, UsageError
from runcast.run.base import files_of
from runcast.web.http.messages import Request
from runcast.web.responder import Responder
from tests.helpers.children import run_python
from tests.helpers.wait import MS, wait_until

DEADLINE = 20000 * MS


def only(store: Store) -> Run:
    """Return the one run of a store."""
    (run,) = store.list()
    return run


# attach


def test_attach(store: Store, capsys: pytest.CaptureFixture[str]):
    """What happens inside the block is the run's output; code around it prints as ever."""
    print("before")
    with runcast.attach("nightly backup") as run:
        print("inside")
        print("oh", file=sys.stderr)
        assert runcast.current_run().id == run.id  # type: ignore[union-attr]
        assert run.state is State.RUNNING
    print("after")

    assert run.output(channel="stdout") == "inside\n"
    assert run.output(channel="stderr") == "oh\n"
    assert (run.name, run.request["source"], run.wait().ok) == ("nightly backup", "function", True)
    assert only(store).id == run.id
    assert capsys.readouterr().out == "before\nafter\n"


def test_attach_live(store: Store):
    """A follower sees the output of a block while it goes on."""
    with runcast.attach("x") as run:
        lines = run.lines()
        for n in range(3):
            print(n)
            assert next(lines) == str(n)
    assert list(lines) == []


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), SystemExit(3)], ids=repr)
def test_exceptions_pass(store: Store, error: BaseException):
    """An exception ends the run as failed, and goes on."""
    with pytest.raises(type(error)), runcast.attach("x") as run:  # noqa: PT012
        print("begun")
        raise error

    outcome = run.wait(timeout=DEADLINE)
    assert outcome.code == (3 if isinstance(error, SystemExit) else 1)
    assert run.output(channel="stdout") == "begun\n"
    if not isinstance(error, SystemExit):
        assert type(error).__name__ in run.output(channel="stderr")
        assert "runcast/attached.py" not in run.output(channel="stderr")


def test_stop_leaves_the_block(store: Store):
    """A stop is raised at the next print, and the block is left without an error."""
    left = []
    with runcast.attach("x") as run:
        try:
            run.stop()
            wait_until(lambda: run.state is State.STOPPING)
            print("never")
        finally:
            print("cleaned")
            left.append(True)

    assert left == [True]
    assert run.output() == "cleaned\n"
    assert run.wait().reason is Reason.STOPPED


def test_attach_nested(store: Store):
    """A block inside another is a run of its own, and the outer one goes on behind it."""
    with runcast.attach("outer") as outer:
        print("one")
        with runcast.attach("inner") as inner:
            print("two")
        print("three")
        assert runcast.current_run().id == outer.id  # type: ignore[union-attr]

    assert (outer.output(), inner.output()) == ("one\nthree\n", "two\n")


def test_attach_progress(store: Store):
    """Progress is told of the innermost run."""
    with runcast.attach("outer") as outer, runcast.attach("inner") as inner:
        runcast.progress(1, 2)

    assert outer.progress is None
    assert inner.progress is not None


def test_attach_in_tasks(store: Store):
    """Blocks in tasks of one loop keep their prints apart."""

    async def task(n: int) -> Run:
        with runcast.attach(f"task {n}") as run:
            for _ in range(10):
                print(n)
                await asyncio.sleep(0)
        return run

    async def main() -> list[Run]:
        return await asyncio.gather(*(task(n) for n in range(10)))

    assert [run.output() for run in asyncio.run(main())] == [f"{n}\n" * 10 for n in range(10)]


def test_attach_as_a_generators_block(store: Store):
    """A block around a yield, as fixtures have it, ends well wherever the generator is closed."""

    @contextlib.contextmanager
    def fixture() -> Iterator[Run]:
        with runcast.attach("fixture") as run:
            print("set up")
            yield run
            print("torn down")

    with fixture() as run:
        pass
    assert run.output() == "set up\ntorn down\n"

    def rows():
        with runcast.attach("rows") as run:
            yield run

    generator = rows()
    run = next(generator)
    import contextvars

    contextvars.copy_context().run(generator.close)
    assert run.wait(timeout=DEADLINE).code == 1
    print("nobody's")
    assert "nobody's" not in run.output()
    runcast.release_prints()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("", {}, "expected a name for the run, got ''"),
        (None, {}, "expected a name for the run, got None"),
        (
            "x",
            {"shell": True},
            "expected mask, timeout, idle_timeout, cap, keep, key, on_end, traceback or tee, got 'shell'",
        ),
        ("x", {"timeout": 0}, "expected timeout to be more than 0, got 0"),
        ("x", {"cap": "1 GB"}, "expected cap as a size such as 4096, 64M or 1G, or none, got '1 GB'"),
    ],
)
def test_bad_options(store: Store, name: str, options: dict[str, object], message: str):
    """A name that is none and an option without a meaning are errors, and no run."""
    with pytest.raises(UsageError, match=message), runcast.attach(name, **options):
        pass
    assert list(store.list()) == []


def test_attach_options(store: Store, tmp_path: Path):
    """Limits and the store are taken."""
    with runcast.attach("x", store=str(tmp_path / "other"), timeout=0.05) as run:
        wait_until(runcast.should_stop)

    assert run.wait().reason is Reason.TIMED_OUT
    assert files_of(run).path.startswith(str(tmp_path / "other"))
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnusable), runcast.attach("x", store=str(tmp_path / "file")):
        pass


def test_cap(store: Store):
    """The cap keeps head and tail of what is printed."""
    with runcast.attach("x", cap=64 * 1024) as run:
        for n in range(20_000):
            print(f"line {n:06d}")

    outcome = run.wait()
    assert outcome.ok
    assert outcome.truncated
    output = run.output()
    assert output.startswith("line 000000\n")
    assert output.endswith("line 019999\n")


# record


def test_record(store: Store):
    """Each call of a recorded function is a run; it returns what it returns."""

    @runcast.record
    def add(a: int, *, b: int) -> int:
        "Add."
        print(a, "+", b)
        return a + b

    assert add(1, b=2) + add(3, b=4) == 10
    runs = list(store.list())
    assert [run.output() for run in runs] == ["3 + 4\n", "1 + 2\n"]
    assert [run.wait().value for run in runs] == [7, 3]
    assert {run.name for run in runs} == {"add"}
    assert (add.__name__, add.__doc__) == ("add", "Add.")


@pytest.mark.parametrize("printed", [False, True], ids=["unopened", "open"])
@pytest.mark.parametrize("what", ["run", "store"])
def test_removed(store: Store, what: str, printed: bool, caplog: pytest.LogCaptureFixture):
    """A recorded function returns what it returns although somebody removes its run; that is said."""

    @runcast.record
    def job() -> int:
        if printed:
            print("kept")
        run = runcast.current_run()
        assert run is not None
        shutil.rmtree(store.path if what == "store" else f"{store.path}/{run.id}")
        print("nowhere to be kept")
        runcast.progress(1, 2)
        return 5

    assert job() == 5
    assert "its end could not be kept: its folder was removed while it went on" in caplog.text


def test_record_options(store: Store, tmp_path: Path):
    """It takes a name, a store and limits; methods and partials can be recorded."""

    class Backup:
        @runcast.record(name="the backup", store=str(tmp_path / "other"), timeout=60)
        def run(self, what: str) -> str:
            print(what)
            return what

    assert Backup().run("x") == "x"
    run = only(Store(str(tmp_path / "other")))
    assert (run.name, run.request["timeout"], run.output()) == ("the backup", 60, "x\n")
    assert runcast.record(functools.partial(int, base=2))("101") == 5
    with pytest.raises(UsageError, match="expected a function to record, got 'nightly'"):
        runcast.record("nightly")  # type: ignore[call-overload]


def test_record_exception(store: Store):
    """An exception goes to the caller, and is the run's."""

    @runcast.record
    def fails():
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fails()
    assert only(store).wait().message == "ValueError: no"
    assert "runcast/attached.py" not in only(store).output()


def test_record_async(store: Store):
    """An async function stays one; its calls at the same time are runs apart."""

    @runcast.record
    async def job(n: int) -> int:
        for _ in range(5):
            print(n)
            await asyncio.sleep(0)
        return n

    async def main() -> list[int]:
        return await asyncio.gather(*map(job, range(8)))

    assert asyncio.iscoroutinefunction(job)
    assert asyncio.run(main()) == list(range(8))
    outputs = {run.wait().value: run.output() for run in store.list()}
    assert outputs == {n: f"{n}\n" * 5 for n in range(8)}


def test_record_stop(store: Store):
    """A stop is raised in the function; its caller, who knows nothing of runs, gets an ordinary error."""
    begun = threading.Event()

    @runcast.record
    def job():
        begun.set()
        while True:
            print("tick")
            time.sleep(0.001)

    caught = []

    def caller():
        try:
            job()
        except Exception as error:
            caught.append(error)

    thread = threading.Thread(target=caller)
    thread.start()
    assert begun.wait(DEADLINE)
    run = only(store)
    run.stop()
    thread.join(DEADLINE)

    assert [str(error) for error in caught] == [f"run {run.id} was not ok: stopped"]
    assert run.wait(timeout=DEADLINE).reason is Reason.STOPPED


def test_record_nested(store: Store):
    """A recorded function that calls another: each has its own run and value."""

    @runcast.record
    def inner() -> str:
        print("inner")
        return "in"

    @runcast.record
    def outer() -> str:
        print("before")
        value = inner()
        print("after")
        return f"out {value}"

    assert outer() == "out in"
    assert {run.name: (run.output(), run.wait().value) for run in store.list()} == {
        "outer": ("before\nafter\n", "out in"),
        "inner": ("inner\n", "in"),
    }


# In a worker of somebody else


TASKS = """
    import sys, time
    from huey import {storage}
    import runcast

    huey = {storage}("tests", {place})

    @huey.task()
    @runcast.record(name="train")
    def train(times):
        print("PID", __import__("os").getpid())
        for n in range(times):
            print("step", n)
            runcast.progress(n, times)
            with open("go") as file:  # a fifo: it waits for the test
                file.read()
        return times

    @huey.task()
    @runcast.record(name="fails")
    def fails():
        raise ValueError("bad data")

    @huey.task()
    @runcast.record(name="endless")
    def endless():
        while True:
            print("on and on")
            time.sleep(0.01)
"""


@contextlib.contextmanager
def consumer(folder: Path, workers: str) -> Iterator[subprocess.Popen[bytes]]:
    """A real huey consumer."""
    command = [sys.executable, "-m", "huey.bin.huey_consumer", "tasks.huey", "-w", "1", "-k", workers, "-n"]
    with (folder / "consumer.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, stdout=log, stderr=log, env={**os.environ, "PYTHONPATH": str(folder)}
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["thread", "process"])
def test_huey(store: Store, tmp_path: Path, workers: str):
    """Tasks of a huey worker are followed live from here, fail as they do, and can be stopped."""
    tasks = TASKS.format(storage="SqliteHuey", place="filename='huey.db'")
    (tmp_path / "tasks.py").write_text(textwrap.dedent(tasks))
    os.mkfifo(tmp_path / "go")

    with consumer(tmp_path, workers) as process:
        enqueue = [sys.executable, "-c", "import tasks; tasks.train(3); tasks.fails()"]
        subprocess.run(enqueue, cwd=tmp_path, check=True)

        run = wait_until(lambda: named(store, "train"), DEADLINE, "the task's run")
        lines = run.lines()
        pid = next(lines).removeprefix("PID ")
        assert (pid == str(process.pid)) is (workers == "thread")
        for n in range(3):
            assert next(lines) == f"step {n}"
            (tmp_path / "go").write_text("")
        assert list(lines) == []
        assert run.wait(timeout=DEADLINE).value == 3
        assert run.progress is not None
        assert run.progress["done"] == 2

        failed = wait_until(lambda: named(store, "fails"), DEADLINE, "the other run")
        assert failed.wait(timeout=DEADLINE).message == "ValueError: bad data"

        subprocess.run([sys.executable, "-c", "import tasks; tasks.endless()"], cwd=tmp_path, check=True)
        endless = wait_until(lambda: named(store, "endless"), DEADLINE, "the endless run")
        assert next(endless.lines()) == "on and on"
        endless.stop()
        assert endless.wait(timeout=DEADLINE).reason is Reason.STOPPED

        # The worker that was stopped takes the next task.
        subprocess.run([sys.executable, "-c", "import tasks; tasks.fails()"], cwd=tmp_path, check=True)
        wait_until(lambda: sum(r.name == "fails" and r.closed for r in store.list()) == 2, DEADLINE)
    assert "step 0" not in (tmp_path / "consumer.log").read_text()


def named(store: Store, name: str) -> Run | None:
    return next((run for run in store.list() if run.name == name), None)


def test_a_script(store: Store):
    """A script that is one block is a run for all to see, also when it fails."""
    told = run_python(
        """
        import runcast, sys
        try:
            with runcast.attach("cron") as run:
                print("working")
                raise OSError("no network")
        except OSError:
            print(run.id)
        """
    ).split()

    run = only(store)
    assert told == [run.id]
    assert run.output(channel="stdout") == "working\n"
    assert run.wait(timeout=DEADLINE).message == "OSError: no network"


@pytest.mark.parametrize("any_command", [False, True])
def test_not_started_again_over_the_web(store: Store, any_command: bool):
    """Who asks a server to start a block again reads that it was no command, whatever it starts."""
    with runcast.attach("task") as run:
        pass
    responder = Responder(store, allow_any_command=any_command)
    reply = responder.respond(Request("POST", f"/runs/{run.id}/rerun", "", "", {}))
    assert reply.status == 400
    assert json.loads(reply.body)["detail"] == (
        "expected a run of a command, 'task' was a function: start it from the program that has it"
    )
