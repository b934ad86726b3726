"""Printers: order, unfinished lines, the end, and who may print when."""

import io
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import pytest

from runcast.errors import LogClosed
from runcast.log import FileLogWriter
from runcast.model import Channel, Outcome, Reason
from runcast.sources import capture
from runcast.sources.flusher import Held
from runcast.sources.printer import Printer
from runcast.store.run_files import RunFiles
from tests.helpers.wait import wait_until
from tests.unit.sources.printed import ERR, OUT, Printed, printing

Pair = tuple[Printer, Printed]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """A printer, and what it appended."""
    with printing() as pair:
        yield pair


class Asleep:
    """A flusher that never looks: a test that is held up does not let go of what is unfinished."""

    tick = 0
    over = False

    def expect(self, printer: Held) -> bool:
        """Promise to look."""
        return True


@pytest.fixture
def asleep(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have nothing looked after that is unfinished."""
    monkeypatch.setattr("runcast.sources.printer._flusher", Asleep())


@pytest.mark.usefixtures("asleep")
def test_line_is_one_append(pair: Pair):
    """A text and the line end that `print` writes after it become one append, at once."""
    printer, printed = pair
    for number in range(3):
        printer.write(OUT, f"line {number}")
        printer.write(OUT, "\n")

    assert printed.appends == [(OUT, b"line 0\n"), (OUT, b"line 1\n"), (OUT, b"line 2\n")]


def test_unfinished_line_is_seen_soon(pair: Pair):
    """What has no line end is appended by itself, though nothing else is printed."""
    printer, printed = pair
    printer.write(OUT, "Continue? ")

    printed.wait_for("Continue? ")


def test_unfinished_rest_is_seen_soon(pair: Pair):
    """Whole lines are appended at once, and the rest behind them by itself."""
    printer, printed = pair
    printer.write(OUT, "one\ntwo\nthr")
    at_once = printed.appends[:1]

    printed.wait_for("thr")
    assert at_once == [(OUT, b"one\ntwo\n")]


def test_flush_appends_what_is_held(pair: Pair):
    """After a flush everything is there."""
    printer, printed = pair
    printer.write(ERR, "half")
    printer.flush()

    assert printed.text(ERR) == "half"


def test_unfinished_lines_again_and_again(pair: Pair):
    """The thread that looks after unfinished lines does so each time, after it slept too."""
    printer, printed = pair
    for number in range(5):
        printer.write(OUT, f"<{number}>")
        printed.wait_for(f"<{number}>")


def test_channels_in_order(pair: Pair):
    """A thread that goes on on the other channel has its unfinished line before that."""
    printer, printed = pair
    printer.write(OUT, "Working ... ")
    printer.write(ERR, "failed\n")

    assert printed.appends == [(OUT, b"Working ... "), (ERR, b"failed\n")]


@pytest.mark.usefixtures("asleep")
def test_lines_of_threads_stay_whole(pair: Pair):
    """A line of another thread does not fall into one that is unfinished."""
    printer, printed = pair
    printer.write(OUT, "mine")
    other = threading.Thread(target=printer.write, args=(OUT, "theirs\n"))
    other.start()
    other.join()
    printer.write(OUT, "\n")

    assert sorted(printed.text().splitlines()) == ["mine", "theirs"]


def test_large_text_is_not_held(pair: Pair):
    """A long text without a line end goes out directly."""
    printer, printed = pair
    printer.write(OUT, "x" * 100_000)

    assert printed.text() == "x" * 100_000


def test_many_small_pieces(pair: Pair):
    """A line made of very many writes arrives whole."""
    printer, printed = pair
    for _ in range(10_000):
        printer.write(OUT, "é")
    printer.close()

    assert printed.text() == "é" * 10_000


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("añ€😀\n", "añ€😀\n".encode()),
        ("\udcff\n", b"\xff\n"),
        ("\ud83d\n", b"\\ud83d\n"),
        (b"\xff\x00\n", b"\xff\x00\n"),
        (memoryview(b"view\n"), b"view\n"),
        (bytearray(b"array\n"), b"array\n"),
    ],
)
def test_any_text(pair: Pair, text: str, data: bytes):
    """Text is UTF-8; escaped bytes are those bytes again, and nothing that can be printed raises."""
    printer, printed = pair
    printer.write(OUT, text)

    assert printed.appends == [(OUT, data)]


def test_last_words():
    """Closing appends what is held; there is no need for a pause at the end."""
    printed = Printed()
    printer = Printer(printed.append)
    printer.write(OUT, "last words")
    printer.close()

    assert printed.text() == "last words"


def test_nothing_after_close(pair: Pair):
    """A closed printer takes nothing and says so, and raises nothing."""
    printer, printed = pair
    printer.close()
    printer.close()
    printer.flush()

    assert printer.closed
    assert not printer.write(OUT, "late\n")
    assert printed.appends == []
    with pytest.raises(io.UnsupportedOperation, match="closed"):
        printer.fileno(OUT)


def test_closed_by_other_than_printing_thread():
    """Unfinished lines of other threads are not forgotten at the close."""
    printed = Printed()
    printer = Printer(printed.append)
    for number in range(5):
        thread = threading.Thread(target=printer.write, args=(OUT, f"[{number}]"))
        thread.start()
        thread.join()
    printer.close()

    assert sorted(printed.text()) == sorted("[0][1][2][3][4]")


def test_check_stops_at_a_print():
    """What the check raises comes out of the print, and that text is not printed."""
    printed, stop = Printed(), threading.Event()

    def check() -> None:
        if stop.is_set():
            raise KeyboardInterrupt

    printer = Printer(printed.append, check)
    printer.write(OUT, "one\n")
    stop.set()
    with pytest.raises(KeyboardInterrupt):
        printer.write(OUT, "two\n")
    printer.close()

    assert printed.text() == "one\n"


def test_print_while_appending():
    """A print that comes from within the append (a finalizer, a signal handler) comes after it."""
    printed = Printed()

    def append(channel: Channel, data: bytes) -> None:
        if not inside:
            inside.append(True)
            printer.write(ERR, "inner\n")
            printer.flush()
            assert printed.appends == [], "never re-entered"
        printed.append(channel, data)

    inside: list[bool] = []
    printer = Printer(append)
    printer.write(OUT, "outer\n")
    printer.close()

    assert printed.appends == [(OUT, b"outer\n"), (ERR, b"inner\n")]


@pytest.mark.parametrize("step", ["write", "flush", "let_go", "between", "end", "close", "_take"])
def test_finalizer_at_any_call(step: str, monkeypatch: pytest.MonkeyPatch):
    """A finalizer that prints at any call of an append, as it may from Python 3.12 on, waits for nobody."""
    printed, sleeps, called = Printed(), [], set()
    thread, pause = threading.get_ident(), time.sleep
    printer = Printer(printed.append)
    arguments = {"write": (OUT, "line\n"), "let_go": (1,), "between": (lambda: None,)}.get(step, ())
    lines = 1005  # more than may be ahead of the log

    def finalize(frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if (
            event == "call"
            and printer._lock.locked()
            and code.co_filename == Printer.write.__code__.co_filename
        ):
            if code not in called:
                called.add(code)
                sys.setprofile(None)
                for number in range(lines):
                    printer.write(ERR, f"{number}\n")
                sys.setprofile(finalize)

    def sleep(seconds: float) -> None:
        if threading.get_ident() == thread:
            sleeps.append(seconds)
        else:
            pause(seconds)

    monkeypatch.setattr(time, "sleep", sleep)
    printer._queue.append((OUT, 0, b"before\n"))
    sys.setprofile(finalize)
    try:
        getattr(printer, step)(*arguments)
    finally:
        sys.setprofile(None)
    monkeypatch.undo()
    taken = printed.text(ERR).count("\n")
    printer.close()

    assert called, "something was called while the lock was held"
    assert sleeps == []
    assert taken == lines * len(called) or printer.closed


def test_close_while_appending():
    """A close that comes from within the append waits for nobody; what is there is still appended."""
    printed = Printed()

    def append(channel: Channel, data: bytes) -> None:
        printer.close()
        printed.append(channel, data)

    printer = Printer(append)
    printer.write(OUT, "one\ntwo\n")

    assert printed.text() == "one\ntwo\n"
    assert printer.closed


def test_one_appends_at_a_time():
    """Threads that print at once are appended one by one, each one's lines in its order."""
    printed, inside = Printed(), []

    def append(channel: Channel, data: bytes) -> None:
        inside.append(True)
        assert len(inside) == 1
        printed.append(channel, data)
        inside.pop()

    def work(name: int) -> None:
        for number in range(200):
            printer.write(OUT, f"{name} {number}\n")

    printer = Printer(append)
    threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    printer.close()

    pairs = [line.split() for line in printed.text().split("\n") if line]
    for name in range(8):
        assert [int(n) for who, n in pairs if int(who) == name] == list(range(200))


def test_between_appends():
    """What is called between appends finds none going on, and what is printed in it comes after it."""
    events: list[str] = []

    def append(channel: Channel, data: bytes) -> None:
        events.append(data.decode())
        with pytest.raises(RuntimeError, match="but an append"):
            printer.between(lambda: None)

    def do() -> None:
        printer.write(OUT, "inside\n")
        events.append("done")

    printer = Printer(append)
    printer.write(OUT, "before\n")
    printer.between(do)
    printer.close()

    assert events == ["before\n", "done", "inside\n"]


def test_producer_waits_for_a_slow_log():
    """Who is far ahead of the log waits, and memory does not grow; nothing is lost by it."""
    printed, gate, written = Printed(), threading.Event(), []

    def append(channel: Channel, data: bytes) -> None:
        gate.wait()
        printed.append(channel, data)

    def work() -> None:
        for number in range(2000):
            printer.write(OUT, f"{number}\n")
            written.append(number)

    printer = Printer(append)
    first = threading.Thread(target=printer.write, args=(OUT, "first\n"))
    first.start()
    wait_until(lambda: printer._lock.locked(), what="the first to be appended")
    producer = threading.Thread(target=work)
    producer.start()
    wait_until(lambda: len(written) >= 1000, what="the producer to be far ahead")
    ahead = len(written)
    gate.set()
    producer.join()
    first.join()
    printer.close()

    assert ahead < 1010
    assert printed.text() == "first\n" + "".join(f"{number}\n" for number in range(2000))


def test_log_that_takes_nothing(capfd: pytest.CaptureFixture[str]):
    """What the log refuses is not an error of who prints, and goes to the process's own output."""

    def append(channel: Channel, data: bytes) -> None:
        raise LogClosed("closed")

    printer = Printer(append)
    printer.write(OUT, "to stdout\n")
    printer.write(ERR, "to stderr\n")
    printer.close()

    assert capfd.readouterr() == ("to stdout\n", "to stderr\n")


def test_signal_handler_prints(pair: Pair):
    """Prints of a signal handler in the midst of prints are all there, and nobody waits for ever."""
    printer, printed = pair
    count = 0

    def handler(number: int, frame: object) -> None:
        nonlocal count
        count += 1
        printer.write(ERR, f"signal {count}\n")

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.0002, 0.0002)
    try:
        for number in range(20_000):
            printer.write(OUT, f"line {number}")
            printer.write(OUT, "\n")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    printer.close()

    assert count > 0
    # A signal may come while an earlier one is handled: only then do they not come in order.
    assert sorted(printed.text(ERR).splitlines()) == sorted(f"signal {n + 1}" for n in range(count))
    assert printed.text(OUT) == "".join(f"line {number}\n" for number in range(20_000))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # raised in a finalizer
@pytest.mark.parametrize("kind", [KeyboardInterrupt, RuntimeError, TimeoutError])
def test_signal_handler_raises(pair: Pair, kind: type[BaseException]):
    """What a signal handler raises in the midst of a print comes out of it, and printing goes on."""
    printer, printed = pair

    def handler(number: int, frame: object) -> None:
        raise kind

    def print_for_ever() -> None:
        while True:  # where Python ignores exceptions, as in a weak reference's callback, one is lost
            signal.setitimer(signal.ITIMER_REAL, 0.0001)
            try:
                for _ in range(10_000):
                    printer.write(OUT, "line")
                    printer.write(OUT, "\n")
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)

    before = signal.signal(signal.SIGALRM, handler)
    try:
        for _ in range(300):
            with pytest.raises(kind):
                print_for_ever()
    finally:
        signal.signal(signal.SIGALRM, before)
    printer.write(OUT, "the end\n")

    printed.wait_for("the end\n")


def test_finalizer_prints(pair: Pair):
    """Prints of finalizers that the collector runs in the midst of prints are all there."""
    printer, printed = pair

    class Knot:
        def __init__(self) -> None:
            self.me = self

        def __del__(self) -> None:
            printer.write(ERR, "gone\n")

    for number in range(5000):
        Knot()
        printer.write(OUT, f"{number}\n")
    import gc

    gc.collect()

    assert printed.text(ERR) == "gone\n" * 5000
    assert printed.text(OUT).count("\n") == 5000


@pytest.mark.usefixtures("asleep")
def test_line_takes_few_calls(tmp_path: Path):
    """A captured print is in the log after eight calls of Python functions, if no record is due."""
    files = RunFiles.create(f"{tmp_path}/run", {})
    assert files.acquire()
    log = FileLogWriter(files)
    printer = Printer(log.append)
    calls: list[str] = []
    counts = []

    def count(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            calls.append(frame.f_code.co_name)

    with capture.capturing(printer):
        for _ in range(20):
            calls.clear()
            sys.setprofile(count)
            print("a line")
            sys.setprofile(None)
            counts.append(len(calls))
    printer.close()
    log.close(Outcome(Reason.EXITED, 0))

    assert log.lines == 20
    assert min(counts) <= 8, calls
