"""One run in several hands: of other processes, forks, threads, and of whoever comes back later."""

import multiprocessing
import os
import threading
from pathlib import Path

import pytest

from runcast import Reason, Run, State, Store
from runcast.errors import RunFinished, RunNotFound
from runcast.run.base import files_of
from tests.helpers.children import Printer, collect, judge, run_python
from tests.helpers.wait import MS, wait_until

DEADLINE = 10000 * MS

WAITS = ["sh", "-c", "echo up; read line; echo $line"]


@pytest.mark.slow
def test_from_another_process(store: Store):
    """A run that one process starts is followed, stopped and read by any other."""
    said = run_python(
        "import sys; from runcast import Store;"
        "run = Store(sys.argv[1]).start(['sh', '-c', 'echo up; read line; echo $line'], stdin='pipe');"
        "print(run.id)",
        store.path,
    )
    run = store.get(said.strip())

    assert next(run.lines()) == "up"
    run.send("from another process\n")
    assert run.output(timeout=DEADLINE) == "up\nfrom another process\n"


@pytest.mark.slow
def test_starter_killed(store: Store):
    """R2: the death of whoever started a run, with all it had, is nothing to the run."""
    said = run_python(
        """
        import os, signal, subprocess, sys
        code = (
            "import os, sys; from runcast import Store;"
            "run = Store(sys.argv[1]).start(['sh', '-c', 'echo up; read line; echo $line'], stdin='pipe');"
            "print(run.id, next(run.lines()), flush=True); sys.stdin.read()"
        )
        starter = subprocess.Popen(
            [sys.executable, "-c", code, sys.argv[1]],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
        )
        print(starter.stdout.readline().split()[0])
        os.killpg(starter.pid, signal.SIGKILL)
        starter.communicate()
        """,
        store.path,
    )
    run = store.get(said.strip())

    assert run.state is State.RUNNING
    run.send("still there\n")
    assert run.output(timeout=DEADLINE) == "up\nstill there\n"


def test_after_a_fork(store: Store):
    """A forked child of a process that follows runs follows and starts runs of its own."""
    run = store.start(WAITS, stdin="pipe")
    chunks = run.follow(timeout=0.01)
    while next(chunks) is None:  # its first words, however late they come
        pass
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()

    def child() -> None:
        seen = [next(store.get(run.id).lines()), store.start(["echo", "of the child"]).output()]
        answers.put([*seen, [line for line in run.lines(timeout=0.05) if line is not None]])

    process = context.Process(target=child)
    process.start()
    try:
        run.send("to both\n")
        process.join(DEADLINE)

        assert process.exitcode == 0
        assert answers.get() == ["up", "of the child\n", ["up", "to both"]]
        assert data_of(chunks) == b"to both\n"
    finally:
        process.kill()


def test_follower_across_a_fork(store: Store):
    """A follower that was begun before a fork goes on in both processes."""
    run = store.start(WAITS, stdin="pipe")
    lines = run.lines()
    assert next(lines) == "up"
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(writing, str(next(lines)).encode())
        finally:
            os._exit(0)
    try:
        run.send("to both\n")

        assert next(lines) == "to both"
        assert os.read(reading, 100) == b"to both"
    finally:
        os.waitpid(pid, 0)
        os.close(reading)
        os.close(writing)


def test_removed_while_followed(store: Store):
    """Whoever follows a run, or waits for it, when it is removed is told that it is gone."""
    run, silent = store.start(["echo", "hello"]), store.start(["true"])
    lines, nothing = run.lines(), silent.lines()
    assert next(lines) == "hello"
    for one in (run, silent):
        one.wait(timeout=DEADLINE)
        store.remove(one)

    for follower in (lines, nothing):
        with pytest.raises(RunNotFound, match="no run"):
            list(follower)
    with pytest.raises(RunNotFound, match=f"no run '{run.id}' in the store {store.path}"):
        run.wait(timeout=DEADLINE)
    with pytest.raises(RunNotFound):
        run.kill()


def test_stopped_by_whoever_holds_it(store: Store):
    """Two objects of one run are one run: what one stops has ended for the other."""
    run = store.start(["sh", "-c", "echo up; exec sleep 60"])
    other = Run(files_of(run).path)
    assert next(other.lines()) == "up"
    other.stop()

    assert run.wait(timeout=DEADLINE).reason is Reason.STOPPED
    wait_until(lambda: run.closed)
    with pytest.raises(RunFinished):
        other.stop()


@pytest.mark.slow
def test_many_followers(store: Store, tmp_path: Path):
    """However many follow, early or late, each gets every byte once and in order."""
    printer = Printer(tmp_path / "copy", lines=2000, block=5, pause=0.0005)
    run = store.start(printer.argv)
    seen = []
    threads = [
        threading.Thread(target=lambda: seen.append(collect(store.get(run.id).follow()))) for _ in range(8)
    ]
    for at, thread in enumerate(threads):
        wait_until(lambda at=at: run.tail_offset > at * 20_000, DEADLINE)
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)

    assert len(seen) == 8
    for collected in seen:
        assert collected.faults == []
        assert judge(bytes(collected.data)) == (4000, 0, 0, 0, 0)
        assert collected.of("stdout") == printer.copy("stdout")
        assert collected.of("stderr") == printer.copy("stderr")


def test_resume(store: Store):
    """R17: a follower that comes back with its offset misses nothing and sees nothing twice."""
    run = store.start(["sh", "-c", "for i in 1 2 3 4 5 6; do echo $i; sleep 0.01; done"])
    seen, offset = b"", 0
    while True:
        chunk = next(run.follow(offset=offset), None)
        if chunk is None:
            break
        assert chunk.offset == offset
        seen += chunk.data
        offset = chunk.next

    assert seen == b"1\n2\n3\n4\n5\n6\n"


def data_of(chunks: object) -> bytes:
    return b"".join(chunk.data for chunk in chunks if chunk)
