"""A run in a terminal of its own: what the program finds, what is typed, its size, and its end."""

import hashlib
import os
import re
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from runcast import Run, Store, TerminalSize
from runcast.errors import RunFinished, UsageError
from runcast.model import Reason
from tests.helpers.children import PYTHON, collect, fds, supervisor_of
from tests.helpers.wait import MS, wait_until

DEADLINE = 20000 * MS
# Says what it finds, then each line that it reads, and what it is that reads no more.
READER = r"""
import os, signal, sys
signal.signal(signal.SIGWINCH, lambda *_: os.write(1, b"now %d %d\n" % os.get_terminal_size(0)))
print("go on", flush=True)
while line := sys.stdin.readline():
    print("read", len(line), line.strip()[:20], flush=True)
print("end", flush=True)
"""


def begun(store: Store, code: str = READER, **options: object) -> Run:
    """Start a program in Python in a terminal; return its run when it is ready."""
    run = store.start([*PYTHON, code], **{"tty": True, **options})
    run.wait_for("go on", timeout=DEADLINE)
    return run


def written(run: Run) -> str:
    """Return the output so far."""
    return b"".join(chunk.data for chunk in run.log().read(0).chunks).decode()


def test_what_a_program_finds(store: Store):
    """All three are the run's own terminal, of its size, which is the controlling one."""
    code = (
        "import os, sys, termios\n"
        "print([os.isatty(fd) for fd in range(3)], os.get_terminal_size(1))\n"
        "own = os.open('/dev/tty', os.O_RDWR)\n"
        "print(len({os.ttyname(fd) for fd in range(3)}), own, os.tcgetpgrp(own) == os.getpgrp())\n"
        "print(os.getsid(0) == os.getpid(), os.environ['TERM'], os.environ['PAGER'])\n"
    )
    run = store.start([*PYTHON, code], tty=True, columns=132, rows=43)

    assert run.output(timeout=DEADLINE).split("\r\n") == [
        "[True, True, True] os.terminal_size(columns=132, lines=43)",
        "1 3 True",
        "True xterm-256color cat",
        "",
    ]
    assert (run.tty, run.size) == (True, TerminalSize(0, 132, 43))


def test_stdout_alone(store: Store):
    """With tty="stdout" only stdout is a terminal: stderr is apart, stdin empty, and nothing is asked."""
    code = (
        "import os, sys\n"
        "print([os.isatty(fd) for fd in range(3)], os.get_terminal_size(1)[:], repr(sys.stdin.read()))\n"
        "print('aside', file=sys.stderr)\n"
        "try: open('/dev/tty')\n"
        "except OSError as error: print(type(error).__name__, error.errno)\n"
    )
    run = store.start([*PYTHON, code], tty="stdout", rows=30)
    run.wait(timeout=DEADLINE)

    assert run.output(channel="stdout") == "[False, True, False] (80, 30) ''\r\nOSError 6\r\n"
    assert run.output(channel="stderr") == "aside\n"
    assert run.to_json()["tty"] == "stdout"


def test_stdin_beside_a_terminal(store: Store):
    """With tty="stdout" the program may be given an input, or be written to."""
    assert store.start(["cat"], tty="stdout", input=b"given\n").output(timeout=DEADLINE) == "given\r\n"
    run = store.start(["cat"], tty="stdout", stdin="pipe")
    run.send("sent\n", eof=True)
    assert run.output(timeout=DEADLINE) == "sent\r\n"


@pytest.mark.slow
def test_lines_come_at_once(store: Store):
    """A program whose C library buffers on pipes shows each line at once in a terminal."""
    for tty in (True, "stdout"):
        run = store.start(
            ["sh", "-c", "printf 'b\\na\\n' | sed s/x/y/; exec sed -n p"], tty=tty, stdin="pipe"
        )
        assert run.wait_for("a", timeout=DEADLINE).text == "a"
        run.send("more\n")
        run.wait_for("^more$", regex=True, timeout=DEADLINE)
        run.kill()


@pytest.mark.parametrize(("typed", "said"), [("", None), ("abc\r", "read 4 abc"), ("é\n", "read 2 é")])
def test_typing(store: Store, typed: str, said: str | None):
    """What is typed is echoed and read by lines; Ctrl-D ends the input wherever the line is."""
    run = begun(store)
    run.send(typed, eof=True)
    output = run.output(timeout=DEADLINE)

    assert output.count("read") == bool(said)
    assert said is None or f"{said}\r\n" in output
    assert output.endswith("end\r\n")
    assert run.wait().ok


def test_the_end_of_a_line_that_has_begun(store: Store):
    """The first Ctrl-D hands over what there is of the line, so another one is typed."""
    run = store.start(["cat"], tty=True)
    run.send("abc", eof=True)

    assert run.output(timeout=DEADLINE) == "abcabc"


def test_the_terminal_outlives_its_input(store: Store):
    """After one Ctrl-D the next program that reads the terminal gets what is typed then."""
    run = store.start(["sh", "-c", "cat; echo first done; cat; echo second done"], tty=True)
    run.send("one\n", eof=True)
    run.wait_for("first done", timeout=DEADLINE)
    run.send("two\n", eof=True)

    assert "two\r\ntwo\r\nsecond done" in run.output(timeout=DEADLINE)


@pytest.mark.parametrize(
    ("key", "number"), [("\x03", signal.SIGINT), ("\x1c", signal.SIGQUIT)], ids=["^C", "^backslash"]
)
def test_keys_that_end(store: Store, key: str, number: int):
    """Ctrl-C and Ctrl-\\ reach the foreground, as in any terminal."""
    run = store.start(["sh", "-c", "echo ready; exec sleep 600"], tty=True)
    run.wait_for("ready", timeout=DEADLINE)
    run.send(key)

    outcome = run.wait(timeout=DEADLINE)
    assert (outcome.reason, outcome.signal) == (Reason.SIGNALED, number)


@pytest.mark.slow
def test_key_that_stops(store: Store):
    """Ctrl-Z stops the job in the foreground of a shell, which goes on, and `fg` continues it."""
    run = store.start(["bash", "--norc", "-i"], tty=True, env={"PS1": "$ "})

    def said(text: str, times: int) -> None:
        wait_until(lambda: written(run).count(text) >= times, DEADLINE, f"{text!r} {times} times")

    run.send("echo rea''dy; cat\n")
    said("ready", 1)
    run.send("first\n")
    said("first", 2)  # by cat, too: it is in the foreground
    run.send("\x1a")
    said("Stopped", 1)
    run.send("fg\n")
    said("\rcat", 1)
    run.send("second\n")
    said("second", 2)
    run.send("", eof=True)
    said("$ ", 3)
    run.send("exit 7\n")

    assert run.wait(timeout=DEADLINE).code == 7


def test_long_lines_are_refused(store: Store):
    """A line that the terminal would cut is refused whole, whatever comes with it; a shorter one is read."""
    run = begun(store)
    run.send("x" * 4000)
    for data in ("x" * 96, "x" * 96 + "\n", "y\n" + "x" * 4096 + "\n", "x" * 300_000):
        with pytest.raises(UsageError, match="expected lines of up to 4095 bytes, as a terminal takes them"):
            run.send(data)
    run.send("x" * 95 + "\n")
    run.send("b" * 4095 + "\n", eof=True)

    assert re.findall("read ([0-9]+)", run.output(timeout=DEADLINE)) == ["4096", "4096"]


@pytest.mark.slow
def test_single_keys_have_no_lines(store: Store):
    """A program that takes single keys gets any number of bytes, each of them, at its own speed."""
    code = (
        "import os, sys, tty, hashlib\n"
        "tty.setraw(0)\n"
        "os.write(1, b'go on\\n')\n"
        "got = b''\n"
        "while len(got) < 200_000: got += os.read(0, 7000)\n"
        "print(hashlib.sha256(got).hexdigest())\n"
    )
    data = os.urandom(200_000)
    run = begun(store, code)
    run.send(data)

    assert run.output(timeout=DEADLINE).split()[-1] == hashlib.sha256(data).hexdigest()


@pytest.mark.slow
@pytest.mark.parametrize("raw", [False, True])
def test_a_full_terminal_holds_up_nothing(store: Store, raw: bool):
    """Where a program reads nothing, its sender waits, and stop, resize and the end of the run do not."""
    code = "import tty, os, time\n" + "tty.setraw(0)\n" * raw + "os.write(1, b'go on\\n'); time.sleep(600)\n"
    run = begun(store, code)
    failed: list[BaseException] = []

    def send() -> None:
        try:
            run.send("line\n" * 50_000)
        except RunFinished as error:
            failed.append(error)

    sender = threading.Thread(target=send)
    sender.start()
    supervisor = supervisor_of(run)

    def busy() -> int:
        return sum(map(int, Path(f"/proc/{supervisor}/stat").read_text().split()[13:15]))

    run.resize(100, 30)  # answered while the sender waits
    assert sender.is_alive()
    before, began = busy(), time.monotonic()
    wait_until(lambda: time.monotonic() >= began + 0.3, what="0.3 s to pass")
    assert busy() - before <= 15  # ticks of 10 ms: it does not spin
    began = time.monotonic()
    run.kill()
    run.wait(timeout=DEADLINE)
    sender.join(DEADLINE)

    assert not sender.is_alive()
    assert len(failed) == 1
    assert time.monotonic() - began < 5000 * MS


def test_resize(store: Store):
    """Each new size reaches the program by a signal, and is recorded behind what was written before."""
    run = begun(store)
    run.resize(100, 30)
    run.wait_for("now 100 30", timeout=DEADLINE)
    run.resize(100, 30)  # the same: no signal, and no record
    run.resize(65535, 1)
    run.wait_for("now 65535 1", timeout=DEADLINE)
    run.send("", eof=True)
    output = run.output(timeout=DEADLINE)

    assert [size[:3] for size in run.sizes] == [
        (0, 80, 24),
        (output.index("now 100"), 100, 30),
        (output.index("now 65535"), 65535, 1),
    ]
    assert output.count("now") == 2
    assert (run.to_json()["columns"], run.to_json()["rows"]) == (65535, 1)


def test_resize_of_stdout(store: Store):
    """A program that has a terminal as its stdout alone gets the signal, too."""
    run = begun(
        store, READER.replace("get_terminal_size(0)", "get_terminal_size(1)"), tty="stdout", stdin="pipe"
    )
    run.resize(90, 20)
    run.wait_for("now 90 20", timeout=DEADLINE)
    run.send("", eof=True)

    assert run.wait(timeout=DEADLINE).ok


def test_resize_of_pipes_and_of_the_past(store: Store):
    """A run without a terminal and one that has ended are refused, each with its reason."""
    pipes = store.start(["cat"], stdin="pipe")
    with pytest.raises(UsageError, match="expected a run with a terminal"):
        pipes.resize(80, 24)
    pipes.kill()
    over = store.start(["true"], tty=True)
    over.wait(timeout=DEADLINE)
    wait_until(lambda: over.closed, what="the log to close")
    with pytest.raises(RunFinished):
        over.resize(81, 24)
    for size in ((0, 24), (80, 65536), (10**6, 1), (True, 1), ("80", 24)):
        with pytest.raises(UsageError, match="as a number from 1 to 65535"):
            over.resize(*size)  # type: ignore[arg-type]


def test_rerun(store: Store):
    """A rerun has a terminal of the size that the first run began with."""
    run = store.start(["stty", "size"], tty=True, columns=99, rows=9)
    run.wait(timeout=DEADLINE)

    assert store.rerun(run).output(timeout=DEADLINE) == "9 99\r\n"


@pytest.mark.slow
def test_a_program_may_leave_its_terminal(store: Store):
    """A program that closes its terminal and opens it again later is still heard: only the exit ends it."""
    code = (
        "import os, signal, sys, time\n"
        "path = os.ttyname(0)\n"
        "os.write(1, b'go on\\n')\n"
        "for fd in range(3): os.close(fd)\n"
        "time.sleep(0.3)\n"
        "os.open(path, os.O_RDWR)\n"
        "os.write(0, b'again\\n')\n"
    )
    run = begun(store, code)

    assert run.output(timeout=DEADLINE) == "go on\r\nagain\r\n"
    assert run.wait().ok


def test_bytes(store: Store):
    """All bytes arrive unchanged from a terminal in raw mode, and nothing of the last is lost at the exit."""
    code = (
        "import os, sys, tty\n"
        "tty.setraw(0)\n"
        "view = memoryview(bytes(range(256)) * 4000)\n"
        "while view: view = view[os.write(1, view):]\n"
        "os._exit(3)\n"
    )
    run = store.start([*PYTHON, code], tty=True)
    collected = collect(run.follow())

    assert collected.of("stdout") == bytes(range(256)) * 4000
    assert collected.faults == []
    assert run.wait().code == 3


def test_everything_is_given_back(store: Store):
    """Descriptors and terminals are given back with the run."""
    run = begun(store)
    supervisor = supervisor_of(run)
    held = fds(supervisor)
    run.send("", eof=True)
    run.wait(timeout=DEADLINE)
    store.start(["true"]).wait(timeout=DEADLINE)

    wait_until(
        lambda: not Path(f"/proc/{supervisor}").exists() or fds(supervisor) < held, what="fewer descriptors"
    )


def test_no_terminal_for_what_has_no_process(store: Store):
    """A function has no terminal, and is told what to do."""
    with pytest.raises(UsageError, match="expected tty=True with a command only, got a function"):
        store.start(sys.exc_info, tty=True)
