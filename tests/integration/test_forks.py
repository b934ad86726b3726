"""Children of a process that captures prints and syncs logs: what they inherit works, or is left alone."""

import io
import os
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator

import pytest

from runcast.log.sync import Syncer
from runcast.sources import capture
from runcast.sources.capture import capturing
from runcast.sources.printer import Printer
from tests.helpers.wait import MS, wait_until
from tests.unit.sources.printed import ERR, OUT, printing


@pytest.fixture(autouse=True)
def released() -> Iterator[None]:
    """Leave nothing behind."""
    yield
    capture.uninstall()


def test_descriptor():
    """`fileno` inside a run is for subprocesses and `os.write`; their output keeps its place."""
    with printing() as (printer, printed), capturing(printer):
        print("one")
        subprocess.run(["echo", "two"], stdout=sys.stdout, check=True)
        os.write(sys.stdout.fileno(), b"three\n")
        subprocess.run(["sh", "-c", "echo four >&2"], stderr=sys.stderr, check=True)
        print("five")

    assert printed.text(OUT) == "one\ntwo\nthree\nfive\n"
    assert printed.text(ERR) == "four\n"


class Unusual:
    """A sink of somebody's own."""

    def __init__(self) -> None:
        self.heard: list[str | bytes] = []

    def write(self, channel: object, text: str | bytes) -> bool:
        """Hear it."""
        self.heard.append(text)
        return True

    def flush(self) -> None:
        """Do nothing."""

    def fileno(self, channel: object) -> int:
        """Have none."""
        raise io.UnsupportedOperation("none")


def test_any_sink():
    """Whatever can be written to can be printed to."""
    sink = Unusual()
    with capturing(sink):
        print("hello")
        pid = os.fork()
        if not pid:
            os._exit(0)
        os.waitpid(pid, 0)

    assert sink.heard == ["hello", "\n"]


def test_forked_child():
    """A child forked inside a run prints into its log, what was pending is there once."""
    with printing() as (printer, printed), capturing(printer):
        print("pending", end=" ")
        pid = os.fork()
        if not pid:
            print("child", end=" ")
            print("error", file=sys.stderr, end="")
            os._exit(0)
        os.waitpid(pid, 0)
        print("parent")

    assert sorted(printed.text(OUT).split()) == ["child", "parent", "pending"]
    assert printed.text(ERR) == "error"


def test_child_keeps_what_a_closed_run_gave_back():
    """A child closes nothing of others where a run before had its pipe, and was not forgotten yet."""
    printer = Printer(lambda channel, data: None)
    printer.fileno(OUT)
    printer.close()
    ends = [end for _ in range(4) for end in os.pipe()]  # the same numbers again

    pid = os.fork()
    if not pid:
        for end in ends:
            try:
                os.fstat(end)
            except OSError:
                os._exit(1)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    for end in ends:
        os.close(end)

    assert (os.waitstatus_to_exitcode(status), printer.closed) == (0, True)


class Counted:
    """Counts how often it was synced."""

    def __init__(self) -> None:
        self.synced = 0

    def sync(self) -> None:
        self.synced += 1


def syncing() -> bool:
    """Return whether a thread syncs now."""
    return any(thread.name == "runcast sync" for thread in threading.enumerate())


def test_syncer(monkeypatch: pytest.MonkeyPatch):
    """A forked child syncs what it notes itself, by a thread of its own, and nothing of its parent's."""
    monkeypatch.setattr("runcast.log.sync._SECONDS", 0.001)
    calls: list[Callable[[], object]] = []
    waiting, begun, one = Syncer(calls.append), Syncer(), Counted()
    release, entered = threading.Event(), threading.Event()

    class Holding(Counted):
        def sync(self) -> None:
            entered.set()
            release.wait()

    waiting.note(one)
    begun.note(Holding())
    assert entered.wait(5000 * MS)  # its thread is alive here, and will not be in the child
    with begun._lock:  # as any other thread might hold it at the moment
        child = os.fork()
    if child == 0:
        code = 1
        try:
            mine = Counted()
            begun.note(mine)
            wait_until(lambda: mine.synced)
            waiting.sync()
            code = 0 if one.synced == 0 else 2
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    release.set()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

    waiting.sync()
    assert one.synced == 1
    wait_until(lambda: not syncing())
