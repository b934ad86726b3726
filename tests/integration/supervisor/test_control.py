"""The control socket: stop, kill, signal and stdin, by whoever, however they behave."""

import array
import contextlib
import fcntl
import json
import os
import signal
import socket
import tempfile
import termios
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from runcast import Reason, Run, State, Store
from runcast.errors import RunFinished, UsageError
from runcast.supervisor.control import connect_path
from tests.helpers.children import PYTHON, fds, run_python, supervisor_of
from tests.helpers.wait import MS, wait_until

DEADLINE = 5000 * MS

IGNORES = [
    *PYTHON,
    "import signal; signal.signal(15, signal.SIG_IGN); print('up', flush=True); signal.pause()",
]
"""A program that does not mind SIGTERM."""


def started(store: Store, command: list[str], **options: object) -> Run:
    """Start a program and return its run when it has said something."""
    run = store.start(command, **options)
    assert next(run.lines(timeout=DEADLINE)) is not None
    return run


def in_background(call: object, *args: object) -> threading.Thread:
    thread = threading.Thread(target=call, args=args, daemon=True)
    thread.start()
    return thread


def test_stop(store: Store):
    """A stopped run ends by SIGTERM, and its outcome says both."""
    run = started(store, ["sh", "-c", "echo up; exec sleep 60"])

    run.stop()
    outcome = run.wait(timeout=DEADLINE)

    assert (outcome.reason, outcome.code, outcome.signal) == (Reason.STOPPED, None, signal.SIGTERM)
    assert str(outcome) == "stopped, killed by SIGTERM"


def test_stop_by_another_signal(store: Store):
    """A program that handles the signal it is stopped by ends with the code it chooses."""
    run = started(
        store, ["sh", "-c", "trap 'echo got it; exit 7' INT; echo up; while :; do sleep 0.01; done"]
    )

    run.stop(signal=signal.SIGINT)
    outcome = run.wait(timeout=DEADLINE)

    assert (outcome.reason, outcome.code, outcome.signal) == (Reason.STOPPED, 7, None)
    assert run.output(channel="stdout") == "up\ngot it\n"


@pytest.mark.slow
def test_stop_after_the_grace(store: Store):
    """R7: a program that ignores SIGTERM is told to be stopping, and killed after the grace."""
    run = started(store, IGNORES)

    run.stop(grace=0.2)
    assert run.state is State.STOPPING
    outcome = run.wait(timeout=DEADLINE)

    assert (outcome.reason, outcome.signal) == (Reason.STOPPED, signal.SIGKILL)


def test_stop_twice(store: Store):
    """A second, less patient stop shortens the grace."""
    run = started(store, IGNORES)

    run.stop(grace=3600)
    run.stop(grace=0)

    assert run.wait(timeout=DEADLINE).signal == signal.SIGKILL


def test_endless_grace(store: Store):
    """A grace of any length is possible."""
    run = started(store, IGNORES)

    run.stop(grace=float("inf"))
    run.kill()

    assert run.wait(timeout=DEADLINE).signal == signal.SIGKILL


def test_kill(store: Store):
    """A killed run ends by SIGKILL at once."""
    run = started(store, IGNORES)

    run.kill()
    outcome = run.wait(timeout=DEADLINE)

    assert (outcome.reason, outcome.signal) == (Reason.STOPPED, signal.SIGKILL)


def test_stop_a_stopped_program(store: Store):
    """R7: a program that was paused with SIGSTOP goes on, to get its SIGTERM."""
    run = started(store, ["sh", "-c", "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.01; done"])
    run.signal(signal.SIGSTOP)
    wait_until(lambda: b"State:\tT" in Path(f"/proc/{run.pid}/status").read_bytes())

    run.stop()

    assert run.wait(timeout=DEADLINE).code == 0
    assert run.output(channel="stdout") == "up\nbye\n"


def test_signal(store: Store):
    """A signal reaches all processes of the run's group, and is no end of the run."""
    code = "trap 'echo {}; exit 0' USR1; echo up; while :; do sleep 0.01; done"
    run = store.start(["sh", "-c", f"({code.format('child')}) & {code.format('main; wait')}"])
    lines = run.lines()
    assert [next(lines), next(lines)] == ["up", "up"]

    run.signal(signal.SIGUSR1)
    outcome = run.wait(timeout=DEADLINE)

    assert outcome.ok
    assert sorted(run.output(channel="stdout").split()) == ["child", "main", "up", "up"]


@pytest.mark.parametrize("number", [0, -1, 65, 1000])
def test_no_such_signal(store: Store, number: int):
    """A number that is no signal's is refused, and the run is none the worse."""
    run = started(store, ["sh", "-c", "echo up; read line"], stdin="pipe")

    with pytest.raises(UsageError, match=f"expected the number of a signal, .* got {number}"):
        run.signal(number)
    with pytest.raises(UsageError, match="expected the number of a signal"):
        run.stop(signal=number)
    with pytest.raises(UsageError, match="expected a grace of 0 seconds or more"):
        run.stop(grace=float("nan"))
    run.send("line\n")
    assert run.wait(timeout=DEADLINE).ok


def test_finished(store: Store):
    """A run that has ended can no longer be stopped, signalled or sent anything."""
    run = store.start(["false"], stdin="pipe")
    run.wait(timeout=DEADLINE)

    for call in (run.stop, run.kill, lambda: run.signal(15), lambda: run.send("late")):
        with pytest.raises(RunFinished, match=f"run {run.id} has ended .exit code 1."):
            call()


@pytest.mark.slow
def test_finished_by_itself_while_stopping(store: Store):
    """Whoever stops runs that end at the same moment gets an answer or is told that they have ended."""
    for _ in range(20):
        run = store.start(["true"])
        with contextlib.suppress(RunFinished):
            run.stop()
        outcome = run.wait(timeout=DEADLINE)
        assert outcome.reason in (Reason.EXITED, Reason.STOPPED)


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

    with pytest.raises(RunFinished, match="this run reads no stdin: it was not asked for"):
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


def test_stdin_that_is_none(store: Store):
    """Something that has no descriptor is refused."""
    with pytest.raises(UsageError, match='expected stdin to be "pipe", a file or a descriptor, got'):
        store.start(["cat"], stdin="pip")


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
    with connect_path(run.directory.control_path, 5.0) as connection:
        for _ in range(2):  # more than the pipe holds
            connection.sendall(json.dumps({"op": "stdin", "bytes": 65536}).encode() + b"\n" + b"x" * 65536)
        wait_until(lambda: queued(run) == 65536, what="the pipe to fill")
    run.signal(signal.SIGCONT)  # when this is answered, the supervisor has seen the other one leave

    run.signal(signal.SIGUSR1)
    run.send("hello", eof=True)

    assert run.output(timeout=DEADLINE) == f"up\n{65536 + len('hello')}\n"
    assert run.wait().ok


@pytest.mark.parametrize(
    "sent",
    [
        b"nonsense\n",
        b"[]\n",
        b'"stop"\n',
        b'{"op": "stop", "bytes": -1}\n',
        b'{"op": "stop", "bytes": "many"}\n',
        b'{"op": "stdin", "bytes": 1000000}\n',
        b"x" * 300_000,
        b"\0\xff\n",
    ],
)
def test_nonsense(store: Store, sent: bytes):
    """Who talks nonsense to a run is hung up on, and the run goes on."""
    run = started(store, ["sh", "-c", "echo up; read line"], stdin="pipe")
    with connect_path(run.directory.control_path, 5.0) as connection, contextlib.suppress(ConnectionError):
        connection.sendall(sent)
        assert connection.recv(4096) == b""

    run.send("line\n")
    assert run.wait(timeout=DEADLINE).ok


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"op": "fly"},
        {"op": "stop", "grace": "long"},
        {"op": "stop", "grace": -1},
        {"op": "stop", "grace": float("nan")},
        {"op": "stop", "signal": 1000},
        {"op": "signal", "signal": None},
        {"op": "signal", "signal": 0},
        {"op": "stdin", "bytes": 0, "eof": False},
    ],
    ids=repr,
)
def test_impossible_request(store: Store, request_: dict[str, object]):
    """A request that cannot be done is answered with an error, and changes nothing."""
    run = started(store, ["sh", "-c", "echo up; sleep 60"])
    with connect_path(run.directory.control_path, 5.0) as connection:
        connection.sendall(json.dumps(request_).encode() + b"\n")
        answer = json.loads(connection.recv(4096))

    assert list(answer) == ["error"]
    assert run.state is State.RUNNING


def test_requests_in_pieces(store: Store):
    """A request is understood however it is cut, and several in one piece are all answered."""
    run = started(store, ["sh", "-c", "echo up; exec cat"], stdin="pipe")
    request = b'{"op": "stdin", "bytes": 3}\nabc'
    with connect_path(run.directory.control_path, 5.0) as connection, connection.makefile("rb") as answers:
        for at in range(len(request)):
            connection.sendall(request[at : at + 1])
        assert json.loads(answers.readline()) == {"ok": True}
        connection.sendall(request + request + b'{"op": "signal", "signal": 18}\n')
        assert [json.loads(answers.readline()) for _ in range(3)] == [{"ok": True}] * 3

    run.send("", eof=True)
    assert run.output(timeout=DEADLINE) == "up\nabcabcabc"


@contextlib.contextmanager
def idle_connections(run: Run, count: int) -> Iterator[None]:
    """Have so many connections to a run's control socket that say nothing."""
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            connection = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            wait_until(lambda connection=connection: connected(connection, run), what="room for a connection")
        yield


def connected(connection: socket.socket, run: Run) -> bool:
    connection.setblocking(False)
    try:
        connection.connect(run.directory.control_path)
    except BlockingIOError:  # the backlog is full at the moment
        return False
    return True


def processor_seconds(pid: int) -> float:
    """Return the processor time that a process has had."""
    fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.fault
def test_many_connections(store: Store):
    """R10: idle control connections, however many, harm no run; when they leave, requests are served."""
    run = started(store, ["sh", "-c", "echo up; read line; echo $line"], stdin="pipe")

    with idle_connections(run, 64 + 16):
        assert next(run.follow(timeout=0.2, tail=0)) is None
        assert 64 <= fds(supervisor_of(run)) <= 64 + 20
    run.send("line\n")

    assert run.output(timeout=DEADLINE) == "up\nline\n"


@pytest.mark.fault
def test_descriptors_exhausted(store: Store):
    """R10: a supervisor without descriptors to spare keeps its run, and does not turn in circles."""
    said = run_python(
        """
        import resource, socket, sys
        from runcast import Store

        resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
        run = Store(sys.argv[1]).start(["sh", "-c", "echo up; read line; echo $line"], stdin="pipe")
        print(run.id, next(run.lines()))
        """,
        store.path,
    )
    run = store.get(said.split()[0])
    supervisor = supervisor_of(run)
    with idle_connections(run, 40 - fds(supervisor) + 10):
        before = processor_seconds(supervisor)
        assert next(run.follow(timeout=0.4, tail=0)) is None
        assert processor_seconds(supervisor) - before < 0.2
    run.send("line\n")

    assert run.output(timeout=DEADLINE) == "up\nline\n"
    assert run.wait().ok


def test_control_socket_goes_with_the_run(store: Store):
    """A finished run leaves no socket behind."""
    run = store.start(["true"])
    run.wait(timeout=DEADLINE)

    wait_until(lambda: not os.path.exists(run.directory.control_path))


def test_input_is_kept_private(store: Store):
    """What a command was given to read is nobody else's to read, and no file is left in the temp folder."""
    before = set(os.listdir(tempfile.gettempdir()))
    run = store.start(["cat"], input="secret")
    run.wait(timeout=DEADLINE)

    modes = [path.stat().st_mode & 0o777 for path in Path(run.directory.path).iterdir() if path.is_file()]
    assert set(modes) == {0o600}
    assert not {name for name in set(os.listdir(tempfile.gettempdir())) - before if "runcast" in name}
