"""Redirects: what code of a run assigns to `sys.stdout` is its own, whoever else prints meanwhile."""

import contextlib
import contextvars
import io
import queue
import sys
import threading
from collections.abc import Callable, Iterator
from types import ModuleType

import pytest

from runcast.sources import capture
from runcast.sources.capture import capturing
from runcast.sources.printer import Printer
from tests.unit.sources.printed import ERR, OUT, Printed, printing


@pytest.fixture(autouse=True)
def released() -> Iterator[None]:
    """Leave nothing behind, and find `sys` as it was."""
    streams = sys.stdout, sys.stderr
    yield
    assert type(sys) is ModuleType
    assert (sys.stdout, sys.stderr) == streams
    capture.uninstall()


class Run:
    """A run whose code is called step by step, from anywhere."""

    def __init__(self, printer: Printer, printed: Printed) -> None:
        self.printer, self.printed = printer, printed
        self._context = contextvars.Context()
        self._context.run(capture.current.set, printer)
        capture.begin(printer)

    def do(self, function: Callable[..., object], *args: object) -> object:
        """Call something as its code."""
        return self._context.run(function, *args)

    def end(self) -> None:
        """End it."""
        self.do(capture.redirects.flush, self.printer)
        capture.end(self.printer)
        capture.forget(self.printer)
        self.printer.close()

    @property
    def text(self) -> str:
        """What it printed."""
        return self.printed.text()


@pytest.fixture
def begin() -> Iterator[Callable[[], Run]]:
    """Begin runs."""
    with contextlib.ExitStack() as stack:
        yield lambda: Run(*stack.enter_context(printing()))


def assign(stream: object) -> None:
    sys.stdout = stream  # type: ignore[assignment]


def test_redirect_of_one_of_two(begin: Callable[[], Run], capsys: pytest.CaptureFixture[str]):
    """What one run redirects takes nothing of another's, begun before or after, or of the server's."""
    before, run = begin(), begin()
    mine = io.StringIO()
    redirect = contextlib.redirect_stdout(mine)
    run.do(redirect.__enter__)
    after = begin()
    for each in (before, run, after):
        each.do(print, "line")
    print("server")
    run.do(redirect.__exit__, None, None, None)
    run.do(print, "again")
    for each in (before, run, after):
        each.end()

    assert (before.text, run.text, after.text) == ("line\n", "again\n", "line\n")
    assert mine.getvalue() == "line\n"
    assert capsys.readouterr().out == "server\n"


@pytest.mark.parametrize("first", ["run", "other"])
def test_never_undone(begin: Callable[[], Run], first: str, capsys: pytest.CaptureFixture[str]):
    """What a run left in `sys.stdout` is gone with it, whichever run ends first."""
    run, other = begin(), begin()
    mine = io.StringIO()
    run.do(assign, mine)
    run.do(print, "mine")
    for each in (run, other) if first == "run" else (other, run):
        each.end()
        print("server")
    later = begin()
    later.do(print, "later")
    later.end()

    assert (mine.getvalue(), run.text, other.text, later.text) == ("mine\n", "", "", "later\n")
    assert capsys.readouterr().out == "server\nserver\n"


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # as in plain Python
def test_what_was_not_flushed(begin: Callable[[], Run]):
    """Text that a redirect still held when its run ended is not lost, and not the server's."""
    run = begin()

    def wrap() -> None:
        sys.stdout = io.TextIOWrapper(sys.stdout.buffer, "latin-1")
        print("held é")

    run.do(wrap)
    run.end()

    assert run.printed.appends == [(OUT, "held é\n".encode("latin-1"))]


def test_read_inside(begin: Callable[[], Run]):
    """Code of a run reads what it assigned, others what they have."""
    run = begin()
    server = sys.stdout

    def look() -> str:
        sys.stdout = io.StringIO()
        print("taken")
        taken: str = sys.stdout.getvalue()
        sys.stdout = server
        print("back")
        return taken

    run.do(assign, io.StringIO())
    assert sys.stdout is server
    assert run.do(lambda: sys.stdout) is not server
    assert run.do(look) == "taken\n"
    run.end()

    assert run.text == "back\n"


def test_tee(begin: Callable[[], Run]):
    """An object that writes on to the stream that it stands for does so, once."""
    run = begin()

    class Tee(io.TextIOBase):
        def __init__(self) -> None:
            self.before, self.copy = sys.stdout, io.StringIO()

        def write(self, text: str, /) -> int:
            self.before.write(text)
            return self.copy.write(text)

    def work() -> str:
        tee = Tee()
        with contextlib.redirect_stdout(tee):
            print("both")
        return tee.copy.getvalue()

    assert run.do(work) == "both\n"
    run.end()

    assert run.text == "both\n"


def test_nested_and_in_threads(begin: Callable[[], Run]):
    """A redirect is its run's, threads and all; nested ones are undone one by one."""
    run = begin()
    outer, inner = io.StringIO(), io.StringIO()

    def in_thread(text: str) -> None:
        thread = threading.Thread(target=print, args=(text,))
        thread.start()
        thread.join()

    def work() -> None:
        with contextlib.redirect_stdout(outer):
            print("one")
            with contextlib.redirect_stdout(inner):
                in_thread("two")
            in_thread("three")
        in_thread("four")

    run.do(work)
    run.end()

    assert (outer.getvalue(), inner.getvalue(), run.text) == ("one\nthree\n", "two\n", "four\n")


def test_stderr_has_its_own(begin: Callable[[], Run]):
    """`redirect_stderr` takes stderr only."""
    run = begin()
    mine = io.StringIO()

    def work() -> None:
        with contextlib.redirect_stderr(mine):
            print("error", file=sys.stderr)
            print("out")
        print("error", file=sys.stderr)

    run.do(work)
    run.end()

    assert mine.getvalue() == "error\n"
    assert run.printed.appends == [(OUT, b"out\n"), (ERR, b"error\n")]


def test_none_and_deleted(begin: Callable[[], Run], capsys: pytest.CaptureFixture[str]):
    """No stream at all is as in plain Python: None swallows, what was deleted raises; others go on."""
    run, other = begin(), begin()
    run.do(assign, None)
    run.do(print, "swallowed")
    assert run.do(lambda: sys.stdout) is None
    run.do(lambda: delattr(sys, "stdout"))
    with pytest.raises(RuntimeError, match=r"lost sys\.stdout"):
        run.do(print, "lost")
    assert not run.do(lambda: hasattr(sys, "stdout"))
    other.do(print, "there")
    print("server")
    run.end()
    other.end()

    assert (run.text, other.text) == ("", "there\n")
    assert capsys.readouterr().out == "server\n"


def test_servers_own_redirect(begin: Callable[[], Run]):
    """What the server redirects while runs are active is the server's, begun and undone in any order."""
    run = begin()
    theirs = io.StringIO()
    with contextlib.redirect_stdout(theirs):
        print("server")
        run.do(print, "one")
        run.do(assign, io.StringIO())
        print("server")
        assert sys.stdout is theirs
    run.do(assign, run.do(lambda: sys.__stdout__))
    run.do(print, "two")
    with contextlib.redirect_stdout(theirs):
        run.end()
        print("server")

    assert theirs.getvalue() == "server\n" * 3
    assert run.text == "one\ntwo\n"
    assert vars(theirs) == {}


def test_servers_own_redirect_that_ends_in_work_of_a_run(
    begin: Callable[[], Run], capsys: pytest.CaptureFixture[str]
):
    """A worker that redirects for everybody, and then takes an item of a run, undoes that for everybody."""
    items: queue.Queue[str] = queue.Queue()
    taken = io.StringIO()
    run = begin()
    redirected = threading.Event()

    def work() -> None:
        with contextlib.redirect_stdout(taken):
            redirected.set()
            print("working", items.get(timeout=20))
        print("worked")

    worker = threading.Thread(target=work)
    worker.start()
    redirected.wait(20)
    run.do(items.put, "for the run")
    worker.join()
    print("server")
    run.do(print, "run")
    run.end()

    assert run.text == "working for the run\nworked\nrun\n"
    assert (capsys.readouterr().out, taken.getvalue()) == ("server\n", "")


def test_run_inside_a_run_that_redirects(begin: Callable[[], Run]):
    """A run begun within a redirect of another prints to itself."""
    outer, inner = begin(), begin()
    mine = io.StringIO()

    def work() -> None:
        with contextlib.redirect_stdout(mine):
            print("one")
            with capturing(inner.printer):
                print("two")
            print("three")

    outer.do(work)
    outer.end()
    inner.end()

    assert (mine.getvalue(), inner.text, outer.text) == ("one\nthree\n", "two\n", "")


def test_thread_that_outlives_its_run(begin: Callable[[], Run], capsys: pytest.CaptureFixture[str]):
    """What a thread assigns when its run is over is the server's, as in plain Python."""
    run, other = begin(), begin()
    go = threading.Event()
    mine = io.StringIO()

    def late() -> None:
        go.wait()
        with contextlib.redirect_stdout(mine):
            print("late")

    thread = threading.Thread(target=late)
    run.do(thread.start)
    run.end()
    go.set()
    thread.join()
    other.do(print, "there")
    other.end()

    assert (mine.getvalue(), run.text, other.text) == ("late\n", "", "there\n")


def test_other_attributes_of_sys(begin: Callable[[], Run]):
    """All else in `sys` is set, read and deleted as ever, whatever runs do."""
    run = begin()
    run.do(assign, io.StringIO())
    sys.of_a_test = 1  # type: ignore[attr-defined]
    assert vars(sys)["of_a_test"] == 1
    del sys.of_a_test  # type: ignore[attr-defined]
    assert not hasattr(sys, "of_a_test")
    assert type(sys).__name__ == "module"
    run.end()


def test_read_while_others_redirect(begin: Callable[[], Run]):
    """Whoever reads `sys.stdout` while runs redirect and stop to do so finds its own stream, always."""
    run, other = begin(), begin()
    server, found = sys.stdout, set()
    begun, over = threading.Event(), threading.Event()

    def read() -> None:
        while not over.is_set():
            found.add(id(sys.stdout))
            other.do(found.add, id(sys.stdout))
            begun.set()

    def toggle() -> None:
        for _ in range(300):
            with contextlib.redirect_stdout(io.StringIO()):
                pass

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    thread = threading.Thread(target=read)
    thread.start()
    try:
        begun.wait()
        run.do(toggle)
    finally:
        sys.setswitchinterval(interval)
        over.set()
        thread.join()
    run.end()
    other.end()

    assert found == {id(server)}


@pytest.mark.parametrize(
    ("options", "data"),
    [
        ({"encoding": "latin-1"}, b"\xe9t\xe9\n"),
        ({"encoding": "ascii", "errors": "backslashreplace"}, b"\\xe9t\\xe9\n"),
        ({"newline": "\r\n"}, "été\r\n".encode()),
        ({"encoding": "utf-8", "line_buffering": True}, "été\n".encode()),
    ],
)
def test_reconfigure(begin: Callable[[], Run], options: dict[str, object], data: bytes):
    """`sys.stdout.reconfigure` acts in its run, and in no other."""
    run, other = begin(), begin()
    before = sys.stdout.encoding, sys.stdout.errors
    run.do(lambda: sys.stdout.reconfigure(**options))
    run.do(print, "été")
    other.do(print, "été")
    run.end()
    other.end()

    assert run.printed.appends == [(OUT, data)]
    assert other.text == "été\n"
    assert (sys.stdout.encoding, sys.stdout.errors) == before


class Logging:
    """What a task queue puts in place of both streams: an object that has no descriptor."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def write(self, text: str) -> int:
        """Keep it."""
        self.lines.append(text)
        return len(text)

    def flush(self) -> None:
        """Do nothing."""


def test_one_object_for_both_streams(begin: Callable[[], Run]):
    """Where one object is both streams, stderr of a run is stderr; outside, it is that object."""
    both = Logging()
    with contextlib.redirect_stdout(both), contextlib.redirect_stderr(both):  # type: ignore[type-var]
        run = begin()
        run.do(print, "out")
        run.do(lambda: print("error", file=sys.stderr))
        print("server", end=", ")
        print("server's error", end="", file=sys.stderr)
        with pytest.raises(AttributeError, match="fileno"):
            sys.stdout.fileno()
        run.end()
        assert sys.stderr is both

    assert run.printed.appends == [(OUT, b"out\n"), (ERR, b"error\n")]
    assert "".join(both.lines) == "server, server's error"
    assert vars(both) == {"lines": both.lines}
