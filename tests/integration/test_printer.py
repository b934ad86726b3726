"""Printers and other processes: who writes into the pipe of a run, and what a forked child may do."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from runcast.model import Channel
from runcast.sources import pipe
from runcast.sources.capture import current
from runcast.sources.pipe import CapturePipe
from runcast.sources.printer import Printer
from tests.helpers.wait import wait_until
from tests.unit.sources.printed import ERR, OUT, Printed, printing

Pair = tuple[Printer, Printed]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """The printer of the run that this code belongs to, and what it appended."""
    with printing() as pair:
        token = current.set(pair[0])
        yield pair
        current.reset(token)


def test_subprocess_writes_to_the_pipe(pair: Pair):
    """`fileno` is for programs: what they write is in the log."""
    printer, printed = pair
    printer.write(OUT, "before\n")
    program = "import sys; print('out'); print('err', file=sys.stderr)"
    subprocess.run(
        [sys.executable, "-c", program], stdout=printer.fileno(OUT), stderr=printer.fileno(ERR), check=True
    )
    printer.write(OUT, "after\n")
    printer.close()

    assert printed.text(OUT) == "before\nout\nafter\n"
    assert printed.text(ERR) == "err\n"


def test_close_with_a_writer_left():
    """A program that holds on to the pipe does not keep a run from its end."""
    printed = Printed()
    printer = Printer(printed.append)
    code = "import sys; print('up', flush=True); sys.stdin.read()"
    child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=printer.fileno(OUT))
    printed.wait_for("up\n")
    printer.close()
    child.communicate()

    assert printed.text() == "up\n"


def test_close_while_the_thread_is_busy(monkeypatch: pytest.MonkeyPatch):
    """A pipe whose thread does not come back in time is closed by that thread."""
    monkeypatch.setattr(pipe, "_CLOSE_SECONDS", 0)
    busy, goes_on = threading.Event(), threading.Event()

    def take() -> bool:
        busy.set()
        goes_on.wait()
        return False

    one = CapturePipe(OUT)
    one.follow(take)
    one.write(b"something")
    busy.wait()
    one.close()

    assert one.reader >= 0  # the thread may look there
    goes_on.set()
    wait_until(lambda: one.reader < 0, what="it to be closed")


def test_forked_child_writes_through_the_pipe(pair: Pair):
    """A forked child writes into the parent's log by the pipe, at once; what was pending is not doubled."""
    printer, printed = pair
    printer.fileno(OUT)
    printer.write(OUT, "pending ")
    pid = os.fork()
    if not pid:
        taken = printer.write(OUT, "of the child\n")
        printer.flush()
        printer.close()
        os._exit(0 if taken else 1)
    assert os.waitpid(pid, 0)[1] == 0
    printer.close()

    assert "pending " in printed.text()
    assert sorted(printed.text().split()) == ["child", "of", "pending", "the"]


@pytest.mark.slow
def test_forked_in_the_midst_of_prints(pair: Pair):
    """A child forked while other threads print does not wait for locks that nobody will give back."""
    printer, printed = pair
    printer.fileno(OUT)
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            printer.write(OUT, "noise\n")

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for number in range(20):
            pid = os.fork()
            if not pid:
                printer.write(OUT, f"child {number}\n")
                printer.flush()
                os._exit(0)
            assert os.waitpid(pid, 0)[1] == 0
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    printer.close()

    lines = printed.text().splitlines()
    assert [line for line in lines if line != "noise"] == [f"child {number}" for number in range(20)]


def test_child_outlives_the_printer(pair: Pair, capfd: pytest.CaptureFixture[str]):
    """What a forked child prints when the run is over goes to the real stream."""
    printer, printed = pair
    printer.fileno(OUT)
    go, wait = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(wait)
        os.read(go, 1)  # ends when the parent closed the other end
        os._exit(0 if printer.write(OUT, "late\n") else 1)
    os.close(go)
    printer.close()
    os.close(wait)

    assert os.waitpid(pid, 0)[1] == 0
    said = ""

    def heard() -> bool:
        nonlocal said
        said += capfd.readouterr().out
        return said == "late\n"

    wait_until(heard, what="the drain process to show it")
    assert printed.text() == ""


def test_check_is_for_the_code_that_prints():
    """Nobody but the code that prints is stopped: not the thread that appends unfinished lines."""
    printed, checked = Printed(), []
    printer = Printer(printed.append, lambda: checked.append(threading.get_ident()))
    printer.write(OUT, "half")
    printed.wait_for("half")
    printer.fileno(OUT)
    printer.close()

    assert checked == [threading.get_ident()]


def test_order_of_descriptor_and_prints(pair: Pair):
    """What is written to the descriptor and what is printed keep their order, unfinished lines too."""
    printer, printed = pair
    for number in range(100):
        printer.write(OUT, f"p{number} ")
        os.write(printer.fileno(OUT), b"w%d " % number)
        printer.write(OUT, f"l{number}\n")
    printer.close()  # whoever else appends at this moment, has appended by then

    assert printed.text() == "".join(f"p{n} w{n} l{n}\n" for n in range(100))


def test_last_words_behind_a_descriptor():
    """An unfinished line at the end comes behind what was written to the descriptor before it was printed."""
    printed, entered, leave = Printed(), threading.Event(), threading.Event()

    def append(channel: Channel, data: bytes) -> None:
        printed.append(channel, data)
        entered.set()
        leave.wait()

    printer = Printer(append)
    fd = printer.fileno(OUT)
    os.write(fd, b"first\n")
    entered.wait()
    os.write(fd, b"saved\n")  # nobody reads it yet: the one who does is appending
    printer.write(OUT, "Done")
    leave.set()
    printer.close()

    assert printed.text() == "first\nsaved\nDone"


def test_descriptor_is_read_without_prints(pair: Pair):
    """What is written to the descriptor is seen though nothing is printed, more than a pipe holds too."""
    printer, printed = pair
    data = b"0123456789" * 30_000
    fd = printer.fileno(OUT)
    written = 0
    while written < len(data):
        written += os.write(fd, data[written:])

    wait_until(lambda: len(printed.text()) == len(data), what="all of it")
