"""What a command reads: sent, given whole, or from a file, and at the speed at which it reads."""

import array
import fcntl
import json
import os
import re
import signal
import tempfile
import termios
import threading
from pathlib import Path

import pytest

from runcast import Reason, Run, Store
from runcast.errors import RunFinished, SupervisorLost, UsageError
from runcast.run.base import files_of
from runcast.supervisor.control import connect_path
from tests.helpers.children import PYTHON, supervisor_of
from tests.helpers.wait import MS, wait_until

DEADLINE = 5000 * MS


def started(store: Store, command: list[str], **options: object) -> Run:
    """Start a program and return its run when it has said something."""
    run = store.start(command, **options)
    assert next(run.lines(timeout=DEADLINE)) is not None
    return run


def in_background(call: object, *args: object) -> threading.Thread:
    thread = threading.Thread(target=call, args=args, daemon=True)
    thread.start()
    return thread


def test_send(store: Store):
    """What is sent arrives byte for byte, and the end is seen as the end."""
    data = bytes(range(256)) * 4096
    run = store.start(["cat"], stdin="pipe")

    run.send(data)
    run.send("… and text", eof=True)

    assert run.output(encoding=None, timeout=DEADLINE) == data + "… and text".encode()
    assert run.wait().ok


def test_send_nothing_but_the_end(store: Store):
    """An empty send with `eof` ends the input."""
    run = store.start(["cat"], stdin="pipe")

    run.send("", eof=True)

    assert run.wait(timeout=DEADLINE).ok


def test_send_after_the_end(store: Store):
    """Nothing can be sent behind the end of the input."""
    run = store.start(["sh", "-c", "cat; echo up; sleep 60"], stdin="pipe")
    run.send("", eof=True)
    assert next(run.lines()) == "up"

    with pytest.raises(RunFinished, match="this run reads no stdin"):
        run.send("late")


def test_send_to_a_run_without_stdin(store: Store):
    """Who did not ask for a pipe is told so."""
    run = started(store, ["sh", "-c", "echo up; sleep 60"])

    with pytest.raises(RunFinished, match="this run reads no stdin: it was started without"):
        run.send("anything")


def test_send_to_a_closed_stdin(store: Store):
    """A program that closes its stdin is told to whoever sends."""
    run = started(store, ["sh", "-c", "exec <&-; echo up; exec sleep 60 <&-"], stdin="pipe")

    with pytest.raises(RunFinished, match="the program has closed its stdin"):
        run.send("anything")


def test_input(store: Store):
    """`input=` is read whole, text and bytes alike, and is no pipe that could block."""
    data = b"\0\xff\r\n" * 100_000

    assert store.start(["cat"], input=data).output(encoding=None) == data
    assert store.start(["cat"], input="grün").output() == "grün"
    assert store.start(["cat"], input="").output() == ""


def test_stdin_from_a_file(store: Store, tmp_path: Path):
    """A file, or its descriptor, is read from where it stands."""
    (tmp_path / "file").write_text("first\nsecond\n")
    with open(tmp_path / "file", buffering=1) as file:
        os.lseek(file.fileno(), 6, os.SEEK_SET)
        run = store.start(["cat"], stdin=file)
    descriptor = os.open(tmp_path / "file", os.O_RDONLY)
    other = store.start(["cat"], stdin=descriptor)
    os.close(descriptor)

    assert run.output() == "second\n"
    assert other.output() == "first\nsecond\n"


@pytest.mark.parametrize("given", ["pip", True, False])
def test_stdin_that_is_none(store: Store, given: object):
    """Something that has no descriptor is refused; True is no number."""
    with pytest.raises(UsageError, match='expected stdin to be "pipe", a file or a descriptor, got'):
        store.start(["cat"], stdin=given)  # type: ignore[arg-type]


def test_back_pressure(store: Store):
    """A sender waits for a program that does not read; all other clients are answered meanwhile."""
    run = started(store, ["sh", "-c", "echo up; exec sleep 60"], stdin="pipe")
    errors: list[Exception] = []

    def send() -> None:
        try:
            run.send(b"x" * 1_000_000)
        except RunFinished as error:
            errors.append(error)

    sender = in_background(send)
    wait_until(lambda: queued(run) >= 65536 - 4096, what="the pipe to fill")
    run.signal(signal.SIGCONT)
    assert sender.is_alive()
    run.stop()

    assert run.wait(timeout=DEADLINE).reason is Reason.STOPPED
    sender.join(DEADLINE)
    assert not sender.is_alive()
    assert len(errors) == 1


def queued(run: Run) -> int:
    """Return how many bytes wait in a run's stdin."""
    size = array.array("i", [0])
    fd = os.open(f"/proc/{run.pid}/fd/0", os.O_RDONLY | os.O_NONBLOCK)
    try:
        fcntl.ioctl(fd, termios.FIONREAD, size)
    finally:
        os.close(fd)
    return size[0]


def test_supervisor_killed_meanwhile(store: Store):
    """Who sends is told how much was taken when the supervisor dies; nothing is sent a second time."""
    # Once the first piece was read, a full pipe means that it was answered and the second is there.
    run = store.start("head -c 65536 > /dev/null; echo read; exec sleep 1000", shell=True, stdin="pipe")
    told: list[BaseException] = []

    def send() -> None:
        try:
            run.send(bytes(1_000_000))
        except (RunFinished, SupervisorLost) as error:
            told.append(error)

    sending = in_background(send)
    wait_until(
        lambda: run.tail_offset > 0 and queued(run) == 65536, what="a full pipe behind the first piece"
    )
    os.kill(supervisor_of(run), signal.SIGKILL)
    sending.join(30000 * MS)

    assert re.search("after it took (65536|131072) bytes", str(told[0]))


def test_two_senders(store: Store):
    """What two senders send at the same time arrives whole, one piece behind the other."""
    run = store.start(["cat"], stdin="pipe")
    senders = [in_background(run.send, bytes([letter]) * 50_000) for letter in b"ab"]
    for sender in senders:
        sender.join(DEADLINE)
    run.send("", eof=True)

    output = run.output(timeout=DEADLINE)
    assert output in ("a" * 50_000 + "b" * 50_000, "b" * 50_000 + "a" * 50_000)


def test_sender_that_leaves(store: Store):
    """A sender that dies while it waits takes neither the run nor the next sender with it."""
    code = (
        "import signal, sys; signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1});"
        "print('up', flush=True); signal.sigwait({signal.SIGUSR1}); print(len(sys.stdin.buffer.read()))"
    )
    run = started(store, [*PYTHON, code], stdin="pipe")
    with connect_path(files_of(run).control_path, DEADLINE) as connection:
        for _ in range(2):  # more than the pipe holds
            connection.sendall(json.dumps({"op": "stdin", "bytes": 65536}).encode() + b"\n" + b"x" * 65536)
        wait_until(lambda: queued(run) == 65536, what="the pipe to fill")
    run.signal(signal.SIGCONT)  # when this is answered, the supervisor has seen the other one leave

    run.signal(signal.SIGUSR1)
    run.send("hello", eof=True)

    assert run.output(timeout=DEADLINE) == f"up\n{65536 + len('hello')}\n"
    assert run.wait().ok


def test_input_is_kept_private(store: Store):
    """What a command was given to read is nobody else's to read, and no file is left in the temp folder."""
    before = set(os.listdir(tempfile.gettempdir()))
    run = store.start(["cat"], input="secret")
    run.wait(timeout=DEADLINE)

    modes = [path.stat().st_mode & 0o777 for path in Path(files_of(run).path).iterdir() if path.is_file()]
    assert set(modes) == {0o600}
    assert not {name for name in set(os.listdir(tempfile.gettempdir())) - before if "runcast" in name}
