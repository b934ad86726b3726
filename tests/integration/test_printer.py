"""Printers and other processes: who writes into the pipe of a run, and what a forked child may do."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from runcast.sources.printer import Printer
from tests.unit.sources.printed import ERR, OUT, Printed, printing

Pair = tuple[Printer, Printed]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """A printer, and what it appended."""
    with printing() as pair:
        yield pair


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


def test_forked_child_writes_through_the_pipe(pair: Pair):
    """A forked child writes into the parent's log by the pipe, at once; what was pending is not doubled."""
    printer, printed = pair
    printer.fileno(OUT)
    printer.write(OUT, "pending ")
    pid = os.fork()
    if not pid:
        taken = printer.write(OUT, "of the child\n") and not printer.write(ERR, "no pipe\n")
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


def test_child_outlives_the_printer(pair: Pair):
    """A forked child that prints when the run is over is told so, and gets no error."""
    printer, _ = pair
    printer.fileno(OUT)
    go, wait = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(wait)
        os.read(go, 1)  # ends when the parent closed the other end
        os._exit(0 if not printer.write(OUT, "late\n") else 1)
    os.close(go)
    printer.close()
    os.close(wait)

    assert os.waitpid(pid, 0)[1] == 0
