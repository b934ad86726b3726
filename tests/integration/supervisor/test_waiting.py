"""Which runs wait for input: real programs, looked at by their supervisors."""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runcast import Run, Store
from runcast.errors import RunFinished
from runcast.model import Waiting
from runcast.supervisor.awaited import PipeInput, awaited
from tests.helpers.children import PYTHON, supervisor_of
from tests.helpers.cli import cli
from tests.helpers.programs import program
from tests.helpers.wait import MS, wait_until

LONG = 30_000 * MS
NODE_ASKS = """require("readline").createInterface({input: process.stdin, output: process.stdout})
    .question("Name? ", process.exit)"""
NODE_SERVES = 'require("http").createServer().listen(0); process.stdin.resume(); console.log("up")'
ASYNCIO_ASKS = """
import asyncio, sys
async def main():
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
    print("Name?", end=" ", flush=True)
    await reader.readline()
asyncio.run(main())
"""
THREAD_ASKS = """
import threading
thread = threading.Thread(target=input, args=["Name? "])
thread.start()
thread.join()
"""
SELECT_ASKS = "import select, sys; print(end='Name? ', flush=True); select.select([sys.stdin], [], [])"
POLL_ASKS = """
import select
poll = select.poll()
poll.register(0, select.POLLIN)
poll.poll()
"""
POLL_MORE = """
import os, select, socket
server = socket.create_server(("127.0.0.1", 0))
print("up", flush=True)
select.select([0, server], [], [])
"""
BUSY_CHILD = "(while :; do :; done) & echo up; read answer"

WAIT = {
    "python input": (["python3", "-c", "input('Name? ')"], "Name?"),
    "python thread": ([*PYTHON, THREAD_ASKS], "Name?"),
    "python select": ([*PYTHON, SELECT_ASKS], "Name?"),
    "python poll": ([*PYTHON, POLL_ASKS], ""),
    "asyncio": ([*PYTHON, ASYNCIO_ASKS], "Name?"),
    "getpass": ([*PYTHON, "import getpass; getpass.getpass()"], "Password:"),
    "bash read": (["bash", "-c", "printf 'Go on? '; read answer"], "Go on?"),
    "bash read with a timeout": (["bash", "-c", "printf 'Go on? '; read -t 600 answer"], "Go on?"),
    "a child": (["sh", "-c", "printf 'Go on? '; cat; true"], "Go on?"),
    "stderr": (["sh", "-c", "echo one; printf 'Go on? ' >&2; head -n 1"], "Go on?"),
    "xargs": (["xargs", "echo"], ""),
    "cat": (["cat"], ""),
    "perl": (["perl", "-e", "$| = 1; print 'Name? '; <STDIN>"], "Name?"),
    "node": (["node", "-e", NODE_ASKS], "Name?"),
    "sqlite3": (["sqlite3"], ""),
}
REST = {
    "sleep": ["sh", "-c", "echo up; exec sleep 600"],
    "tail -f": ["sh", "-c", "echo up; exec tail -f /etc/passwd"],
    "a pipe of its own": ["sh", "-c", "echo up; sleep 600 | cat"],
    "in the background": ["bash", "-c", "echo up; cat & sleep 600"],  # bash gives it /dev/null
    "a server": [
        *PYTHON,
        "import socket; s = socket.create_server(('', 0)); print('up', flush=True); s.accept()",
    ],
    "a server that reads stdin": ["node", "-e", NODE_SERVES],
    "select with a socket": [*PYTHON, POLL_MORE],
    "another works": ["bash", "-c", BUSY_CHILD],
    "futex": [*PYTHON, "import threading; print('up', flush=True); threading.Event().wait()"],
    "closed": ["sh", "-c", "echo up; exec 0<&-; sleep 600"],
}


TYPED = {
    "python input": (["python3", "-c", "input('Name? ')"], "input", "Name?"),
    "getpass": ([*PYTHON, "import getpass; getpass.getpass()"], "password", "Password:"),
    "bash read": (["bash", "-c", "read -p 'Go on? ' answer"], "input", "Go on?"),
    "bash read -s": (["bash", "-c", "read -s -p 'Secret? ' answer"], "password", "Secret?"),
    "bash": (["bash", "--norc", "-i"], "input", None),
    "python": (["python3", "-i"], "input", ">>>"),
    "node": (["node", "-e", NODE_ASKS], "input", "Name?"),
    "sqlite3": (["sqlite3"], "input", "sqlite>"),
    "less": (["less", "/etc/services"], "input", None),
    "vim": (["vim", "-u", "NONE"], "input", None),
    "dialog": (["dialog", "--yesno", "Sure?", "5", "20"], "input", None),
    "cat": (["cat"], "input", ""),
}
REST_TYPED = {
    "sleep": ["sh", "-c", "echo up; exec sleep 600"],
    "tail -f": ["sh", "-c", "echo up; exec tail -f /etc/passwd"],
    "in the background": ["bash", "-c", "echo up; cat & sleep 600"],
    "a relay": [*PYTHON, "import pty; print('up', flush=True); pty.spawn(['sleep', '600'])"],
}


@pytest.fixture
def runs(store: Store) -> Iterator[list[Run]]:
    """Give a list of runs that are killed at the end."""
    started: list[Run] = []
    yield started
    for run in started:
        with contextlib.suppress(RunFinished):
            run.kill()
        run.wait(timeout=LONG)


def start(store: Store, runs: list[Run], command: list[str], **options: Any) -> Run:
    """Start a program that reads a pipe, or its terminal."""
    program(command[0])
    run = store.start(command, **options or {"stdin": "pipe"})
    runs.append(run)
    return run


def waiting(run: Run) -> Waiting | None:
    assert run.outcome is None, (run.outcome, run.output())
    return run.waiting


@pytest.mark.slow
@pytest.mark.parametrize("name", WAIT)
def test_waits(store: Store, runs: list[Run], name: str) -> None:
    """A silent program that reads its stdin waits for input, until it gets some; its question is shown."""
    command, question = WAIT[name]
    run = start(store, runs, command)

    wait_until(lambda: waiting(run), LONG, "that it waits")

    assert run.waiting == Waiting("input", question)
    assert run.to_json()["waiting"] == {"for": "input", "question": question}
    run.send("\n", eof=True)
    wait_until(lambda: run.waiting is None, LONG, "that it goes on")


@pytest.mark.slow
@pytest.mark.parametrize("name", REST)
def test_does_not_wait(store: Store, runs: list[Run], name: str) -> None:
    """A silent program that waits for something else is not shown as waiting for input."""
    run = start(store, runs, REST[name])
    assert next(run.lines(timeout=LONG)) == "up"
    clock = start(store, runs, ["cat"])
    wait_until(lambda: clock.waiting, LONG, "the same time of silence")

    assert waiting(run) is None
    if os.path.exists(stdin := f"/proc/{run.pid}/fd/0"):
        fd = os.open(stdin, os.O_RDONLY | os.O_NONBLOCK)
        assert not awaited(PipeInput(fd), supervisor_of(run))
        os.close(fd)


@pytest.mark.slow
@pytest.mark.parametrize("name", TYPED)
def test_waits_at_a_terminal(store: Store, runs: list[Run], name: str) -> None:
    """So does one that reads its terminal, by whichever descriptor; what is hidden is a password."""
    command, kind, question = TYPED[name]
    run = start(store, runs, command, tty=True)

    shown = wait_until(lambda: waiting(run), LONG, "that it waits")

    assert shown.kind == kind
    assert question in (None, shown.question)


@pytest.mark.slow
@pytest.mark.parametrize("name", REST_TYPED)
def test_does_not_wait_at_a_terminal(store: Store, runs: list[Run], name: str) -> None:
    """One that has a terminal, and reads it not, is not shown as waiting."""
    run = start(store, runs, REST_TYPED[name], tty=True)
    run.wait_for("up", timeout=LONG)
    clock = start(store, runs, ["cat"], tty=True)
    wait_until(lambda: clock.waiting, LONG, "the same time of silence")

    assert waiting(run) is None


@pytest.mark.slow
def test_password_is_nowhere(store: Store, runs: list[Run]) -> None:
    """What is typed while a password is asked for is in no file of the store."""
    code = "import getpass; print(len(getpass.getpass())); print(input('Name? '))"
    run = start(store, runs, [*PYTHON, code], tty=True)
    wait_until(lambda: waiting(run), LONG, "that it waits")
    assert run.waiting == Waiting("password", "Password:")

    run.send("correct-horse\n")
    wait_until(lambda: waiting(run) == Waiting("input", "Name?"), LONG, "the next question")
    run.send("battery\n")

    assert run.wait(timeout=LONG).ok
    files = [path.read_bytes() for path in Path(store.path).rglob("*") if path.is_file()]
    assert [word in b"".join(files) for word in (b"correct-horse", b"battery")] == [False, True]


@pytest.mark.root
def test_of_another_user(store: Store, runs: list[Run]) -> None:
    """A supervisor of root sees what a setuid program of another user waits for."""
    run = start(store, runs, [program("setpriv"), "--reuid=65534", "--clear-groups", program("su"), "root"])

    wait_until(lambda: waiting(run), LONG, "that it waits")

    assert run.waiting == Waiting("input", "Password:")


@pytest.mark.root
def test_of_another_user_at_a_terminal(store: Store, runs: list[Run]) -> None:
    """At a terminal it asks for a password."""
    command = [program("setpriv"), "--reuid=65534", "--clear-groups", program("su"), "root"]
    run = start(store, runs, command, tty=True)

    wait_until(lambda: waiting(run), LONG, "that it waits")

    assert run.waiting == Waiting("password", "Password:")


TWO_QUESTIONS = """
import sys, threading
print("One?", end=" ", flush=True)
threading.Thread(target=sys.stdin.readline).start()
open(sys.argv[1]).read()
print("\\nTwo?", end=" ", flush=True)
"""


@pytest.mark.slow
def test_output_ends_it(store: Store, runs: list[Run], tmp_path: Path) -> None:
    """Output withdraws the claim; the next silence brings it back, with the new question."""
    os.mkfifo(tmp_path / "go")
    run = start(store, runs, [*PYTHON, TWO_QUESTIONS, str(tmp_path / "go")])
    wait_until(lambda: waiting(run) == Waiting("input", "One?"), LONG, "the first question")

    (tmp_path / "go").write_text("")

    wait_until(lambda: run.tail_offset == len("One? \nTwo? "), LONG, "the output")
    wait_until(lambda: waiting(run) != Waiting("input", "One?"), LONG, "that it is withdrawn")
    wait_until(lambda: waiting(run) == Waiting("input", "Two?"), LONG, "the second question")


@pytest.mark.slow
def test_end_of_input(store: Store, runs: list[Run]) -> None:
    """A run whose stdin was closed waits for nothing more, and one that is over neither."""
    run = start(store, runs, ["cat"])
    wait_until(lambda: waiting(run), LONG, "that it waits")

    run.send("", eof=True)
    run.wait(timeout=LONG)

    assert run.waiting is None
    assert run.to_json()["waiting"] is None


@pytest.mark.slow
def test_long_question(store: Store, runs: list[Run]) -> None:
    """Of a question that has no room in the state its end is shown."""
    run = start(store, runs, ["sh", "-c", f"printf '{'何' * 300} [Y/n] '; read answer"])

    shown = wait_until(lambda: waiting(run), LONG, "that it waits")

    assert shown.question.endswith("何何 [Y/n]")
    assert 20 < len(shown.question) <= 200


@pytest.mark.slow
def test_listed(store: Store, runs: list[Run]) -> None:
    """`runcast ls` shows it, in its table and as JSON."""
    run = start(store, runs, ["cat"])
    wait_until(lambda: waiting(run), LONG, "that it waits")

    assert b"running, waiting for input" in cli("ls").out
    assert json.loads(cli("ls", "--json").out)["waiting"] == {"for": "input", "question": ""}
