"""`runcast follow`: the output as it comes."""

import os
import signal
from pathlib import Path

import pytest

from runcast import State, Store
from runcast.run.base import files_of
from tests.helpers.children import Printer
from tests.helpers.cli import LONG, cli, cli_begun, terminal
from tests.helpers.wait import wait_until


def waits(go: Path, before: str = "echo one; echo two >&2", after: str = "echo three") -> str:
    """Return a shell command that goes on when a file is there."""
    return f"{before}; until test -e {go}; do sleep 0.01; done; {after}"


def test_from_the_start_to_the_end(store: Store, tmp_path: Path):
    """Everything comes out, what there was and what comes, and the end of the run is ours."""
    go = tmp_path / "go"
    run = store.start(waits(go), shell=True)

    with cli_begun("follow", run.id) as process:
        assert process.stdout.readline() == b"one\n"
        assert process.stderr.readline() == b"two\n"
        assert run.outcome is None
        go.touch()
        assert process.communicate(timeout=LONG) == (b"three\n", b"")
    assert process.returncode == 0


@pytest.mark.slow
def test_many_followers(store: Store, tmp_path: Path):
    """Any number may follow; each gets every byte."""
    printer = Printer(tmp_path / "copies", lines=2000)
    run = store.start(printer.argv)
    dones = []
    with cli_begun("follow", run.id) as one, cli_begun("follow", run.id) as two:
        dones = [one.communicate(timeout=LONG), two.communicate(timeout=LONG)]

    assert dones == [(printer.copy("stdout"), printer.copy("stderr"))] * 2


@pytest.mark.parametrize(
    ("command", "plain", "passed_on"),
    [("exit 0", 0, 0), ("exit 3", 0, 3), ("kill -9 $$", 0, 137)],
)
def test_exit_status(store: Store, command: str, plain: int, passed_on: int):
    """The exit code is 0, or the run's exit status with `--exit-status`."""
    run = store.start(command, shell=True)

    assert cli("follow", run.id).code == plain
    assert cli("follow", "--exit-status", run.id).code == passed_on


def test_failed_to_start(store: Store):
    """A run that could not be started says why."""
    store.start(["no-such-program"])

    done = cli("follow", "--exit-status", "last")

    assert (done.code, done.out) == (127, b"")
    assert done.err == "runcast: command not found: 'no-such-program' is in no folder of PATH\n"


@pytest.mark.slow
def test_places(store: Store, tmp_path: Path):
    """A place says where to begin; what comes is followed from there."""
    go = tmp_path / "go"
    run = store.start(waits(go, "echo one; echo two; echo three", "echo four"), shell=True)
    wait_until(lambda: run.tail_offset == 14)

    with (
        cli_begun("follow", "--tail", "1", run.id) as tail,
        cli_begun("follow", "--offset", "4", run.id) as offset,
        cli_begun("follow", "--channel", "stderr", run.id) as channel,
    ):
        assert tail.stdout.readline() == b"three\n"
        assert offset.stdout.readline() == b"two\n"
        go.touch()
        assert tail.communicate(timeout=LONG) == (b"four\n", b"")
        assert offset.communicate(timeout=LONG) == (b"three\nfour\n", b"")
        assert channel.communicate(timeout=LONG) == (b"", b"")


def test_offset_of_something_not_there_yet(store: Store, tmp_path: Path):
    """An offset beyond the tail is refused, and the message says the tail."""
    run = store.start(waits(tmp_path / "go"), shell=True)
    wait_until(lambda: run.tail_offset == 8)

    done = cli("follow", "--offset", "9", run.id)

    assert (done.code, done.out) == (2, b"")
    assert "expected an offset up to the tail, which is 8 now, got 9" in done.err


def test_safe_across_chunks(store: Store, tmp_path: Path):
    """`--safe` knows a sequence that comes in two parts."""
    go = tmp_path / "go"
    run = store.start(waits(go, r"printf 'a\033[3'", r"printf '1mb\n'"), shell=True)

    with cli_begun("follow", "--safe", run.id) as process:
        assert process.stdout.read(1) == b"a"
        go.touch()
        assert process.communicate(timeout=LONG) == (b"b\n", b"")


def test_ctrl_c_leaves_the_run(store: Store):
    """Ctrl-C ends the following, not the run."""
    run = store.start("echo ready; exec sleep 1000", shell=True)

    with terminal("follow", run.id) as screen:
        screen.until("ready\n")
        screen.type("\x03")
        assert screen.end() == 130

    assert screen.seen in ("ready\n", "ready\n^C")
    assert run.state is State.RUNNING


def test_reader_left(store: Store):
    """A reader that has seen enough ends us without a word, not the run."""
    run = store.start(["yes"])
    reading, writing = os.pipe()
    os.close(reading)

    done = cli("follow", run.id, stdout=writing)
    os.close(writing)

    assert (done.code, done.err) == (141, "")
    assert run.state is State.RUNNING
    run.kill()


@pytest.mark.fault
def test_lost(store: Store):
    """A run whose supervisor is killed ends for its followers, who are told."""
    run = store.start("echo ready; exec sleep 1000", shell=True)
    with cli_begun("follow", "--exit-status", run.id) as process:
        assert process.stdout.readline() == b"ready\n"
        os.kill(files_of(run).state()["supervisor"], signal.SIGKILL)
        out, err = process.communicate(timeout=LONG)

    assert (process.returncode, out) == (1, b"")
    assert f"runcast: run {run.id}: lost (its supervisor died" in err.decode()
