"""A run that waits for its slot before its command is spawned: it is seen, followed and stopped."""

import array
import contextlib
import fcntl
import os
import shutil
import termios
import threading
from pathlib import Path

import pytest

from runcast import Reason, Run, State, Store
from runcast.errors import RunActive, RunFinished, WaitTimeout
from runcast.run.base import files_of
from tests.helpers.children import fds, marked, supervisor_of
from tests.helpers.cli import cli
from tests.helpers.queued import queued
from tests.helpers.wait import MS, wait_until

DEADLINE = 5000 * MS
ENDS = {"stop": lambda run: run.stop(), "kill": lambda run: run.kill()}


def waits(run: Run) -> bool:
    return run.state is State.QUEUED


def unread(pid: int) -> int:
    """Return how many bytes the fullest pipe of a process holds."""
    most = 0
    for name in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(OSError):
            if os.readlink(f"/proc/{pid}/fd/{name}").startswith("pipe:"):
                size = array.array("i", [0])
                fd = os.open(f"/proc/{pid}/fd/{name}", os.O_RDONLY | os.O_NONBLOCK)
                fcntl.ioctl(fd, termios.FIONREAD, size)
                os.close(fd)
                most = max(most, size[0])
    return most


def beside(store: Store, run: Run) -> set[str]:
    """Return what a store has of a run besides its folder."""
    return {name for name in os.listdir(store.path) if run.id in name} - {run.id}


def test_seen(store: Store):
    """A run that waits is queued, in itself and in the list, and has neither pid nor start."""
    with queued(store, ["true"]) as queue:
        wait_until(lambda: waits(queue.run))

        listed = next(iter(store.list()))
        found = listed.to_json()
        assert (found["state"], found["pid"], found["started_at"]) == ("queued", None, None)
        assert (found["queue"], found["place"]) == ("one", 1)
        assert (found["outcome"], found["closed"], found["lines"]) == (None, False, 0)
        assert queue.run.pid is None


def test_slot(store: Store):
    """A run that is given its slot runs as any other."""
    with queued(store, ["sh", "-c", "echo up; exit 3"]) as queue:
        wait_until(lambda: waits(queue.run))
        assert queue.run.tail_offset == 0

        queue.give_slot()

        outcome = queue.run.wait(timeout=DEADLINE)
        assert (outcome.reason, outcome.code) == (Reason.EXITED, 3)
        assert queue.run.output() == "up\n"
        assert queue.run.started_at is not None


def test_giver_is_gone(store: Store):
    """A run whose slot nobody can give any more does not wait for ever: it runs."""
    with queued(store, ["echo", "up"]) as queue:
        wait_until(lambda: waits(queue.run))

    assert queue.run.output(timeout=DEADLINE) == "up\n"


def test_cannot_be_started(store: Store):
    """A command that does not exist fails to start when its turn has come, and not before."""
    with queued(store, ["no-such-command"]) as queue:
        wait_until(lambda: waits(queue.run))

        queue.give_slot()

        outcome = queue.run.wait(timeout=DEADLINE)
        assert (outcome.reason, outcome.code) == (Reason.FAILED_TO_START, 127)


@pytest.mark.parametrize("end", list(ENDS))
def test_stopped(store: Store, end: str):
    """A run that is stopped while it waits is stopped, without a pid; its command was never spawned."""
    with queued(store, ["touch", f"{store.path}/spawned"]) as queue:
        wait_until(lambda: waits(queue.run))

        ENDS[end](queue.run)
        outcome = queue.run.wait(timeout=DEADLINE)

        assert (outcome.reason, outcome.code, outcome.signal) == (Reason.STOPPED, None, None)
        assert str(outcome) == "stopped (its command was not started)"
        assert (queue.run.state, queue.run.pid, queue.run.started_at) == (State.EXITED, None, None)
        wait_until(lambda: queue.run.closed)
        assert queue.run.output() == ""
    assert not os.path.exists(f"{store.path}/spawned")


def test_leaves_nothing_behind(store: Store):
    """A run that was stopped while it waited leaves its folder and no socket, file, process or descriptor."""
    with queued(store, ["true"], stdin="pipe") as queue:
        wait_until(lambda: waits(queue.run))
        supervisor = supervisor_of(queue.run)
        queue.run.stop()
        queue.run.wait(timeout=DEADLINE)

        wait_until(lambda: not os.path.exists(files_of(queue.run).control_path))
        assert sorted(os.listdir(files_of(queue.run).path)) == ["lock", "log", "outcome.json", "run.json"]
        assert os.listdir(files_of(queue.run).log_path) == []
        assert beside(store, queue.run) == set()
        assert marked(queue.run.id) == []
        other = store.start(["sleep", "60"])
        assert other.pid
        wait_until(lambda: fds(supervisor) <= fds(supervisor_of(other)))


def test_supervisor_takes_the_next(store: Store):
    """Runs are started as before where others were stopped while they waited."""
    for _ in range(5):
        with queued(store, ["true"]) as queue:
            wait_until(lambda queue=queue: waits(queue.run))
            queue.run.stop()
            queue.run.wait(timeout=DEADLINE)

    assert store.start(["echo", "up"]).output(timeout=DEADLINE) == "up\n"


def test_followed(store: Store):
    """A follower of a run that waits gets its output when there is some, and the end."""
    got: list[str] = []
    with queued(store, ["echo", "up"]) as queue:
        wait_until(lambda: waits(queue.run))
        follower = threading.Thread(target=lambda: got.extend(queue.run.lines(timeout=None)), daemon=True)
        follower.start()

        queue.give_slot()
        follower.join(DEADLINE)

    assert not follower.is_alive()
    assert got == ["up"]


def test_followed_to_a_stop(store: Store):
    """A follower of a run that waits sees its end when it is stopped, and no byte."""
    got: list[object] = []
    with queued(store, ["echo", "up"]) as queue:
        wait_until(lambda: waits(queue.run))
        follower = threading.Thread(target=lambda: got.extend(queue.run.follow()), daemon=True)
        follower.start()

        queue.run.stop()
        follower.join(DEADLINE)

    assert not follower.is_alive()
    assert got == []


def test_waited_for(store: Store):
    """Who waits for a run that waits learns at the deadline what it is doing."""
    with queued(store, ["true"]) as queue:
        wait_until(lambda: waits(queue.run))

        with pytest.raises(WaitTimeout, match=f"run {queue.run.id} is still queued after 0.01 s"):
            queue.run.wait(timeout=0.01)


def test_signal(store: Store):
    """A signal has nobody to go to: it is refused with a sentence, and the run waits on."""
    with queued(store, ["true"]) as queue:
        wait_until(lambda: waits(queue.run))

        with pytest.raises(RunActive, match=f"run {queue.run.id}: it is queued, so there is no process"):
            queue.run.signal(10)
        assert waits(queue.run)


def test_send(store: Store):
    """What is sent to a run that waits is what its command reads first."""
    with queued(store, ["cat"], stdin="pipe") as queue:
        wait_until(lambda: waits(queue.run))

        queue.run.send("early\n")
        queue.give_slot()
        queue.run.send("late\n", eof=True)

        assert queue.run.output(timeout=DEADLINE) == "early\nlate\n"


def test_send_more_than_a_pipe_holds(store: Store):
    """A sender of more than waits with the run, and is told when that is stopped."""
    errors: list[str] = []

    def send() -> None:
        try:
            queue.run.send(b"x" * 200_000)
        except RunFinished as error:
            errors.append(str(error))

    with queued(store, ["cat"], stdin="pipe") as queue:
        wait_until(lambda: waits(queue.run))
        sender = threading.Thread(target=send, daemon=True)
        sender.start()
        wait_until(lambda: unread(supervisor_of(queue.run)) == 65536, what="the pipe to fill")

        queue.run.stop()
        sender.join(DEADLINE)

    assert not sender.is_alive()
    assert len(errors) == 1
    assert "its command was not started" in errors[0]


def test_send_without_stdin(store: Store):
    """A run that reads no stdin says so while it waits, too."""
    with queued(store, ["cat"]) as queue:
        wait_until(lambda: waits(queue.run))

        with pytest.raises(RunFinished, match="this run reads no stdin"):
            queue.run.send("text")


def test_lifeline(store: Store):
    """A run whose owner goes while it waits is stopped."""
    reading, writing = os.pipe2(os.O_CLOEXEC)
    with queued(store, ["true"], lifeline=reading) as queue:
        os.close(reading)
        wait_until(lambda: waits(queue.run))

        os.close(writing)

        assert queue.run.wait(timeout=DEADLINE).reason is Reason.STOPPED


@pytest.mark.slow
def test_limits_do_not_count(store: Store):
    """The time that a run may take begins when its command is spawned."""
    with queued(store, ["sleep", "600"], timeout=0.2, idle_timeout=0.2, stop_unwatched=0.2) as queue:
        wait_until(lambda: waits(queue.run))
        assert next(queue.run.follow(timeout=0.5)) is None
        assert waits(queue.run)

        queue.give_slot()

        assert queue.run.wait(timeout=DEADLINE).reason is not Reason.EXITED


@pytest.mark.slow
def test_folder_removed(store: Store):
    """The supervisor of a run whose folder was removed while it waits does not stay."""
    with queued(store, ["touch", f"{store.path}/spawned"]) as queue:
        wait_until(lambda: waits(queue.run))
        supervisor = supervisor_of(queue.run)

        shutil.rmtree(files_of(queue.run).path)

        wait_until(lambda: not os.path.exists(f"/proc/{supervisor}"), 10000 * MS)
        errors = Path(store.path, ".supervisors", "errors.log").read_text()
        assert f"run {queue.run.id}: its folder was removed" in errors
    assert not os.path.exists(f"{store.path}/spawned")


@pytest.mark.slow
def test_command_line(store: Store):
    """`ls` shows a run that waits, `wait` says that it does, `stop` stops it and `follow` sees its end."""
    with queued(store, ["true"]) as queue:
        wait_until(lambda: waits(queue.run))

        assert b"queued" in cli("ls").out
        assert cli("wait", "--timeout", "0.1s", queue.run.id).err.startswith(
            f"runcast: run {queue.run.id} is still queued"
        )
        stopped = cli("stop", queue.run.id)
        assert (stopped.code, stopped.err) == (0, "")
        assert b"stopped" in cli("ls", "--all").out
        assert cli("wait", queue.run.id).code == 1
        assert cli("follow", queue.run.id).out == b""
