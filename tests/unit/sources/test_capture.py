"""Capture: whose prints go where, and that nothing of ours stays behind."""

import asyncio
import contextlib
import contextvars
import io
import logging
import os
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.pool import ThreadPool

import pytest

from runcast.sources import capture
from runcast.sources.capture import capturing
from tests.unit.sources.printed import ERR, OUT, printing


@pytest.fixture(autouse=True)
def released() -> Iterator[None]:
    """Leave nothing behind."""
    yield
    capture.uninstall()


def test_prints_go_to_the_run(capsys: pytest.CaptureFixture[str]):
    """Inside a run prints go to its printer, stdout and stderr apart; outside they go where they went."""
    with printing() as (printer, printed):
        print("before")
        with capturing(printer):
            print("inside")
            print("error", file=sys.stderr)
        print("after")

    assert capsys.readouterr() == ("before\nafter\n", "")
    assert printed.appends == [(OUT, b"inside\n"), (ERR, b"error\n")]


def test_streams_stay_what_they_are():
    """`sys.stdout` is the same object during a run, and has nothing of ours afterwards."""
    stream, attributes, of_buffer = sys.stdout, dict(vars(sys.stdout)), dict(vars(sys.stdout.buffer))
    with printing() as (printer, _), capturing(printer):
        assert sys.stdout is stream
        assert vars(stream) != attributes

    assert sys.stdout is stream
    assert vars(stream) == attributes
    assert vars(stream.buffer) == of_buffer


def test_runs_inside_runs():
    """A run begun inside another has its own prints, and the outer one goes on afterwards."""
    with printing() as (outer, out), printing() as (inner, into), capturing(outer):
        print("one")
        with capturing(inner):
            print("two")
        print("three")

    assert out.text() == "one\nthree\n"
    assert into.text() == "two\n"


def test_bytes_and_lines():
    """`buffer.write` and `writelines` are captured, in order."""
    with printing() as (printer, printed), capturing(printer):
        assert sys.stdout.write("text ") == 5
        assert sys.stdout.buffer.write(bytearray(b"\xff\n")) == 2
        sys.stdout.writelines(["a\n", "b\n"])
        sys.stderr.buffer.writelines([b"c\n"])
        with pytest.raises(TypeError):
            sys.stdout.write(b"bytes")  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            sys.stdout.buffer.write("text")  # type: ignore[arg-type]

    assert printed.appends[-1] == (ERR, b"c\n")
    assert b"".join(data for _, data in printed.appends) == b"text \xff\na\nb\nc\n"


def test_a_run_has_no_terminal(capsys: pytest.CaptureFixture[str]):
    """What a stream can do inside a run is what a pipe can; the stream itself is not touched."""
    encoding, buffering = sys.stdout.encoding, sys.stdout.line_buffering
    with printing() as (printer, printed), capturing(printer):
        assert not sys.stdout.isatty()
        assert not sys.stdout.seekable()
        sys.stdout.reconfigure(encoding="ascii", line_buffering=not buffering)
        with pytest.raises(io.UnsupportedOperation):
            sys.stdout.tell()
        with pytest.raises(io.UnsupportedOperation):
            sys.stdout.detach()
        sys.stdout.close()
        print("still there")

    assert (sys.stdout.encoding, sys.stdout.line_buffering) == (encoding, buffering)
    print("outside")
    assert printed.text() == "still there\n"
    assert capsys.readouterr().out == "outside\n"


def test_flush_inside_leaves_what_was_printed_outside(tmp_path: os.PathLike[str]):
    """Text from outside that the stream still holds is never taken for the run's."""
    path = os.path.join(tmp_path, "stdout")
    with open(path, "w") as file, contextlib.redirect_stdout(file):
        print("outside, pending")
        with printing() as (printer, printed), capturing(printer):
            thread = threading.Thread(target=contextvars.Context().run, args=(print, "while it runs"))
            thread.start()  # a thread of the run, whose context is none of the run's
            thread.join()
            sys.stdout.flush()
            sys.stdout.buffer.flush()
            print("inside", flush=True)
        file.flush()

        assert printed.text() == "inside\n"
    with open(path) as file:
        assert file.read() == "outside, pending\nwhile it runs\n"


def test_after_the_run_is_over(capsys: pytest.CaptureFixture[str]):
    """What code of a run prints when its printer is closed goes to the stream itself."""
    with printing() as (other, _), capturing(other), printing() as (printer, printed):
        with capturing(printer):
            print("in time")
            printer.close()
            print("late")
            sys.stdout.buffer.write(b"late bytes\n")
            sys.stdout.flush()

    assert printed.text() == "in time\n"
    assert capsys.readouterr().out in ("late\nlate bytes\n", "late bytes\nlate\n")


def test_thread_that_outlives_its_run(capsys: pytest.CaptureFixture[str]):
    """A thread that is still there when its run is over prints to the stream itself."""
    go = threading.Event()
    with printing() as (printer, printed), capturing(printer):
        thread = threading.Thread(target=lambda: (go.wait(), print("late")))
        thread.start()
    go.set()
    thread.join()

    assert printed.text() == ""
    assert capsys.readouterr().out == "late\n"


def in_thread(job: Callable[[], None]) -> None:
    thread = threading.Thread(target=job)
    thread.start()
    thread.join()


class Worker(threading.Thread):
    """A thread that is a class with a `run`."""

    def __init__(self, job: Callable[[], None]) -> None:
        super().__init__()
        self.job = job

    def run(self) -> None:
        """Do it."""
        self.job()


def in_subclass(job: Callable[[], None]) -> None:
    worker = Worker(job)
    worker.start()
    worker.join()
    assert "run" not in vars(worker)


def in_timer(job: Callable[[], None]) -> None:
    timer = threading.Timer(0, job)
    timer.start()
    timer.join()


def in_nested_threads(job: Callable[[], None]) -> None:
    in_thread(lambda: in_thread(job))


def in_executor(job: Callable[[], None]) -> None:
    with ThreadPoolExecutor(1) as executor:
        executor.submit(job).result()


def in_map(job: Callable[[], None]) -> None:
    with ThreadPoolExecutor(2) as executor:
        list(executor.map(lambda _: job(), [1]))


def in_pool(job: Callable[[], None]) -> None:
    with ThreadPool(1) as pool:
        pool.apply(job)


def in_task(job: Callable[[], None]) -> None:
    async def main() -> None:
        async def task() -> None:
            job()

        await asyncio.create_task(task())

    asyncio.run(main())


def in_to_thread(job: Callable[[], None]) -> None:
    asyncio.run(asyncio.to_thread(job))


def in_loop_executor(job: Callable[[], None]) -> None:
    async def main() -> None:
        await asyncio.get_running_loop().run_in_executor(None, job)

    asyncio.run(main())


def in_call_soon(job: Callable[[], None]) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        loop.call_soon(lambda: (job(), done.set_result(None)))
        await done

    asyncio.run(main())


@pytest.mark.parametrize(
    "way",
    [
        *(in_thread, in_subclass, in_timer, in_nested_threads, in_executor, in_map, in_pool),
        *(in_task, in_to_thread, in_loop_executor, in_call_soon),
    ],
)
def test_what_a_run_starts_prints_to_it(way: Callable[[Callable[[], None]], None]):
    """Threads, tasks, callbacks and jobs that are started inside a run print to it."""
    with printing() as (printer, printed), capturing(printer):
        way(lambda: print("inside"))

    assert printed.text() == "inside\n"


def submit(pool: ThreadPoolExecutor | ThreadPool, text: str) -> None:
    """Have a pool print a text, and wait until it did."""
    if isinstance(pool, ThreadPoolExecutor):
        pool.submit(print, text).result()
    else:
        pool.apply_async(print, (text,)).get()


@pytest.mark.parametrize("make", [ThreadPoolExecutor, ThreadPool])
def test_shared_executor(
    make: Callable[[int], ThreadPoolExecutor | ThreadPool], capsys: pytest.CaptureFixture[str]
):
    """A job prints to the run of whoever submitted it, whichever run its thread was born in."""
    with make(1) as pool, printing() as (one, to_one), printing() as (two, to_two):
        with capturing(one):
            submit(pool, "of one")
        with capturing(two):
            submit(pool, "of two")
            contextvars.Context().run(submit, pool, "of none")

    assert (to_one.text(), to_two.text()) == ("of one\n", "of two\n")
    assert capsys.readouterr().out == "of none\n"


def test_names_of_replaced_methods():
    """What stands in for a method of the standard library goes by its name, and takes what it takes."""
    with printing() as (printer, _), capturing(printer):
        assert threading.Thread.start.__qualname__ == "Thread.start"
        with ThreadPoolExecutor(1) as executor:
            assert executor.submit(lambda *, fn, self: fn + self, fn=1, self=2).result() == 3


def test_install_and_uninstall():
    """The first run installs; it is kept until it is released, and then all is as it was."""
    methods = threading.Thread.start, ThreadPoolExecutor.submit, vars(ThreadPool).get("apply_async")
    assert not capture.installed()
    with printing() as (printer, _), capturing(printer):
        pass
    assert capture.installed()
    assert (threading.Thread.start, ThreadPoolExecutor.submit) != methods[:2]

    capture.uninstall()
    capture.uninstall()

    assert not capture.installed()
    assert (threading.Thread.start, ThreadPoolExecutor.submit, vars(ThreadPool).get("apply_async")) == methods


def test_uninstall_inside_a_run(capsys: pytest.CaptureFixture[str]):
    """Released in the midst of a run, prints go to the stream itself; the next run is captured again."""
    stream, attributes = sys.stdout, dict(vars(sys.stdout))
    with printing() as (printer, printed):
        with capturing(printer):
            print("one")
            capture.uninstall()
            assert vars(stream) == attributes
            print("two")
        with capturing(printer):
            print("three")

    assert printed.text() == "one\nthree\n"
    assert capsys.readouterr().out == "two\n"


def test_uninstall_when_the_stream_was_replaced():
    """A stream that somebody replaced meanwhile gets its methods back, and theirs stays in its place."""
    first = sys.stdout
    attributes = dict(vars(first))
    with printing() as (printer, _):
        capture.begin(printer)
        with contextlib.redirect_stdout(io.StringIO()) as second:
            capture.uninstall()
            assert sys.stdout is second
            assert vars(second) == {}
        assert vars(first) == attributes


def test_attributes_of_others(capsys: pytest.CaptureFixture[str]):
    """A method that somebody else set on the stream is called outside, and set again afterwards."""
    calls: list[str] = []
    stream = io.StringIO()
    stream.write = calls.append  # type: ignore[assignment, method-assign]
    with contextlib.redirect_stdout(stream), printing() as (printer, printed):
        theirs = vars(stream)["write"]
        with capturing(printer):
            print("inside")
            contextvars.Context().run(print, "outside")
        assert vars(stream) == {"write": theirs}

    assert printed.text() == "inside\n"
    assert calls == ["outside", "\n"]


def test_method_that_somebody_bound():
    """Who keeps `sys.stdout.write` from within a run prints where they ought to, later as well."""
    with contextlib.redirect_stdout(io.StringIO()) as stream, printing() as (printer, printed):
        with capturing(printer):
            write = sys.stdout.write
            write("inside\n")
        write("outside\n")

    assert printed.text() == "inside\n"
    assert stream.getvalue() == "outside\n"


class Plain:
    """A stream as somebody may write one: no buffer, no attributes of its own."""

    __slots__ = ("lines",)

    def __init__(self) -> None:
        self.lines: list[str] = []

    def write(self, text: str) -> int:
        """Keep it."""
        self.lines.append(text)
        return len(text)

    def flush(self) -> None:
        """Do nothing."""


def test_stream_that_takes_no_attributes():
    """Another object stands in for a stream that takes no attributes, while a run is active."""
    stream = Plain()
    with contextlib.redirect_stdout(stream), printing() as (printer, printed):  # type: ignore[type-var]
        with capturing(printer):
            print("inside")
            assert sys.stdout.lines == []  # type: ignore[attr-defined]
            contextvars.Context().run(print, "outside", flush=True)
        assert sys.stdout is stream

    assert printed.text() == "inside\n"
    assert stream.lines == ["outside", "\n"]


def test_no_stdout_at_all(monkeypatch: pytest.MonkeyPatch):
    """Where `sys.stdout` is None prints of runs are captured all the same, and others go nowhere."""
    monkeypatch.setattr(sys, "stdout", None)
    with printing() as (printer, printed):
        with capturing(printer):
            print("inside", flush=True)
            contextvars.Context().run(print, "outside", flush=True)
        assert sys.stdout is None

    assert printed.text() == "inside\n"


def test_redirect_inside_a_run():
    """What a run redirects is its own business, also when another run begins meanwhile."""
    with printing() as (one, to_one), printing() as (two, to_two), capturing(one):
        with contextlib.redirect_stdout(io.StringIO()) as mine:
            print("mine")
            with capturing(two):
                print("of two")
            print("still mine")
        print("of one")

    assert mine.getvalue() == "mine\nstill mine\n"
    assert to_one.text() == "of one\n"
    assert to_two.text() == "of two\n"


def test_streams_are_not_kept():
    """A stream that nobody else has any more does not live on because a run is active."""
    import gc
    import weakref

    with printing() as (one, _), printing() as (two, _), capturing(one):
        with contextlib.redirect_stdout(io.StringIO()) as stream, capturing(two):
            pass
        weak = weakref.ref(stream)
        del stream
        gc.collect()

        assert weak() is None


def test_both_streams_are_one():
    """Where stdout and stderr are one object it is captured once."""
    with contextlib.redirect_stdout(io.StringIO()) as stream, contextlib.redirect_stderr(stream):
        with printing() as (printer, printed), capturing(printer):
            print("one")
            print("two", file=sys.stderr)

    assert printed.text() == "one\ntwo\n"
    assert vars(stream) == {}


def test_log_handler_bound_before():
    """A handler that got `sys.stderr` long ago logs into the run."""
    handler, logger = logging.StreamHandler(), logging.getLogger("runcast-test")
    logger.addHandler(handler)
    logger.propagate = False
    try:
        with printing() as (printer, printed), capturing(printer):
            logger.warning("logged")
    finally:
        logger.removeHandler(handler)

    assert printed.appends == [(ERR, b"logged\n")]


def test_traceback():
    """A printed traceback goes to the run's stderr."""
    with printing() as (printer, printed), capturing(printer):
        try:
            raise KeyError("oops")
        except KeyError:
            traceback.print_exc()

    assert "KeyError: 'oops'" in printed.text(ERR)
    assert printed.text(OUT) == ""


@pytest.mark.slow
def test_apart():
    """R19: 50 threads and 50 tasks print in 20 runs at once, and no line is in the wrong run."""
    runs, lines = 20, 1000

    def work(run: int, writer: str) -> None:
        for number in range(lines):
            print(f"<{run} {writer} {number}>", file=sys.stderr if number % 2 else sys.stdout)

    async def task(run: int, writer: str) -> None:
        for number in range(lines):
            print(f"<{run} {writer} {number}>", file=sys.stderr if number % 2 else sys.stdout)
            await asyncio.sleep(0)

    async def main() -> None:
        tasks = []
        for number in range(50):
            with capturing(printers[number % runs]):
                tasks.append(asyncio.create_task(task(number % runs, f"task{number}")))
        await asyncio.gather(*tasks)

    with contextlib.ExitStack() as stack:
        pairs = [stack.enter_context(printing()) for _ in range(runs)]
        printers = [printer for printer, _ in pairs]
        for printer in printers:
            capture.begin(printer)
        threads = []
        for number in range(50):
            with capturing(printers[number % runs]):
                threads.append(threading.Thread(target=work, args=(number % runs, f"thread{number}")))
                threads[-1].start()
        asyncio.run(main())
        for thread in threads:
            thread.join()
        for printer in printers:
            capture.end(printer)
    for run, (_, printed) in enumerate(pairs):
        numbers = range(run, 50, runs)
        names = [f"{kind}{number}" for kind in ("thread", "task") for number in numbers]
        found = sorted(printed.text().replace("\n", "").replace("><", ">|<").split("|"))
        assert found == sorted(f"<{run} {name} {number}>" for name in names for number in range(lines))
