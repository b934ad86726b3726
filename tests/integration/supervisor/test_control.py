"""The control socket: stop, kill and signal, by whoever, however they behave."""

import contextlib
import json
import os
import signal
import socket
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from runcast import Reason, Run, State, Store
from runcast.errors import RunFinished, UsageError
from runcast.run.base import files_of
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
    """R7: a program that ignores SIGTERM is killed after the grace."""
    run = started(store, IGNORES)

    run.stop(grace=0.2)
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
    program = """
        import os, signal, sys

        signal.signal(signal.SIGTERM, lambda *_: sys.exit(os.write(1, b"bye\\n") - 4))
        print("up")
        while True:
            signal.pause()
    """
    run = started(store, [sys.executable, "-c", textwrap.dedent(program)])
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
    path = files_of(run).control_path
    with connect_path(path, DEADLINE) as connection, contextlib.suppress(ConnectionError):
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
    with connect_path(files_of(run).control_path, DEADLINE) as connection:
        connection.sendall(json.dumps(request_).encode() + b"\n")
        answer = json.loads(connection.recv(4096))

    assert list(answer) == ["error"]
    assert run.state is State.RUNNING


def test_requests_in_pieces(store: Store):
    """A request is understood however it is cut, and several in one piece are all answered."""
    run = started(store, ["sh", "-c", "echo up; exec cat"], stdin="pipe")
    request = b'{"op": "stdin", "bytes": 3}\nabc'
    path = files_of(run).control_path
    with connect_path(path, DEADLINE) as connection, connection.makefile("rb") as answers:
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
    # The path may be too long for a socket's name.
    folder = os.open(files_of(run).path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        connection.connect(f"/proc/self/fd/{folder}/control")
    except BlockingIOError:  # the backlog is full at the moment
        return False
    finally:
        os.close(folder)
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
        wait_until(lambda: fds(supervisor_of(run)) >= 64, what="so many to be accepted")
        assert next(run.follow(timeout=0.2, tail=0)) is None
        assert fds(supervisor_of(run)) <= 64 + 20
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

    wait_until(lambda: not os.path.exists(files_of(run).control_path))
