"""Runs of a process that forks, ends or is killed: nothing is told falsely, nobody waits for ever."""

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import runcast
from runcast import Reason, State, Store
from runcast.run.base import files_of
from tests.helpers.children import fds, run_python
from tests.helpers.disk import small_disk
from tests.helpers.wait import MS, wait_until

DEADLINE = 15000 * MS

pytestmark = pytest.mark.fault


@pytest.fixture(scope="module", autouse=True)
def owners_go() -> Iterator[None]:
    """Leave when nothing lingers: tests of other modules count threads and descriptors."""
    yield
    wait_until(lambda: not [thread for thread in threading.enumerate() if "runcast owner" in thread.name])


@contextlib.contextmanager
def program(code: str) -> Iterator[subprocess.Popen[str]]:
    """A Python program that prints and reads lines; killed at the end."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    text = process.stdout.readline()
    assert text, "the program has ended"
    return text.strip()


ENDLESS = """
    import itertools, sys, threading, time, runcast

    def job():
        for n in itertools.count():
            print("line", n)
            time.sleep(0.01)

    def values():
        yield from map(str, itertools.count())

    async def later():
        for n in itertools.count():
            yield str(n)

    runs = [runcast.start(source) for source in (job, values, later)]
    print(*(run.id for run in runs), flush=True)
    sys.stdin.read()
"""


def test_process_is_killed(store: Store):
    """When a process is killed all its runs are lost: live viewers hear of it, and read all there was."""
    with program(ENDLESS) as process:
        runs = [store.get(run_id) for run_id in line(process).split()]
        viewers = [run.lines() for run in runs]
        for viewer in viewers:
            next(viewer)
        process.kill()
        process.wait()
        left = [list(viewer) for viewer in viewers]

    for run, lines in zip(runs, left, strict=True):
        outcome = run.wait(timeout=DEADLINE)
        assert (run.state, outcome.reason, outcome.code) == (State.LOST, Reason.LOST, None)
        assert len(lines) == run.log().lines - 1
        assert run.closed
    for run in runs:
        store.remove(run)


def test_many_viewers_of_a_lost_run(store: Store):
    """Many that find a lost run at once settle it once, and all say the same."""
    with program(ENDLESS) as process:
        run = store.get(line(process).split()[0])
        found = []
        threads = [
            threading.Thread(target=lambda: found.append(run.wait(timeout=DEADLINE))) for _ in range(16)
        ]
        for thread in threads:
            thread.start()
        process.kill()
        for thread in threads:
            thread.join()

    assert len(found) == 16
    assert len(set(found)) == 1
    assert found[0].reason is Reason.LOST


def test_leftovers_of_dead_owners(store: Store):
    """What dead processes leave in the store is swept by the next one, what is alive stays."""
    with program(ENDLESS) as dead, program(ENDLESS) as alive:
        for process in (dead, alive):
            line(process)
        dead.kill()
        dead.wait()
        owners = f"{store.path}/.owners"
        assert len(os.listdir(owners)) == 4
        run = store.start(print, "x")
        run.wait(timeout=DEADLINE)
        names = os.listdir(owners)

    assert len([name for name in names if not name.endswith(".sock")]) == 2
    assert len(names) == 4


def test_leftovers_of_half_made_owners(store: Store):
    """A lock file whose maker died making it is swept; one whose maker lives is not."""
    owners = Path(store.path, ".owners")
    owners.mkdir(parents=True)
    for name in (".dead", ".alive"):
        (owners / name).touch()
    with open(owners / ".alive") as alive:
        fcntl.flock(alive, fcntl.LOCK_EX)
        store.start(print, "x").wait(timeout=DEADLINE)
        names = os.listdir(owners)

    assert [name for name in names if name.startswith(".")] == [".alive"]


def test_owner_taken_for_dead(store: Store, monkeypatch: pytest.MonkeyPatch):
    """An owner whose lock file is swept before it is locked makes it anew."""
    lock, swept = fcntl.flock, []

    def sweep_first(fd: int, how: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{fd}"))
        if how == fcntl.LOCK_EX and path.parent.name == ".owners" and not swept:
            swept.append(path.name)
            path.unlink()
        lock(fd, how)

    monkeypatch.setattr(fcntl, "flock", sweep_first)
    go = threading.Event()
    run = store.start(go.wait)

    assert run.state is State.RUNNING  # which the lock of its owner tells
    assert swept[0] == f".{files_of(run).state()['owner']}"
    go.set()
    assert run.wait(timeout=DEADLINE).ok


def test_process_ends(store: Store):
    """A regular end asks functions to stop; they may clean up, and their outcome is told."""
    told = run_python(
        """
        import threading, time, runcast
        begun = threading.Barrier(4)

        def asks():
            begun.wait()
            while not runcast.should_stop():
                time.sleep(0.005)
            print("saved", end="")

        def prints():
            begun.wait()
            try:
                while True:
                    print("x")
                    time.sleep(0.005)
            finally:
                print("cleaned")

        def hangs():
            begun.wait()
            time.sleep(1000)

        runs = [runcast.start(job) for job in (asks, prints, hangs)]
        begun.wait()
        print(*(run.id for run in runs))
        """
    )

    asks, prints, hangs = map(store.get, told.split())
    assert (asks.wait(timeout=DEADLINE).reason, asks.output()) == (Reason.STOPPED, "saved")
    assert prints.wait(timeout=DEADLINE).reason is Reason.STOPPED
    assert prints.output().endswith("cleaned\n")
    assert hangs.wait(timeout=DEADLINE).reason in (Reason.STOPPED, Reason.LOST)
    assert hangs.closed
    assert os.listdir(f"{store.path}/.owners") == []


def test_prints_at_exit(store: Store):
    """What handlers at exit print reaches the process's own stdout, and nothing hangs."""
    told = run_python(
        """
        import atexit, time, runcast

        class Late:
            def __del__(self):
                print("finalized", flush=True)

        def job(late):
            atexit.register(print, "at exit")
            print("captured")
            while not runcast.should_stop():
                time.sleep(0.005)

        run = runcast.start(job, Late())
        next(run.lines())
        print(run.id)
        """
    ).split("\n")

    assert store.get(told[0]).output().startswith("captured\n")
    assert "at exit" in told


def test_signal_handler_and_finalizer_print(store: Store):
    """A print in a signal handler or in __del__, in the midst of prints and after the end: no deadlock."""
    told = run_python(
        """
        import gc, signal, sys, runcast

        class Late:
            def __init__(self):
                self.itself = self
            def __del__(self):
                sys.stdout.write("del\\n")  # in one piece: print makes two

        def handler(*_):
            sys.stdout.write("signal\\n")
            runcast.progress(1)
            # At no interval, which may be shorter than this takes: one in the other, without end.
            if going:
                signal.setitimer(signal.ITIMER_REAL, 0.0005)

        signal.signal(signal.SIGALRM, handler)
        with runcast.attach("block") as run:
            going = True
            signal.setitimer(signal.ITIMER_REAL, 0.0005)
            for n in range(20000):
                print("line", n)
                if n % 100 == 0:
                    Late()
                    runcast.progress(n)
                    gc.collect()
            going = False
            signal.setitimer(signal.ITIMER_REAL, 0)
        late = Late()
        late.itself = None
        del late
        print(run.id, run.wait())
        """,
        timeout=60000 * MS,
    ).split()

    run = store.get(told[-4])
    assert told[0] == "del"
    assert told[-3:] == ["exit", "code", "0"]
    output = run.output()
    assert output.count("signal\n") > 10
    assert output.count("del\n") == 200
    lines = output.replace("signal\n", "").replace("del\n", "")  # which may come in the midst of a line
    assert lines == "".join(f"line {n}\n" for n in range(20000))


FORKS = """
    import itertools, os, sys, time, runcast

    def job():
        n = 0
        while not runcast.should_stop():
            n += 1
            time.sleep(0.005)
        print("parent's last word")

    def values():
        yield from map(str, itertools.count())

    runs = [runcast.start(job), runcast.start(values)]
    next(runs[1].lines())
"""


def test_fork(store: Store):
    """A forked child follows its parent's runs and starts its own; its end changes nothing for them."""
    code = (
        FORKS
        + """
    told, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        lines = runs[1].lines()
        read = [next(lines) for _ in range(50)]  # demand from the child advances the parent's generator
        own = runcast.start(lambda: print("child's"))
        assert own.output() == "child's\\n", own.output()
        assert read == [str(n) for n in range(50)], read
        assert runcast.start(iter(["lazy"])).output() == "lazy\\n"
        os.write(tell, own.id.encode())
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    print(os.read(told, 100).decode(), *(run.id for run in runs), flush=True)
    print(*(run.state for run in runs), flush=True)
    sys.stdin.readline()
    """
    )
    with program(code) as process:
        own, job, values = map(store.get, line(process).split())
        assert line(process) == "running running"
        assert own.output() == "child's\n"
        job.stop()
        assert job.output() == "parent's last word\n"
        assert job.wait(timeout=DEADLINE).reason is Reason.STOPPED
        values.stop()
        assert values.wait(timeout=DEADLINE).reason is Reason.STOPPED


def test_forked_child_lives_on(store: Store):
    """The runs of a process that was killed are lost, though a child that it forked lives on."""
    code = (
        FORKS
        + """
    if os.fork() == 0:
        print(os.getpid(), *(run.id for run in runs), flush=True)
        time.sleep(1000)
    sys.stdin.read()
    """
    )
    with program(code) as process:
        child, *ids = line(process).split()
        try:
            runs = [store.get(run_id) for run_id in ids]
            assert [run.state for run in runs] == [State.RUNNING, State.RUNNING]
            process.kill()
            process.wait()
            assert [run.wait(timeout=DEADLINE).reason for run in runs] == [Reason.LOST, Reason.LOST]
        finally:
            os.kill(int(child), signal.SIGKILL)


def test_prefork(store: Store):
    """Workers forked before the first start, as gunicorn's are, own their runs; who dies loses its own."""
    code = """
    import itertools, os, sys, runcast
    from runcast import start  # loaded before the fork

    def values():
        yield from map(str, itertools.count())

    pids = []
    for _ in range(2):
        told, tell = os.pipe()
        pid = os.fork()
        if pid == 0:
            run = start(values)
            next(run.lines())
            os.write(tell, run.id.encode())
            sys.stdin.readline()
            os._exit(0)
        print(pid, os.read(told, 100).decode(), flush=True)
    os.wait()
    os.wait()
    """
    with program(code) as process:
        (first, one), (second, two) = (line(process).split() for _ in range(2))
        try:
            os.kill(int(first), signal.SIGKILL)
            assert store.get(one).wait(timeout=DEADLINE).reason is Reason.LOST
            lines = store.get(two).lines()
            assert [next(lines) for _ in range(40)] == [str(n) for n in range(40)]
            assert store.get(two).state is State.RUNNING
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(second), signal.SIGKILL)


def test_fork_inside_a_run(store: Store):
    """A child that a function forks prints into the run; progress and stop stay the parent's."""
    told = run_python(
        """
        import os, sys, runcast

        def job():
            print("parent")
            pid = os.fork()
            if pid == 0:
                print("child", runcast.current_run(), runcast.should_stop(), flush=True)
                runcast.progress(99)
                os._exit(0)
            os.waitpid(pid, 0)
            print("after")

        run = runcast.start(job)
        print(run.id, run.wait(timeout=60), run.progress)
        """
    ).split()

    assert told[1:] == ["exit", "code", "0", "None"]
    assert store.get(told[0]).output() == "parent\nchild None False\nafter\n"


def test_multiprocessing(store: Store):
    """Children of multiprocessing start and follow runs, and end without ending anybody's."""
    told = run_python(
        """
        import multiprocessing, runcast

        def work(run_id):
            lines = runcast.get(run_id).lines()
            return next(lines), runcast.start(print, "x").output()

        def values():
            yield from map(str, range(100))

        if __name__ == "__main__":
            run = runcast.start(values, ahead=1)
            with multiprocessing.get_context("fork").Pool(2) as pool:
                print(pool.map(work, [run.id] * 4))
            print(run.output() == "".join(f"{n}\\n" for n in range(100)), run.state)
        """
    ).splitlines()

    assert told == [str([("0", "x\n")] * 4), "True exited"]


def test_owner_goes(store: Store, monkeypatch: pytest.MonkeyPatch):
    """A process that has no runs in a store any more keeps no thread, descriptor or file for it."""
    monkeypatch.setattr("runcast.supervisor.owner._LINGER_SECONDS", 0.02)
    for number in range(20):  # also when the next run comes in the very moment
        go = threading.Event()
        run = store.start(go.wait)
        assert os.listdir(f"{store.path}/.owners") != []
        assert run.state is State.RUNNING
        go.set()
        assert run.wait(timeout=DEADLINE).ok
        if number % 4 == 0:
            wait_until(lambda: os.listdir(f"{store.path}/.owners") == [])


def test_no_leaks(store: Store):
    """200 functions, generators and tasks later there is no thread and no descriptor more."""

    async def later():
        print("x")

    def values():
        yield "x"

    def round_of(count: int) -> None:
        runs = [store.start(source) for _ in range(count) for source in (later, values, lambda: print("x"))]
        assert {run.output() for run in runs} == {"x\n"}

    round_of(2)
    wait_until(lambda: not [t for t in threading.enumerate() if "sync" in t.name or "end of" in t.name])
    before = threading.active_count(), fds()
    round_of(66)

    wait_until(lambda: (threading.active_count(), fds()) <= before, DEADLINE, f"{before}")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Give a file system of 4 MiB."""
    with small_disk(tmp_path / "disk", 4 * 1024 * 1024) as place:
        yield place


@pytest.mark.root
def test_disk_is_full(disk: Path):
    """R9: a function that fills the disk ends as ever, and the outcome says what could not be kept."""

    def job():
        for n in range(80_000):
            print(f"{n:079d}")
        return "x" * 500_000

    def values():
        for n in range(80_000):
            yield f"{n:079d}"

    for source in (job, values):
        store = Store(str(disk / "store"))
        run = store.start(source, ahead=None)
        outcome = run.wait(timeout=DEADLINE)
        assert outcome.code == 0
        assert outcome.dropped > 1_000_000
        wait_until(lambda run=run: run.closed)
        assert run.tail_offset == 80_000 * 80
        if source is job:
            assert outcome.value is None
            assert "its value could not be kept" in outcome.message
        store.remove(run)


def test_trouble_of_one(store: Store, monkeypatch: pytest.MonkeyPatch):
    """A trouble of one run is not that of the others of its process."""
    go = threading.Event()

    def job():
        runcast.progress(1)
        runcast.progress(2)
        go.wait()
        print("fine")

    def broken(*_: object) -> None:
        raise RuntimeError("this one is broken")

    first = store.start(go.wait)
    from runcast.supervisor.owner import owner_of

    owner = owner_of(store.path)
    monkeypatch.setattr(owner.get(first.id), "handle", broken)
    owner.call_at(0.0, broken)
    with pytest.raises(runcast.errors.RunFinished, match="this one is broken"):
        first.stop()
    second = store.start(job)
    wait_until(lambda: (second.progress or {}).get("done") == 2)  # told by the owner's thread
    go.set()

    assert second.output() == "fine\n"
