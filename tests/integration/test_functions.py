"""Functions as runs: what they print, how they end, and how they are ended."""

import asyncio
import functools
import logging
import os
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar

import pytest

import runcast
import runcast.aio
from runcast import Reason, Run, RunStopped, State, Store
from runcast.errors import RunFinished, RunNotFound, UsageError, WaitTimeout
from runcast.run.base import files_of
from tests.helpers.children import run_python
from tests.helpers.wait import MS, wait_until

DEADLINE = 10000 * MS


class Signals:
    """What a test and the function that it started tell each other."""

    def __init__(self) -> None:
        self.begun, self.go, self.over = threading.Event(), threading.Event(), threading.Event()
        self.caught: list[BaseException] = []


@pytest.fixture
def signals() -> Signals:
    return Signals()


def begun(signals: Signals) -> None:
    assert signals.begun.wait(DEADLINE)


# What is captured


def test_prints(store: Store, capfd: pytest.CaptureFixture[str]):
    """What a function prints goes to its run, stdout and stderr apart, and nowhere else."""

    def job(times: int, *, word: str):
        for n in range(times):
            print(word, n)
        print("oh", file=sys.stderr)
        sys.stdout.buffer.write(b"raw\n")

    run = store.start(job, 2, kwargs={"word": "Task"})

    assert run.output() == "Task 0\nTask 1\noh\nraw\n"
    assert run.output(channel="stderr") == "oh\n"
    assert (run.name, run.request["source"], run.pid) == ("job", "function", os.getpid())
    assert capfd.readouterr() == ("", "")


def test_logging(store: Store):
    """Log handlers write to the run of the code that logs."""
    logger = logging.getLogger("runcast-test")
    handler = logging.StreamHandler()
    logger.addHandler(handler)

    def job():
        bound = logging.StreamHandler()
        logger.addHandler(bound)
        logger.warning("logged")
        logger.removeHandler(bound)

    try:
        run = store.start(job)
        assert run.output(channel="stderr") == "logged\nlogged\n"
    finally:
        logger.removeHandler(handler)


def test_warnings(store: Store):
    """A warning belongs to the run of the code that warns."""
    told = run_python(
        """
        import warnings, runcast
        print(runcast.start(warnings.warn, "careful").output(channel="stderr"), end="")
        """
    )

    assert "UserWarning: careful\n" in told


def test_tqdm_and_rich(store: Store):
    """A progress bar and a rich console draw into the run."""
    from rich.console import Console
    from tqdm import tqdm

    def job():
        for _ in tqdm(range(3), desc="train"):
            pass
        Console().print("[bold]done[/bold]")

    run = store.start(job)

    assert run.output(channel="stdout") == "done\n"
    assert "train: 100%" in run.output(channel="stderr")


def test_partial_lines(store: Store, signals: Signals):
    """Half a line is seen at once by who follows chunks."""

    def job():
        print("Password", end="")
        signals.go.wait()
        print("!")

    run = store.start(job)
    chunks = run.follow()
    first = next(chunks)
    signals.go.set()

    assert first is not None
    assert first.data == b"Password"
    assert run.output() == "Password!\n"


def test_threads_and_tasks(store: Store):
    """Threads, executors' jobs and tasks begun inside belong to the run."""

    def job():
        def work(name: str) -> str:
            print(name)
            current = runcast.current_run()
            return "none" if current is None else current.id

        thread = threading.Thread(target=work, args=("thread",))
        thread.start()
        thread.join()
        with ThreadPoolExecutor(1) as pool:
            found = [pool.submit(work, "pool").result(), *pool.map(work, ["map"])]

        async def main() -> list[str]:
            return [await asyncio.to_thread(work, "to_thread"), await asyncio.create_task(task())]

        async def task() -> str:
            return work("task")

        return found + asyncio.run(main())

    run = store.start(job)

    assert run.output() == "thread\npool\nmap\nto_thread\ntask\n"
    assert run.wait().value == [run.id] * 4


def test_nested(store: Store):
    """A run that a function starts has its own output, and is not its starter's current run."""
    found = {}

    def inner():
        print("inner")
        found["inner"] = runcast.current_run()

    def outer():
        print("before")
        run = store.start(inner)
        run.wait()
        print("after")
        found["outer"] = runcast.current_run()
        return run.id

    run = store.start(outer)

    assert run.output() == "before\nafter\n"
    assert store.get(str(run.wait().value)).output() == "inner\n"
    assert (found["inner"].id, found["outer"].id) == (run.wait().value, run.id)
    assert runcast.current_run() is None


def test_last_words(store: Store):
    """What is printed last, without a line end or a pause, is in the log when the run is closed."""
    runs = [store.start(lambda n=n: print(f"last {n}", end="")) for n in range(50)]

    assert [run.output() for run in runs] == [f"last {n}" for n in range(50)]


def test_apart(store: Store):
    """R19: 60 threads and 60 tasks print in 20 runs at once; no line is astray, none is torn."""
    _apart(store, 20, 3, 3, 100)


@pytest.mark.slow
def test_apart_many(store: Store):
    """R19 with 10^5 lines."""
    _apart(store, 20, 3, 3, 850)


def _apart(store: Store, runs: int, threads: int, tasks: int, lines: int) -> None:
    def job(mark: str):
        def prints(name: str):
            for n in range(lines):
                print(f"{mark} {name} {n}\n", end="")  # in one piece

        async def task(name: str):
            for n in range(lines):
                print(f"{mark} {name} {n}\n", end="")  # in one piece
                if n % 16 == 0:
                    await asyncio.sleep(0)

        async def main():
            await asyncio.gather(*(task(f"task{n}") for n in range(tasks)))

        workers = [threading.Thread(target=prints, args=(f"thread{n}",)) for n in range(threads)]
        for worker in workers:
            worker.start()
        asyncio.run(main())
        for worker in workers:
            worker.join()

    started = [store.start(job, f"run{n}") for n in range(runs)]
    names = [f"thread{n}" for n in range(threads)] + [f"task{n}" for n in range(tasks)]
    for number, run in enumerate(started):
        seen: dict[str, list[int]] = {}
        for line in run.output(timeout=60000 * MS).splitlines():
            mark, name, n = line.split(" ")
            assert mark == f"run{number}"
            seen.setdefault(name, []).append(int(n))
        assert sorted(seen) == sorted(names)
        assert all(numbers == list(range(lines)) for numbers in seen.values())


def test_prints_of_others(store: Store, signals: Signals, capsys: pytest.CaptureFixture[str]):
    """Code outside any run prints as ever while runs go on."""
    run = store.start(signals.go.wait)
    print("outside")
    signals.go.set()

    assert run.output() == ""
    assert capsys.readouterr().out == "outside\n"


def test_release_prints(store: Store, signals: Signals, capsys: pytest.CaptureFixture[str]):
    """After release_prints a run's prints go where they would without it; the next run captures again."""

    def job():
        print("captured")
        signals.begun.set()
        signals.go.wait()
        print("released")

    run = store.start(job)
    begun(signals)
    runcast.release_prints()
    signals.go.set()

    assert run.output() == "captured\n"
    assert capsys.readouterr().out == "released\n"
    assert store.start(print, "again").output() == "again\n"


# How it ends


@pytest.mark.parametrize("value", [None, 7, "x", [1, {"a": None}], {"loss": 0.25}], ids=repr)
def test_value(store: Store, value: object):
    """What a function returns is the outcome's value, for every process."""
    run = store.start(lambda: value)

    assert run.wait(timeout=DEADLINE).ok
    assert run.wait().value == value
    assert Store(store.path).get(run.id).to_json()["outcome"]["value"] == value


class Odd:
    def __repr__(self) -> str:
        raise RuntimeError("no name for this")


class OddDict(dict):
    def items(self):
        raise LookupError("no items")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ({1, 2}, "{1, 2}"),
        (float("inf"), "inf"),
        (Odd(), "<Odd whose repr fails: RuntimeError('no name for this')>"),
        (OddDict(a=1), "{'a': 1}"),
    ],
    ids=["set", "inf", "odd", "dict"],
)
def test_value_that_is_no_json(store: Store, value: object, shown: str):
    """What is no JSON is kept as its repr."""
    outcome = store.start(lambda: value).wait(timeout=DEADLINE)

    assert (outcome.ok, outcome.value) == (True, shown)


def test_huge_value(store: Store):
    """A value beyond a megabyte is cut, as its repr."""
    outcome = store.start(lambda: ["x" * 3_000_000]).wait(timeout=DEADLINE)

    assert outcome.ok
    assert str(outcome.value).startswith("['xxx")
    assert len(str(outcome.value)) <= 1024 * 1024


def test_exception(store: Store):
    """An exception is a failed outcome with exit code 1, its traceback on stderr, without our frames."""

    def job():
        print("begun")
        raise ValueError("bad number")

    run = store.start(job)
    outcome = run.wait(timeout=DEADLINE)
    errors = run.output(channel="stderr").splitlines()

    assert (outcome.reason, outcome.code, outcome.ok) == (Reason.EXITED, 1, False)
    assert outcome.message == "ValueError: bad number"
    assert (errors[0], errors[-1]) == ("Traceback (most recent call last):", "ValueError: bad number")
    assert [line for line in errors if line.startswith("  File ") and __file__ not in line] == []


@pytest.mark.parametrize(
    ("code", "expected", "said"),
    [(None, 0, ""), (0, 0, ""), (3, 3, ""), (257, 1, ""), ("no disk", 1, "no disk\n")],
)
def test_system_exit(store: Store, code: object, expected: int, said: str):
    """SystemExit means what it means to an interpreter."""
    run = store.start(sys.exit, code)

    assert (run.wait(timeout=DEADLINE).code, run.output()) == (expected, said)


def test_partial_and_objects(store: Store):
    """A partial, a bound method, an object that can be called, a class and a builtin are functions."""

    class Job:
        def __call__(self, word: str):
            print("called", word)

        def method(self):
            print("method")

    assert store.start(functools.partial(Job(), "x")).output() == "called x\n"
    assert store.start(Job().method).output() == "method\n"
    assert store.start(Job(), "y").output() == "called y\n"
    assert store.start(Job).wait(timeout=DEADLINE).ok
    assert store.start(print, 1, 2, kwargs={"sep": "-"}).output() == "1-2\n"


def test_returned_work(store: Store):
    """A function that only returns a generator or a coroutine fails, for nobody would go on with it."""

    def numbers():
        yield 1

    async def later():
        pass

    for function in (lambda: numbers(), lambda: later()):
        run = store.start(function)
        assert run.wait(timeout=DEADLINE).code == 1
        assert "expected a function that does its work when it is called" in run.output()


def test_arguments_are_checked(store: Store):
    """Arguments that a function does not take are an error at the start, and no run."""

    def job(times: int):
        pass

    with pytest.raises(UsageError, match=r"expected the arguments that job\(times: int\) takes"):
        store.start(job)
    with pytest.raises(UsageError, match="others go into kwargs="):
        store.start(job, 1, kwargs={"lr": 1})
    with pytest.raises(UsageError, match="expected cwd with a command or process=True only"):
        store.start(job, 1, cwd="/")
    with pytest.raises(UsageError, match="expected input with a command only, got a function"):
        store.start(job, 1, input="x")
    with pytest.raises(UsageError, match=r"expected a command .* a function or a generator, got 7"):
        store.start(7)
    assert list(store.list()) == []


def test_context_of_the_caller(store: Store):
    """A function sees its caller's context variables; what it sets there is its own."""
    who: ContextVar[str] = ContextVar("who")
    who.set("caller")

    def job():
        seen = who.get()
        who.set("function")
        return seen

    assert store.start(job).wait(timeout=DEADLINE).value == "caller"
    assert who.get() == "caller"


# How it is ended


def test_should_stop(store: Store, signals: Signals):
    """A function that asks whether it should stop may end as it likes; nothing is raised in it."""

    def job():
        signals.begun.set()
        while not runcast.should_stop():
            time.sleep(0.001)
        print("saving", end="")
        return "saved"

    assert runcast.should_stop() is False
    run = store.start(job)
    begun(signals)
    run.stop()
    outcome = run.wait(timeout=DEADLINE)

    assert (outcome.reason, outcome.code, outcome.value) == (Reason.STOPPED, 0, "saved")
    assert run.output() == "saving"
    assert outcome.ok is False


@pytest.mark.parametrize("step", ["print", "progress", "stderr"])
def test_stopped_at_the_next_step(store: Store, signals: Signals, step: str):
    """RunStopped is raised at the next print or progress, once: cleaning up may print."""

    def job():
        try:
            signals.begun.set()
            while True:
                if step == "progress":
                    runcast.progress(1)
                else:
                    print("tick", file=sys.stderr if step == "stderr" else sys.stdout)
                time.sleep(0.001)
        except Exception:
            print("not for this: it is no Exception")
        finally:
            print("cleaning up")
            print("done")

    run = store.start(job)
    begun(signals)
    run.stop()
    outcome = run.wait(timeout=DEADLINE)

    assert (outcome.reason, outcome.code, outcome.message) == (Reason.STOPPED, None, "")
    assert run.output().endswith("cleaning up\ndone\n")
    assert "Traceback" not in run.output()
    assert "not for this" not in run.output()


def test_kill_of_a_busy_loop(store: Store, signals: Signals):
    """A kill raises in a function that never prints, wherever it is."""

    def job():
        signals.begun.set()
        try:
            while True:
                pass
        except BaseException as error:
            signals.caught.append(error)
            raise

    run = store.start(job)
    begun(signals)
    run.kill()
    outcome = run.wait(timeout=DEADLINE)

    assert outcome.reason is Reason.STOPPED
    assert [type(error) for error in signals.caught] == [RunStopped]


@pytest.mark.slow
def test_traced_after_a_kill():
    """A program that is traced, by a debugger or profiler, goes on after a run was killed in a busy loop."""
    told = run_python(
        """
        import sys, runcast

        def busy():
            while True:
                pass

        sys.setprofile(lambda *_: None)
        for _ in range(10):
            run = runcast.start(busy)
            run.kill()
            print(run.wait().reason)
        """
    )

    assert told.split() == ["stopped"] * 10


def test_stop_insists(store: Store, signals: Signals):
    """A function that does not heed a stop is ended by force when the grace is over."""

    def job():
        signals.begun.set()
        while True:
            try:
                while True:
                    print("still here")
                    time.sleep(0.001)
            except RunStopped:
                signals.caught.append(RunStopped())
                if len(signals.caught) == 2:
                    raise

    run = store.start(job)
    begun(signals)
    run.stop(grace=0.1)

    assert run.wait(timeout=DEADLINE).reason is Reason.STOPPED
    assert len(signals.caught) == 2


@pytest.mark.slow
def test_one_that_cannot_be_stopped(store: Store, signals: Signals, capsys: pytest.CaptureFixture[str]):
    """What hangs in a call of C code is said to be over; what it does later reaches no run."""
    lock = threading.Lock()
    lock.acquire()

    def job():
        print("before")
        signals.begun.set()
        try:
            lock.acquire()
        finally:
            print("too late")
            runcast.progress(99)
            signals.over.set()

    run = store.start(job)
    begun(signals)
    run.kill()
    outcome = run.wait(timeout=DEADLINE)
    lock.release()
    assert signals.over.wait(DEADLINE)

    assert (outcome.reason, outcome.message) == (
        Reason.STOPPED,
        "its code does not end; a thread cannot be killed",
    )
    assert run.output() == "before\n"
    assert run.progress is None
    assert capsys.readouterr().out == "too late\n"


@pytest.mark.parametrize("lazy", [False, True])
def test_cleanup_of_a_forced_stop_prints(store: Store, signals: Signals, lazy: bool):
    """A stop by force is raised once: cleaning up prints, and goes on behind that."""

    def job():
        try:
            signals.begun.set()
            while True:
                sum(range(9))
        finally:
            print("cleaning up")
            print("done")

    def lazily():
        yield job()

    run = store.start(lazily() if lazy else job, **({"ahead": None} if lazy else {}))
    begun(signals)
    run.stop(grace=0)

    assert run.wait(timeout=DEADLINE).reason is Reason.STOPPED
    assert run.output() == "cleaning up\ndone\n"


def test_stop_twice_and_too_late(store: Store, signals: Signals):
    """A second stop is allowed; one after the end says that it has ended."""

    def job():
        signals.begun.set()
        while not runcast.should_stop():
            time.sleep(0.001)
        signals.go.wait()

    run = store.start(job)
    begun(signals)
    run.stop()
    run.stop()
    wait_until(lambda: run.state is State.STOPPING)
    signals.go.set()
    run.wait(timeout=DEADLINE)
    wait_until(lambda: run.closed)

    with pytest.raises(RunFinished, match="has ended"):
        run.stop()


def test_stop_from_inside(store: Store):
    """A function may stop its own run."""

    def job():
        run = runcast.current_run()
        assert run is not None
        run.stop()
        print("never")

    run = store.start(job)

    assert run.wait(timeout=DEADLINE).reason is Reason.STOPPED
    assert run.output() == ""


def test_signals_and_stdin(store: Store, signals: Signals):
    """A function takes neither signals nor stdin, and says so."""
    run = store.start(signals.go.wait)

    with pytest.raises(RunFinished, match="it runs in a thread, which takes no signals"):
        run.signal(10)
    with pytest.raises(RunFinished, match="it reads no stdin"):
        run.send("x")
    signals.go.set()
    assert run.wait(timeout=DEADLINE).ok


@pytest.mark.parametrize(
    ("limit", "reason"),
    [
        ({"timeout": 0.1}, Reason.TIMED_OUT),
        ({"idle_timeout": 0.1}, Reason.IDLE_TIMED_OUT),
        ({"stop_unwatched": 0.1}, Reason.STOPPED),
    ],
    ids=["timeout", "idle_timeout", "stop_unwatched"],
)
def test_limits(store: Store, limit: dict[str, float], reason: Reason):
    """A function is asked to stop when it takes too long, is silent, or watched by nobody."""

    def job():
        while not runcast.should_stop():
            time.sleep(0.001)

    assert store.start(job, **limit).wait(timeout=DEADLINE).reason is reason


@pytest.mark.slow
def test_not_idle(store: Store, signals: Signals):
    """Output is a sign of life."""

    def job():
        for n in range(40):
            print(n)
            time.sleep(10 * MS)

    assert store.start(job, idle_timeout=250 * MS).wait(timeout=DEADLINE).ok


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        ({"timeout": 0}, "expected timeout to be more than 0, got 0: leave it out for none"),
        ({"idle_timeout": -1}, "expected idle_timeout to be more than 0, got -1: leave it out for none"),
        ({"cap": "0"}, "expected cap as a size such as 4096, 64M or 1G, or none, got '0'"),
        ({"timeout": "1x"}, "expected timeout as a duration such as 90, 90s, 5m, 1h30m or 7d, got '1x'"),
    ],
)
def test_bad_limits(store: Store, limit: dict[str, object], message: str):
    """A limit that is none is an error at the start."""
    with pytest.raises(UsageError, match=message):
        store.start(print, **limit)


# async


def test_async_function(store: Store):
    """An async function runs on a loop of ours where its caller has none."""

    async def job(word: str):
        print(word)
        await asyncio.sleep(0)
        current = runcast.current_run()
        return current.id if current else None

    run = store.start(job, "hello")

    assert run.output() == "hello\n"
    assert run.wait().value == run.id
    assert store.start(job("coroutine")).output() == "coroutine\n"


@pytest.mark.parametrize("starter", ["store", "aio"])
def test_async_function_on_the_callers_loop(store: Store, starter: str):
    """Started inside a loop it runs there, beside its caller."""

    async def job():
        print("task")
        return id(asyncio.get_running_loop())

    async def main() -> bool:
        if starter == "aio":
            run = await runcast.aio.start(job, store=store)
        else:
            run = runcast.AsyncRun(files_of(store.start(job)).path)
        assert await run.output() == "task\n"
        return (await run.wait()).value == id(asyncio.get_running_loop())

    assert asyncio.run(main())


def test_waiting_for_itself(store: Store):
    """To block the loop that a run needs is an error, not a wait without an end."""

    async def job():
        print("task")

    async def values():
        yield "x"

    async def main() -> list[Run]:
        runs = [store.start(job), store.start(values)]
        for run in runs:
            for wait in (run.wait, run.output, run.follow, run.lines):
                with pytest.raises(UsageError, match=r"await runcast.aio.start\(...\)"):
                    wait()
            async_run = runcast.AsyncRun(files_of(run).path)
            await async_run.wait()
            await asyncio.to_thread(run.output)
        return runs

    assert [run.output() for run in asyncio.run(main())] == ["task\n", "x\n"]


def test_async_exception(store: Store):
    """An exception in a task is told as that of a function, and nothing is printed elsewhere."""

    async def job():
        raise ValueError("in a task")

    run = store.start(job)

    assert run.wait(timeout=DEADLINE).code == 1
    assert run.output().splitlines()[-1] == "ValueError: in a task"


def test_stop_cancels(store: Store, signals: Signals):
    """A stop cancels the task; what it does about that is its last words."""

    async def job():
        signals.begun.set()
        try:
            await asyncio.sleep(1000)
        finally:
            print("cancelled")

    run = store.start(job)
    begun(signals)
    run.stop()
    outcome = run.wait(timeout=DEADLINE)

    assert (outcome.reason, outcome.code) == (Reason.STOPPED, None)
    assert run.output() == "cancelled\n"


def test_cancelled_by_others(store: Store):
    """A task that somebody else cancels is a failed run."""

    async def job():
        await asyncio.sleep(1000)

    async def main() -> Run:
        run = store.start(job)
        await asyncio.sleep(0)
        for task in asyncio.all_tasks():
            if run.id in task.get_name():
                task.cancel()
        return run

    outcome = asyncio.run(main()).wait(timeout=DEADLINE)

    assert (outcome.reason, outcome.code, outcome.message) == (Reason.EXITED, 1, "its task was cancelled")


def test_closed_loop(store: Store):
    """A run whose loop was closed under it can still be stopped."""

    async def job():
        await asyncio.sleep(1000)

    loop = asyncio.new_event_loop()

    async def begin() -> Run:
        return store.start(job)

    run = loop.run_until_complete(begin())
    pending = asyncio.all_tasks(loop)
    loop.close()
    run.stop()

    assert run.wait(timeout=DEADLINE).reason is Reason.STOPPED
    for task in pending:  # or it complains that nobody awaited it
        task._log_destroy_pending = False
        task.get_coro().close()
    assert store.start(print, "next").output() == "next\n"


def test_many_tasks_apart(store: Store):
    """Many async runs in one loop keep their prints apart."""

    async def job(n: int):
        for _ in range(20):
            print(n)
            await asyncio.sleep(0)

    async def main() -> list[str]:
        runs = [await runcast.aio.start(job, n, store=store) for n in range(20)]
        return [await run.output() for run in runs]

    assert asyncio.run(main()) == [f"{n}\n" * 20 for n in range(20)]


# From elsewhere


def test_another_process(store: Store, signals: Signals):
    """Another process follows live, waits and stops."""

    def job():
        print("one", flush=True)
        signals.begun.set()
        while not runcast.should_stop():
            time.sleep(0.001)
        print("two")

    run = store.start(job)
    begun(signals)
    told = run_python(
        """
        import sys, runcast
        run = runcast.get(sys.argv[1])
        lines = run.lines()
        print(next(lines), run.state)
        run.stop()
        print(list(lines), run.wait(timeout=60))
        """,
        run.id,
    )

    assert told == "one running\n['two'] stopped, exit code 0\n"


def test_wait_timeout(store: Store, signals: Signals):
    """A wait only looks: its timeout leaves the run alone."""
    run = store.start(signals.go.wait)
    with pytest.raises(WaitTimeout, match="it goes on"):
        run.wait(timeout=0.05)
    signals.go.set()
    assert run.wait(timeout=DEADLINE).ok


def test_removed(store: Store):
    """A run of a function can be removed when it has ended, and leaves nothing in the store."""
    run = store.start(print, "x")
    run.wait(timeout=DEADLINE)
    store.remove(run)

    assert [name for name in os.listdir(store.path) if run.id in name] == []


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_removed_while_it_goes_on(store: Store, signals: Signals, caplog: pytest.LogCaptureFixture):
    """Somebody removes the folder of a function that goes on: it ends as ever, and one line says so."""
    run = store.start(lambda: print("begun") or signals.go.wait())
    wait_until(lambda: run.tail_offset > 0)
    shutil.rmtree(f"{store.path}/{run.id}")
    signals.go.set()

    wait_until(lambda: "its folder was removed while it went on" in caplog.text)
    with pytest.raises(RunNotFound):
        run.wait(timeout=DEADLINE)
    assert store.start(print, "another").output() == "another\n"


def test_subprocesses(store: Store):
    """What a function's subprocesses print is captured where they are given its stdout."""

    def job():
        print("before")
        subprocess.run(["echo", "from a child"], stdout=sys.stdout, check=True)
        print("after")

    assert store.start(job).output() == "before\nfrom a child\nafter\n"


def test_check(store: Store):
    """`check` judges a function as it does a command."""

    def job():
        sys.exit(3)

    with pytest.raises(runcast.errors.RunFailed, match="exit code 3"):
        store.start(job, check=True).wait(timeout=DEADLINE)


def test_with(store: Store, signals: Signals):
    """As a context manager it is stopped by an error in the block."""

    def job():
        signals.begun.set()
        while not runcast.should_stop():
            time.sleep(0.001)

    with pytest.raises(ZeroDivisionError), store.start(job) as run:  # noqa: PT012
        begun(signals)
        1 / 0  # noqa: B018

    assert run.wait(timeout=DEADLINE).reason is Reason.STOPPED


def test_while_asyncio_is_imported(store: Store):
    """A function runs while another thread is in the middle of importing asyncio."""
    printed = run_python(
        """
        import sys, threading, runcast

        def load():
            sys.settrace(pause)
            import asyncio

        def pause(frame, event, value):
            if frame.f_code.co_filename.endswith("asyncio/base_events.py"):
                begun.set()
                go_on.wait(60)

        def job():
            print("hello")
            go_on.set()

        begun, go_on = threading.Event(), threading.Event()
        assert "asyncio" not in sys.modules
        threading.Thread(target=load).start()
        begun.wait()
        run = runcast.start(job)
        outcome = run.wait(timeout=60)
        print(outcome.code, run.output())
        """
    )

    assert printed == "0 hello\n\n"
