"""R7: stopped means stopped. Nothing of a run survives its stop, whatever it does to survive."""

from pathlib import Path

import pytest

from runcast import Reason, Run, Store
from tests.helpers.children import PYTHON, marked
from tests.helpers.limited import limited
from tests.helpers.terminals import in_both
from tests.helpers.wait import MS, wait_until

GRACE = 0.5
SOME = 4000 * MS

pytestmark = pytest.mark.fault

DAEMON = """
import os, signal
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        null = os.open(os.devnull, os.O_RDWR)
        os.write(1, b'up\\n')
        for fd in (0, 1, 2): os.dup2(null, fd)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        while True: signal.pause()
    os._exit(0)
while True: signal.pause()
"""

REFORKER = """
import os, signal, time
{main}
os.write(1, b'up\\n')
for number in (signal.SIGTERM, signal.SIGHUP): signal.signal(number, signal.SIG_IGN)
end = time.monotonic() + 300  # a test that is killed must not leave this behind for ever
while time.monotonic() < end:
    if os.fork(): os._exit(0)
    os.setsid()
    time.sleep(0.001)
"""

# Each process forks for ever, and each new one, in a session of its own, adds a byte to a file.
BOMB = """
import os, time
born = os.open("born", os.O_WRONLY | os.O_APPEND)
end = time.monotonic() + 60
while time.monotonic() < end:
    try:
        if os.fork() == 0:
            os.setsid()
            os.write(born, b".")
    except BlockingIOError:
        os.write(1, b"full\\n")
        time.sleep(0.001)
"""
BOMBS = 40

COMMANDS = {
    "plain": ["sh", "-c", "echo up; exec sleep 1000"],
    "ignores SIGTERM": ["sh", "-c", "trap '' TERM HUP INT; echo up; while :; do sleep 1000; done"],
    "daemon": [*PYTHON, DAEMON],
    "child with its own session": ["sh", "-c", "setsid sleep 1000 & echo up; wait"],
    "child with its own session that ignores SIGTERM": [
        *("sh", "-c", "setsid sh -c 'trap \"\" TERM; echo up; while :; do sleep 1000; done' & wait"),
    ],
    "three levels": [
        *("sh", "-c", "sh -c 'sh -c \"sleep 1000 & sleep 1000\" & sleep 1000' & echo up; sleep 1000"),
    ],
    "three levels that ignore SIGTERM": [
        *("sh", "-c", "trap '' TERM; sh -c 'sh -c \"sleep 1000; sleep 1000\" & sleep 1000; sleep 1000' & "),
    ],
    "paused": ["sh", "-c", "sh -c 'kill -STOP $$; sleep 1000' & echo up; kill -STOP $$; sleep 1000"],
    "pauses what it leaves": ["sh", "-c", "setsid sh -c 'echo up; kill -STOP $$; sleep 1000' & wait"],
    "forks every millisecond": [*PYTHON, REFORKER.format(main="if os.fork(): signal.pause()")],
    "forks every millisecond, many": [
        *PYTHON,
        REFORKER.format(main="for _ in range(4): os.fork()\nif os.fork(): signal.pause()"),
    ],
    "forks every millisecond, from the first": [*PYTHON, REFORKER.format(main="")],
}
COMMANDS["three levels that ignore SIGTERM"][-1] += "echo up; sleep 1000; sleep 1000"


def survivors(run: Run) -> set[int]:
    """Return the processes of a run. What forks every millisecond slips through one look, not many."""
    return {pid for _ in range(20) for pid in marked(run.id)}


@in_both
@pytest.mark.parametrize("names", [list(COMMANDS)[:6], list(COMMANDS)[6:]], ids=["first", "second"])
@pytest.mark.parametrize("how", ["stop", "kill"])
def test_nothing_survives(store: Store, names: list[str], how: str, tty: bool):
    """R7: a stop leaves no process of a run, within the grace and some."""
    runs = {}
    for name in names:  # one after the other: the last one's log closes by itself, too
        run = runs[name] = store.start(COMMANDS[name], tty=tty)
        assert next(run.lines()) == "up"
        if name.endswith("from the first"):  # its first process ends by itself, the others hold the pipe
            wait_until(lambda run=run: run.outcome is not None)
        else:  # of the former there is one process at a time, too short-lived to be sure to be seen
            wait_until(lambda run=run: marked(run.id))

    # The last one first: its log closes by itself a grace after its first process.
    for run in reversed(runs.values()):
        if how == "stop":
            run.stop(grace=GRACE)
        else:
            run.kill()

    for name, run in runs.items():
        outcome = run.wait(timeout=GRACE + SOME)
        wait_until(lambda run=run: run.closed, SOME)
        assert survivors(run) == set(), name
        assert outcome.reason is (Reason.EXITED if name.endswith("from the first") else Reason.STOPPED), name


@in_both
def test_nothing_survives_a_timeout(store: Store, tty: bool):
    """R7: the end of a run by its timeout is as thorough as any stop."""
    runs = [
        store.start(COMMANDS[name], timeout=0.4, tty=tty) for name in ("daemon", "forks every millisecond")
    ]

    for run in runs:
        assert run.wait(timeout=5 + SOME).reason is Reason.TIMED_OUT
        assert survivors(run) == set()


@pytest.mark.slow
def test_fork_bomb_at_its_limit(store: Store, tmp_path: Path):
    """R7: what forks for ever at its limit of processes gets no room for another by those that are killed."""
    born = tmp_path / "born"
    born.touch()
    born.chmod(0o666)
    run = store.start([*limited("", processes=BOMBS), *PYTHON, BOMB], cwd=tmp_path)
    assert next(run.lines()) == "full"
    before = born.stat().st_size

    run.kill()

    assert run.wait(timeout=10000 * MS).reason is Reason.STOPPED
    assert survivors(run) == set()
    assert born.stat().st_size - before < BOMBS


def test_daemon_of_a_run_that_ends_by_itself(store: Store):
    """A process that a run leaves behind when it ends by itself is left alone: nobody asked to stop it."""
    run = store.start(["sh", "-c", "setsid sleep 1000 >/dev/null 2>&1 & echo up"])

    assert run.wait(timeout=SOME).ok
    wait_until(lambda: run.closed, SOME)

    assert len(marked(run.id)) == 1
