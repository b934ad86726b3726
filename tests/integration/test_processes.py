"""Functions in processes of their own (`process=True`): imported there, captured at the descriptors."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from runcast import Reason, Run, State, Store
from runcast.errors import UsageError
from runcast.run.base import files_of
from tests.helpers.stores import _kill
from tests.helpers.wait import MS, wait_until

DEADLINE = 20000 * MS

JOBS = """
import asyncio, ctypes, os, subprocess, sys, time
import runcast

class Thing:
    def __init__(self, word): self.word = word

def says(word, end="\\n"):
    print("says", word, end=end)
    print("oh", file=sys.stderr)
    return {"word": word}

def descriptors():
    print("printed")
    os.system("echo shell")
    os.write(1, b"written\\n")
    libc = ctypes.CDLL(None)
    libc.puts(b"from C")
    libc.fflush(None)
    subprocess.run(["sh", "-c", "echo child >&2"])

def thing(thing):
    return thing.word

def fails():
    print("begun")
    raise ValueError("bad number")

def leaves(code):
    print("last words", end="")
    sys.exit(code)

def odd():
    return {1, 2}

async def later(word):
    print(word)
    await asyncio.sleep(0)
    return word

def progresses():
    for n in range(200):
        runcast.progress(n, 200, f"step {n}")

def waits():
    try:
        print("up", flush=True)
        while not runcast.should_stop():
            time.sleep(0.01)
    finally:
        print("cleaned up")

def cooperates():
    assert not runcast.should_stop()  # who has looked once gets no exception
    print("up", flush=True)
    while not runcast.should_stop():
        time.sleep(0.01)
    print("saved")
    return "value"

def tells():
    runcast.progress(1)
    runcast.progress(2)
    runcast.progress(3)
    print("up", flush=True)
    time.sleep(1000)

def sleeps():
    try:
        print("up", flush=True)
        time.sleep(1000)
    finally:
        print("cleaned up")

def stubborn():
    while True:
        try:
            print("up", flush=True)
            time.sleep(1000)
        except BaseException:
            pass

def where():
    run = runcast.current_run()
    return [run.id, os.environ["RUNCAST_RUN_ID"], os.getcwd(), os.environ.get("COLOUR"), os.getpid()]
"""


@pytest.fixture
def jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A module that is found by this process's `sys.path` only, and so must be by the run's."""
    folder = tmp_path / "modules"
    folder.mkdir()
    (folder / "jobs_of_a_test.py").write_text(JOBS)
    monkeypatch.syspath_prepend(str(folder))
    import jobs_of_a_test  # type: ignore[import-not-found]

    yield jobs_of_a_test
    del sys.modules["jobs_of_a_test"]


def script(folder: Path, text: str, *arguments: object, module: str | None = None) -> str:
    """Run a script, or a module of a package, as its users do; return what it printed."""
    path = folder / "script.py"
    if module is None:
        path.write_text(textwrap.dedent(text))
    done = subprocess.run(
        [sys.executable, *(["-m", module] if module else [str(path)]), *map(str, arguments)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_output_and_value(store: Store, jobs):
    """Its prints and its value arrive as those of a function here do."""
    run = store.start(jobs.says, "hello", kwargs={"end": "!"}, process=True)

    assert run.output(channel="stdout") == "says hello!"
    assert run.output(channel="stderr") == "oh\n"
    assert run.wait().ok
    assert run.wait().value == {"word": "hello"}
    assert (run.name, run.request["source"]) == ("says", "function")
    assert run.pid != os.getpid()


def test_descriptors(store: Store, jobs):
    """Whatever reaches descriptors 1 and 2 is output: of other programs, of C code."""
    run = store.start(jobs.descriptors, process=True)

    assert run.output(channel="stdout") == "printed\nshell\nwritten\nfrom C\n"
    assert run.output(channel="stderr") == "child\n"


@pytest.mark.slow
def test_arguments(store: Store, jobs):
    """Arguments are pickled; what is none of JSON's comes back as its repr."""
    assert store.start(jobs.thing, jobs.Thing("x"), process=True).wait(timeout=DEADLINE).value == "x"
    assert store.start(jobs.odd, process=True).wait(timeout=DEADLINE).value == "{1, 2}"


def test_exception(store: Store, jobs):
    """An exception is a traceback on stderr without our frames, and a failed outcome."""
    run = store.start(jobs.fails, process=True)
    outcome = run.wait(timeout=DEADLINE)
    errors = run.output(channel="stderr").splitlines()

    assert (outcome.reason, outcome.code, outcome.message) == (Reason.EXITED, 1, "ValueError: bad number")
    assert (errors[0], errors[-1]) == ("Traceback (most recent call last):", "ValueError: bad number")
    assert [line for line in errors if line.startswith("  File ") and "jobs_of_a_test" not in line] == []


@pytest.mark.parametrize(("code", "expected"), [(None, 0), (3, 3), ("no disk", 1)])
def test_system_exit(store: Store, jobs, code: object, expected: int):
    """SystemExit means what it means to an interpreter, and the last words are there."""
    run = store.start(jobs.leaves, code, process=True)

    assert run.wait(timeout=DEADLINE).code == expected
    assert run.output() == "last words" + ("no disk\n" if code == "no disk" else "")


def test_coroutine_function(store: Store, jobs):
    """An async function is run to its end."""
    run = store.start(jobs.later, "soon", process=True)

    assert run.output() == "soon\n"
    assert run.wait().value == "soon"


def test_progress(store: Store, jobs):
    """Readers see the latest progress, the last for certain."""
    run = store.start(jobs.progresses, process=True)
    run.wait(timeout=DEADLINE)

    assert run.progress is not None
    assert [run.progress[key] for key in ("done", "total", "text")] == [199, 200, "step 199"]


def test_where(store: Store, jobs, tmp_path: Path):
    """It knows its run, and gets the folder and the variables that were asked for."""
    run = store.start(jobs.where, process=True, cwd=tmp_path, env={"COLOUR": "blue"})

    assert run.wait(timeout=DEADLINE).value == [run.id, run.id, str(tmp_path), "blue", run.pid]


def up(run: Run) -> Run:
    assert next(run.lines()) == "up"
    return run


def test_stop(store: Store, jobs):
    """A stop is an exception in its main thread, and it may clean up."""
    run = up(store.start(jobs.sleeps, process=True))
    run.stop()
    outcome = run.wait(timeout=DEADLINE)

    assert outcome.reason is Reason.STOPPED
    assert run.output() == "up\ncleaned up\n"


def test_progress_of_the_stopped(store: Store, jobs):
    """What it last told of its progress is there also where it is stopped the next moment."""
    run = up(store.start(jobs.tells, process=True))
    run.stop()

    assert run.wait(timeout=DEADLINE).reason is Reason.STOPPED
    assert run.progress["done"] == 3


def test_should_stop(store: Store, jobs):
    """A function that looks out for a stop ends as it likes, as it does in a thread."""
    run = store.start(jobs.cooperates, process=True)
    lines = run.lines()
    assert next(lines) == "up"
    run.stop()
    outcome = run.wait(timeout=DEADLINE)

    assert (outcome.reason, outcome.code, outcome.value) == (Reason.STOPPED, 0, "value")
    assert list(lines) == ["saved"]


def test_kill(store: Store, jobs):
    """Unlike a thread it can be killed, whatever it does."""
    run = up(store.start(jobs.stubborn, process=True))
    run.kill()
    outcome = run.wait(timeout=DEADLINE)

    assert (outcome.reason, outcome.signal) == (Reason.STOPPED, signal.SIGKILL)


@pytest.mark.slow
def test_timeout(store: Store, jobs):
    """A limit stops it as it stops a command."""
    run = store.start(jobs.waits, process=True, timeout=0.5)

    assert run.wait(timeout=DEADLINE).reason is Reason.TIMED_OUT


@pytest.mark.fault
def test_survives_its_starter(store: Store, jobs, tmp_path: Path):
    """It goes on when the process that started it is killed, and ends as ever."""
    code = """
        import sys, time
        sys.path.insert(0, sys.argv[1])
        import jobs_of_a_test, runcast
        print(runcast.start(jobs_of_a_test.waits, process=True).id, flush=True)
        time.sleep(1000)
    """
    starter = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), os.path.dirname(jobs.__file__)],
        stdout=subprocess.PIPE,
        text=True,
    )
    with starter:
        assert starter.stdout is not None
        run = up(store.get(starter.stdout.readline().strip()))
        starter.kill()
        starter.wait()
        assert run.state is State.RUNNING
        run.stop()
        assert list(run.lines()) == ["up", "cleaned up"]


@pytest.mark.fault
def test_killed_from_outside(store: Store, jobs):
    """A kill that is not ours is told as one."""
    run = up(store.start(jobs.waits, process=True))
    assert run.pid is not None
    _kill([run.pid])
    outcome = run.wait(timeout=DEADLINE)

    assert (outcome.reason, outcome.signal, outcome.value) == (Reason.SIGNALED, signal.SIGKILL, None)


# Who may not


def inner_function():
    def inside():
        pass

    return inside


@pytest.mark.parametrize("source", [lambda: None, inner_function()], ids=["lambda", "inner"])
def test_not_importable(store: Store, source: object):
    """What another process cannot import is refused at the start, with what to do."""
    with pytest.raises(UsageError, match=r"one at the top of a module .* or leave process=True out"):
        store.start(source, process=True)
    assert list(store.list()) == []


def test_not_picklable(store: Store):
    """An argument that cannot be pickled is refused at the start, with what to do."""
    with pytest.raises(UsageError, match=r"expected arguments for 'dumps' that can be pickled.*pass what"):
        store.start(json.dumps, (n for n in []), process=True)
    with pytest.raises(UsageError, match="expected process=True with a function only, got a generator"):
        store.start(iter([1]), process=True)
    with pytest.raises(UsageError, match="expected process=True with a function only, got a command"):
        store.start(["true"], process=True)


def test_typed_into_a_session(store: Store):
    """A function that was typed in cannot be imported, and the error says so."""
    code = """
def typed(): pass
import runcast
from runcast.errors import UsageError
try:
    runcast.start(typed, process=True)
except UsageError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "'typed' was typed into a session: put it into a file" in done.stdout


def test_script(store: Store, tmp_path: Path):
    """A function of the script itself works, under `if __name__ == "__main__"`; so do classes of it."""
    told = script(
        tmp_path,
        """
        import runcast, sys

        class Model:
            name = "net"

        def train(model, rate):
            print("training", model.name, rate)
            return __name__

        if __name__ == "__main__":
            run = runcast.start(train, Model(), 0.1, process=True)
            print(run.output(), run.wait().value)
        """,
    )

    assert told == "training net 0.1\n __main__\n"


WORKERS = """
import multiprocessing, sys
import runcast

def work(number):
    for line in range(LINES):
        print("worker", number, line, "-" * 40, "end")
    return number

class Given:
    @staticmethod
    def work(number):
        return work(number)

def job(kind):
    if kind == "joblib":
        from joblib import Parallel, delayed
        return Parallel(n_jobs=2)(delayed(Given.work)(number) for number in range(2))
    with multiprocessing.get_context(kind).Pool(2) as pool:
        return pool.map(work, range(2), chunksize=1)

if __name__ == "__main__":
    run = runcast.start(job, sys.argv[1], process=sys.argv[2] == "process")
    print(run.wait())
    print(run.wait().value)
    print(run.output(), end="")
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "where"),
    [(kind, "process") for kind in ("fork", "spawn", "forkserver", "joblib")] + [("fork", "thread")],
)
def test_workers_of_a_script(store: Store, tmp_path: Path, kind: str, where: str):
    """A function of a script may have workers of any kind in its process, forked ones also in a thread.

    Their lines are whole.
    """
    lines = 2000
    told = script(tmp_path, WORKERS.replace("LINES", str(lines)), kind, where).splitlines()

    assert told[:2] == ["exit code 0", "[0, 1]"]
    assert sorted(told[2:]) == sorted(
        f"worker {worker} {line} {'-' * 40} end" for worker in range(2) for line in range(lines)
    )


STREAMS = """
import os, resource, subprocess, sys, threading

def in_order():
    print("one", end=" ")
    sys.stdout.buffer.write(b"two ")
    sys.stdout.buffer.raw.write(b"") or print("three", end=" ")
    os.write(1, b"four ")
    print("five", end=" ")
    subprocess.run(["printf", "six "])
    print("seven", end=" ")
    if os.fork() == 0:
        print("eight", end=" ")
        os._exit(0)
    os.wait()
    print("nine")

def question():
    print("Continue? ", end="")
    sys.stdin.read()
    threading.Event().wait(600)

def last_words():
    print("last words", end="")
    os._exit(7)

def long_lines():
    for number in range(20):
        print(str(number % 10) * 100_000)

def many_threads():
    def work(number):
        for line in range(3000):
            sys.stdout.write(f"thread {number} {line}\\n")
    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

def closes():
    print("closed", flush=True)
    sys.stdout.close()
    try:
        print("more")
    except ValueError as error:
        print(error, file=sys.stderr)

def prints_much():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(1_000_000):
        print("-" * 99)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before

def stops():
    number = 0
    while True:
        print("line", number)
        number += 1
"""


@pytest.fixture
def streams(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A module of functions that print in many ways."""
    (tmp_path / "streams_of_a_test.py").write_text(STREAMS)
    monkeypatch.syspath_prepend(str(tmp_path))
    import streams_of_a_test  # type: ignore[import-not-found]

    yield streams_of_a_test
    del sys.modules["streams_of_a_test"]


@pytest.mark.slow
def test_order_with_what_writes_to_descriptors(store: Store, streams):
    """What is printed is before what children, `os.write` and bytes say that come after it."""
    run = store.start(streams.in_order, process=True)

    assert run.output() == "one two three four five six seven eight nine\n"


def test_half_a_line_is_seen(store: Store, streams):
    """A question without an end of line is seen while it waits for its answer."""
    run = store.start(streams.question, process=True)
    chunk = next(chunk for chunk in run.follow(timeout=DEADLINE) if chunk)
    run.kill()

    assert chunk.data == b"Continue? "


def test_last_words_of_an_exit(store: Store, streams):
    """What was printed before `os._exit` is there."""
    run = store.start(streams.last_words, process=True)

    assert (run.output(), run.wait().code) == ("last words", 7)


@pytest.mark.slow
def test_long_lines(store: Store, streams):
    """A line that is longer than the kernel keeps together comes whole from one process."""
    run = store.start(streams.long_lines, process=True)

    assert run.output().splitlines() == [str(number % 10) * 100_000 for number in range(20)]


@pytest.mark.slow
def test_threads_of_a_process(store: Store, streams):
    """Each thread's lines are there, once, in its order."""
    run = store.start(streams.many_threads, process=True)
    lines = run.output().splitlines()

    for number in range(4):
        own = [int(line.split()[2]) for line in lines if line.split()[1] == str(number)]
        assert own == list(range(3000))


@pytest.mark.slow
def test_prints_faster_than_they_are_taken(store: Store, streams):
    """A function that prints faster than its output can be stored waits, and does not grow."""
    run = store.start(streams.prints_much, process=True)

    assert run.wait(timeout=60_000 * MS).value < 40_000  # KiB; it prints 97,656
    assert len(run.output(encoding=None)) == 100_000_000


@pytest.mark.slow
def test_closed_stdout(store: Store, streams):
    """A function that closes its stdout gets the error of plain Python when it prints on."""
    run = store.start(streams.closes, process=True)

    assert run.output(channel="stdout") == "closed\n"
    assert run.output(channel="stderr") == "I/O operation on closed file.\n"


@pytest.mark.slow
def test_stop_amid_prints(store: Store, streams):
    """A stop that comes while it prints costs no line and repeats none."""
    run = store.start(streams.stops, process=True)
    lines = run.lines(timeout=DEADLINE)
    next(lines)
    run.stop()
    assert run.wait(timeout=DEADLINE).reason is Reason.STOPPED
    *whole, _ = run.output(channel="stdout").split("\n")  # it is stopped in the midst of a line

    assert whole == [f"line {number}" for number in range(len(whole))]


def test_class_of_the_script(store: Store, tmp_path: Path):
    """A function of a module gets an object whose class is the script's."""
    (tmp_path / "elsewhere.py").write_text("def name_of(thing):\n    return thing.name\n")
    told = script(
        tmp_path,
        """
        import elsewhere, runcast

        class Model:
            name = "net"

        if __name__ == "__main__":
            run = runcast.start(elsewhere.name_of, Model(), process=True)
            print(run.wait().value, run.output())
        """,
    )

    assert told == "net \n"


def test_script_without_a_guard(store: Store, tmp_path: Path):
    """Without the guard the run fails with an error that says what is missing, and starts nothing."""
    told = script(
        tmp_path,
        """
        import runcast

        def train():
            print("training")

        run = runcast.start(train, process=True)
        print(run.output(), run.wait())
        """,
    )

    assert "expected 'train' to be started under `if __name__ == \"__main__\":`" in told
    assert "exit code 1" in told
    assert len(list(store.list())) == 1


def test_script_that_exits(store: Store, tmp_path: Path):
    """Where the script, imported, ends the process as servers do, the run says what is missing."""
    told = script(
        tmp_path,
        """
        import os, runcast, sys

        def train():
            print("training")

        if "RUNCAST_RUN_ID" in os.environ:
            sys.exit("the port is in use")
        run = runcast.start(train, process=True)
        print(run.output(), run.wait())
        """,
    )

    assert told.startswith(
        "expected a program that can be imported, it ended the process: put what it does under "
        '`if __name__ == "__main__":`\nthe port is in use\n'
    )
    assert "exit code 1" in told


def test_package(store: Store, tmp_path: Path):
    """A module of a package that is executed with -m keeps its relative imports."""
    package = tmp_path / "pack"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "other.py").write_text("WORD = 'relative'\n")
    (package / "program.py").write_text(
        textwrap.dedent(
            """
            import runcast
            from .other import WORD

            def job():
                print(WORD)

            if __name__ == "__main__":
                print(runcast.start(job, process=True).output())
            """
        )
    )

    assert script(tmp_path, "", module="pack.program") == "relative\n\n"


def test_module_that_does_not_import(store: Store, jobs, tmp_path: Path):
    """A module that cannot be imported there is a failed run that says why."""
    Path(jobs.__file__).write_text("raise ImportError('no licence today')\n")
    run = store.start(jobs.says, "x", process=True)

    assert run.wait(timeout=DEADLINE).code == 1
    assert "no licence today" in run.output(channel="stderr")


def test_leftovers(store: Store, jobs):
    """The call with its arguments is readable by nobody else."""
    run = store.start(jobs.says, "secret", process=True)
    run.wait(timeout=DEADLINE)

    modes = {
        name: os.stat(f"{files_of(run).path}/{name}").st_mode & 0o077 for name in ("call", "result.json")
    }
    assert modes == {"call": 0, "result.json": 0}


@pytest.mark.slow
def test_many(store: Store, jobs):
    """Several at once do not disturb each other."""
    runs = [store.start(jobs.says, str(n), process=True) for n in range(5)]

    wait_until(lambda: all(run.outcome for run in runs), DEADLINE)
    assert [run.output(channel="stdout") for run in runs] == [f"says {n}\n" for n in range(5)]


def test_async_face(store: Store, jobs):
    """It is started and awaited from a loop as well."""
    import asyncio

    import runcast.aio

    async def main() -> str:
        run = await runcast.aio.start(jobs.later, "word", process=True, store=store)
        return await run.output()

    assert asyncio.run(main()) == "word\n"
