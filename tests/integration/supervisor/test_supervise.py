"""One run from its start to its outcome: exits, deadlines, and what is left behind."""

import os
import shutil
import signal
import threading
from pathlib import Path

import pytest

from runcast import Outcome, Reason, Run, State, Store
from runcast.errors import RunActive
from runcast.run.base import files_of
from tests.helpers.children import PYTHON, marked, supervisor_of
from tests.helpers.terminals import in_both
from tests.helpers.wait import MS, wait_until

DEADLINE = 5000 * MS


def started(store: Store, command: list[str], **options: object) -> Run:
    """Start a program and return its run when it has said something."""
    run = store.start(command, **options)
    assert next(run.lines(timeout=DEADLINE)) is not None
    return run


def said(outcome: Outcome) -> tuple[Reason, int | None, int | None]:
    return outcome.reason, outcome.code, outcome.signal


def test_exit_code(store: Store):
    """A program that ends by itself ends with its code."""
    assert said(store.start(["true"]).wait(timeout=DEADLINE)) == (Reason.EXITED, 0, None)
    assert said(store.start(["sh", "-c", "exit 42"]).wait(timeout=DEADLINE)) == (Reason.EXITED, 42, None)


def test_signaled(store: Store):
    """A program that a signal ends which nobody of ours sent is told as such, not as stopped."""
    run = store.start(["sh", "-c", "kill -SEGV $$"])

    assert said(run.wait(timeout=DEADLINE)) == (Reason.SIGNALED, None, signal.SIGSEGV)


def test_signal_is_no_stop(store: Store):
    """A run that ends by a signal which was sent on its own is signaled, not stopped."""
    run = started(store, ["sh", "-c", "echo up; exec sleep 60"])

    run.signal(signal.SIGTERM)

    assert said(run.wait(timeout=DEADLINE)) == (Reason.SIGNALED, None, signal.SIGTERM)


def test_timeout(store: Store):
    """A run that takes longer than its timeout is stopped, and its outcome says why."""
    run = store.start(["sleep", "60"], timeout=0.2)

    assert said(run.wait(timeout=DEADLINE)) == (Reason.TIMED_OUT, None, signal.SIGTERM)


@pytest.mark.slow
def test_timeout_is_a_stop(store: Store):
    """A program may tidy up when its timeout is over."""
    code = "trap 'echo bye; exit 3' TERM; echo up; while :; do sleep 0.01; done"
    run = store.start(["sh", "-c", code], timeout=500 * MS)

    assert said(run.wait(timeout=DEADLINE)) == (Reason.TIMED_OUT, 3, None)
    assert run.output(channel="stdout") == "up\nbye\n"


def test_timeout_not_reached(store: Store):
    """A timeout that is not reached changes nothing, however long it is."""
    for timeout in (60, 10_000_000, 1e18, float("inf")):
        assert store.start(["sleep", "0.01"], timeout=timeout).wait(timeout=DEADLINE).ok
        assert store.start(["sleep", "0.01"], idle_timeout=timeout).wait(timeout=DEADLINE).ok


@pytest.mark.slow
def test_idle_timeout(store: Store):
    """A run that is silent for longer than its idle timeout is stopped."""
    run = store.start(["sh", "-c", "echo up; exec sleep 60"], idle_timeout=500 * MS)

    assert said(run.wait(timeout=DEADLINE)) == (Reason.IDLE_TIMED_OUT, None, signal.SIGTERM)
    assert run.output() == "up\n"


@pytest.mark.slow
def test_idle_timeout_of_a_talker(store: Store):
    """Output on either channel keeps a run from being idle."""
    pause = f"sleep {100 * MS}"
    code = f"for i in 1 2 3 4; do {pause}; echo $i; {pause}; echo $i >&2; done"
    run = store.start(["sh", "-c", code], idle_timeout=600 * MS)

    assert run.wait(timeout=30000 * MS).ok


def test_state(store: Store):
    """A run is running, then stopping if it is stopped, then exited."""
    code = (  # its handler does not print, for print is not reentrant
        "import os, signal; signal.signal(15, lambda *_: os.write(1, b'stopping\\n'));"
        "print('up', flush=True); signal.pause(); signal.pause()"
    )
    run = started(store, [*PYTHON, code])
    assert run.state is State.RUNNING
    assert run.outcome is None

    run.stop(grace=3600)
    assert list(zip(range(2), run.lines(), strict=False))[1] == (1, "stopping")
    assert run.state is State.STOPPING

    run.kill()
    run.wait(timeout=DEADLINE)
    assert run.state is State.EXITED


def test_pid_and_times(store: Store):
    """A run tells its pid, and times in the order in which things happened."""
    run = store.start([*PYTHON, "import os; print(os.getpid())"])
    outcome = run.wait(timeout=DEADLINE)

    assert run.output() == f"{run.pid}\n"
    assert run.started_at is not None
    assert run.created_at <= run.started_at <= outcome.ended_at


def test_output_closed_early(store: Store):
    """A program that closes its output goes on, and its end is still seen."""
    run = store.start(["sh", "-c", "echo up; exec >&- 2>&-; read line; exit 4"], stdin="pipe")
    assert next(run.lines()) == "up"
    assert list(zip(range(1), run.follow(tail=0, timeout=0.05), strict=False)) == [(0, None)]
    assert run.outcome is None

    run.send("line\n")
    assert said(run.wait(timeout=DEADLINE)) == (Reason.EXITED, 4, None)


def grandchild(store: Store, code: str, *, tty: bool = False, **options: object) -> Run:
    """Start a run whose first process ends at once with 5 and leaves a shell with this code behind.

    The end of the first process hangs up its terminal, as far as its foreground goes: a SIGHUP.
    """
    begin = "trap '' HUP; stty -opost -echo; " if tty else ""
    return store.start(
        ["sh", "-c", f"{begin}exec 3<&0; ({code}) <&3 & echo main; exit 5"], tty=tty, **options
    )


@in_both
def test_grandchild_holds_the_pipe(store: Store, tty: bool):
    """R6: the exit is told while a grandchild still writes; the log closes when that ends, complete."""
    run = grandchild(store, "read line; echo $line", tty=tty, stdin="pipe")

    assert said(run.wait(timeout=2000 * MS)) == (Reason.EXITED, 5, None)
    assert run.state is State.EXITED
    assert not run.closed

    run.send("last words\n")
    assert run.output() == "main\nlast words\n"
    assert run.closed


@pytest.mark.slow
@in_both
def test_grandchild_that_stays(store: Store, tty: bool):
    """R6: the log closes after a grace, whether a grandchild is silent or never stops writing."""
    silent = grandchild(store, "exec sleep 60", tty=tty)
    writing = grandchild(store, "while :; do echo more; done", tty=tty)

    assert said(silent.wait(timeout=2000 * MS)) == (Reason.EXITED, 5, None)
    assert said(writing.wait(timeout=2000 * MS)) == (Reason.EXITED, 5, None)
    total = sum(len(chunk.data) for chunk in writing.follow() if chunk)

    assert silent.output() == "main\n"
    assert silent.closed
    assert len(marked(silent.id)) == 1  # it is a daemon, as far as we know: left alone
    assert writing.closed
    assert total == writing.tail_offset > 100


@in_both
def test_stop_while_a_grandchild_holds_the_pipe(store: Store, tty: bool):
    """R7: what the first process left behind can be stopped as long as the log is open."""
    run = grandchild(store, "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.01; done", tty=tty)
    run.wait(timeout=2000 * MS)
    wait_until(lambda: "up" in b"".join(c.data for c in run.log().read(0).chunks).decode())

    run.stop(grace=60)

    assert set(run.output(channel="stdout").split()) == {"main", "up", "bye"}
    assert run.closed
    assert not marked(run.id)
    assert said(run.wait()) == (Reason.EXITED, 5, None)


@in_both
def test_kill_while_a_grandchild_holds_the_pipe(store: Store, tty: bool):
    """R7: a grandchild that ignores SIGTERM is killed when the grace of the stop is over."""
    run = grandchild(store, "trap '' TERM; echo up; while :; do sleep 1; done", tty=tty)
    run.wait(timeout=2000 * MS)

    run.stop(grace=0.1)
    wait_until(lambda: run.closed)

    assert not marked(run.id)


@pytest.mark.slow
def test_remove_while_a_grandchild_holds_the_pipe(store: Store):
    """A run whose log is open cannot be removed, though its outcome is known."""
    run = grandchild(store, "exec sleep 60")
    run.wait(timeout=2000 * MS)

    with pytest.raises(RunActive, match=f"run {run.id} is exited"):
        store.remove(run)
    run.kill()


def test_runs_end_apart(store: Store):
    """The end of one run is no end of another, also not of one with the same supervisor before."""
    first = store.start(["true"])
    first.wait(timeout=DEADLINE)
    second = started(store, ["sh", "-c", "echo up; exec sleep 60"])
    with pytest.raises(Exception, match="has ended"):
        first.kill()

    assert second.state is State.RUNNING
    second.kill()
    assert second.wait(timeout=DEADLINE).reason is Reason.STOPPED


@pytest.mark.fault
def test_folder_removed_by_force(store: Store, tmp_path: Path):
    """R3: a run whose supervisor fails, since its folder is gone, is killed and not left to itself."""
    code = "trap 'echo up; exec sleep 60' USR1; : > ready; while :; do sleep 0.01; done"
    run = store.start(["sh", "-c", code], cwd=tmp_path)
    pid = run.pid
    assert pid
    wait_until((tmp_path / "ready").exists)
    wait_until(lambda: os.path.exists(files_of(run).supervisor_path))  # the last that is made in the folder
    shutil.rmtree(files_of(run).path)

    os.kill(pid, signal.SIGUSR1)

    wait_until(lambda: not marked(run.id), what="the end of the run")
    assert store.start(["echo", "next"]).output() == "next\n"


def test_zombies(store: Store):
    """R8: processes that the run's own processes abandon are reaped while the run goes on."""
    code = "for i in 1 2 3 4 5; do (sh -c 'exit 0' &); done; echo up; exec cat"
    run = started(store, ["sh", "-c", code], stdin="pipe")
    supervisor = supervisor_of(run)

    wait_until(lambda: children(supervisor) == [run.pid], what="the orphans to be reaped")
    run.send("", eof=True)
    run.wait(timeout=DEADLINE)
    wait_until(lambda: not os.path.exists(f"/proc/{run.pid}"), what="the command to be reaped")


def children(pid: int) -> list[int]:
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(child) for child in file.read().split()]


def test_waiting_threads_all_hear(store: Store):
    """Everybody who waits for the same run hears of its end."""
    run = store.start(["cat"], stdin="pipe")
    outcomes: list[Outcome] = []
    threads = [
        threading.Thread(target=lambda: outcomes.append(store.get(run.id).wait(timeout=DEADLINE)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    run.send("", eof=True)
    for thread in threads:
        thread.join(DEADLINE)

    assert [outcome.code for outcome in outcomes] == [0] * 8
