"""What fails in a run is told to whoever operates the process, and to viewers what they may see."""

import asyncio
import json
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import runcast
import runcast.aio
from runcast import Reason, Run, Store
from runcast.errors import RunFailed, StartFailed, UsageError
from runcast.run.base import files_of
from tests.helpers.children import run_python
from tests.helpers.records import OwnRuns
from tests.helpers.wait import MS, wait_until

DEADLINE = 10000 * MS
SECRET = "hunter2"


def fails() -> None:
    """Print and raise."""
    print("before")
    raise ValueError(SECRET)


async def fails_async() -> None:
    """Print and raise, in a task."""
    fails()


def breaks() -> Iterator[str]:
    """Yield and raise."""
    yield "before"
    raise ValueError(SECRET)


async def breaks_async() -> Any:
    """Yield and raise, in a task."""
    yield "before"
    raise ValueError(SECRET)


def leaves() -> None:
    """End as programs do, which is no error of theirs."""
    sys.exit("the code is 3, so to speak")


SOURCES = pytest.mark.parametrize("source", [fails, fails_async, breaks, breaks_async])


class Records(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.of: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record."""
        self.of.append(record)

    def one(self) -> logging.LogRecord:
        """Return the only one, as soon as it is there."""
        wait_until(lambda: self.of, DEADLINE, what="a record of the failure")
        (record,) = self.of
        return record


@pytest.fixture
def records(own_runs: OwnRuns) -> Iterator[Records]:
    """Have what is logged by `runcast` and below kept."""
    handler = Records()
    handler.addFilter(own_runs)
    logger = logging.getLogger("runcast")
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


@SOURCES
def test_exception_is_logged(store: Store, records: Records, source: Callable[[], Any]):
    """The operator has each exception in the log, with its traceback and the id of its run."""
    run = store.start(source)
    run.wait(DEADLINE)
    record = records.one()

    assert (record.name, record.levelno) == ("runcast.runs", logging.ERROR)
    assert run.id in record.getMessage()
    assert record.exc_info is not None
    assert record.exc_info[0] is ValueError
    assert SECRET in logging.Formatter().format(record)


@SOURCES
def test_traceback_is_shown_or_not(store: Store, source: Callable[[], Any]):
    """With `traceback=False` the log has one sentence; the outcome has the traceback, but not in JSON."""
    shown, hidden = store.start(source), store.start(source, traceback=False)
    shown.wait(DEADLINE)
    outcome = hidden.wait(DEADLINE)

    assert shown.output(channel="stderr").endswith(f"ValueError: {SECRET}\n")
    assert shown.output(channel="stderr") == shown.wait().traceback
    sentence = f"run {hidden.id} ended with an error, which is in the log of this application under that id"
    assert hidden.output() == f"before\n{sentence}\n"
    assert (outcome.code, outcome.message) == (1, sentence)
    assert f"ValueError: {SECRET}" in outcome.traceback
    assert SECRET not in json.dumps([outcome.to_json(), hidden.to_json()])


def test_record_is_in_nobodys_log(store: Store, capfd: pytest.CaptureFixture[str]):
    """A handler that prints does not put the traceback into a run, be it one that started the other."""
    handler = logging.StreamHandler()
    logging.getLogger("runcast").addHandler(handler)

    def outer() -> str:
        inner = store.start(fails, traceback=False)
        inner.wait(timeout=DEADLINE)
        return inner.id

    try:
        run = store.start(outer)
        inner = store.get(str(run.wait(DEADLINE).value))
        wait_until(lambda: inner.closed, DEADLINE)
    finally:
        logging.getLogger("runcast").removeHandler(handler)

    assert SECRET not in run.output() + inner.output()
    assert SECRET in capfd.readouterr().err


def test_exits_and_stops_are_no_failures(store: Store, records: Records):
    """SystemExit and a stop are logged as little as the end of a program."""
    begun = threading.Event()

    def waits() -> None:
        begun.set()
        while not runcast.should_stop():
            pass

    store.start(leaves).wait(DEADLINE)
    run = store.start(waits)
    begun.wait(DEADLINE)
    run.stop()
    run.wait(DEADLINE)

    assert records.of == []


def test_command_that_cannot_start_is_logged(store: Store, records: Records):
    """A command that cannot be started is logged by whoever started it, though nobody looks at the run."""
    run = store.start(["/nowhere/at-all"])
    record = records.one()

    assert (record.name, record.levelno) == ("runcast.runs", logging.ERROR)
    assert record.exc_info is not None
    error = record.exc_info[1]
    assert isinstance(error, StartFailed)
    assert (error.run_id, error.outcome.reason) == (run.id, Reason.FAILED_TO_START)
    assert "/nowhere/at-all" in record.getMessage() + str(error)


def test_commands_that_start_are_not_logged(store: Store, records: Records):
    """How a command ends is no failure of the application: only that it could not be started is."""
    for run in [store.start(["false"]), store.start("kill -9 $$", shell=True)]:
        run.wait(DEADLINE)
    store.start(["/nowhere/at-all"])

    assert "at-all" in records.one().getMessage()


@pytest.mark.slow
def test_process_of_its_own(store: Store, records: Records, tmp_path: Path):
    """A function in a process of its own hides its traceback as well; its starter logs it."""
    run = store.start(fails, process=True, traceback=False)
    outcome = run.wait(DEADLINE)
    record = records.one()

    assert SECRET not in run.output() + outcome.message
    assert "ended with an error" in run.output(channel="stderr")
    assert f"ValueError: {SECRET}" in outcome.traceback
    assert run.id in record.getMessage()
    assert SECRET in record.getMessage()


@pytest.mark.slow
def test_nothing_on_stderr_by_itself(store: Store):
    """Where nobody has set up logging, the host's own streams stay empty, though logging is loaded."""
    said = run_python(
        "import logging, sys, time, runcast\n"
        f"sys.stderr = sys.stdout; store = runcast.Store({store.path!r}); logged = []\n"
        "logging.getLogger('runcast.runs').addFilter(lambda record: logged.append(record) or True)\n"
        "store.start(['/nowhere/at-all'])\n"
        "while not logged: time.sleep(0.01)\n"
        "def fails(): raise ValueError\n"
        "store.start(fails).wait()\n"
    )

    assert said == ""


def test_attached_block_raises(store: Store, records: Records):
    """Who records a block gets its exception, and it is not logged a second time."""
    with (
        pytest.raises(ValueError, match=SECRET),
        runcast.attach("block", store=store, traceback=False) as run,
    ):
        fails()

    assert SECRET not in run.output()
    assert f"ValueError: {SECRET}" in run.wait().traceback
    assert records.of == []


def test_tee(store: Store, capfd: pytest.CaptureFixture[str]):
    """With `tee=True` prints and records are in the console as well, each on its own stream."""

    def job() -> None:
        print("printed €")
        print("oh", file=sys.stderr)
        logging.getLogger("job").warning("logged")

    run = store.start(job, tee=True)
    run.wait(DEADLINE)
    out, err = capfd.readouterr()

    assert run.output(channel="stdout") == out == "printed €\n"
    assert run.output(channel="stderr") == err
    assert "oh\n" in err


def test_tee_of_generators_and_blocks(store: Store, capfd: pytest.CaptureFixture[str]):
    """Values that are text are shown, JSON is not; a block is shown as it goes on."""
    store.start(lambda: iter(["text", {"n": 1}])).wait(DEADLINE)

    def values() -> Iterator[object]:
        yield "text"
        yield {"n": 1}

    run = store.start(values, tee=True)
    run.wait(DEADLINE)
    with runcast.attach("block", store=store, tee=True):
        print("in the block")

    assert capfd.readouterr().out == "text\nin the block\n"
    assert run.output() == 'text\n{"n":1}\n'


def test_tee_to_a_console_that_is_gone(store: Store, monkeypatch: pytest.MonkeyPatch):
    """A console that cannot be written to is no error of the run."""

    class Gone:
        def write(self, text: str) -> int:
            raise OSError("gone")

        def flush(self) -> None:
            raise OSError("gone")

    def job() -> None:
        sys.__stdout__.write("kept\n")  # type: ignore[union-attr]

    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", Gone())
        run = store.start(job, tee=True)
        run.wait(DEADLINE)

    assert run.wait().ok


@pytest.mark.parametrize(
    ("source", "options", "said"),
    [
        (["true"], {"traceback": False}, "expected traceback with a function or a generator only"),
        (["true"], {"tee": True}, "expected tee=True with what runs in this process"),
        (fails, {"tee": True, "process": True}, "expected tee=True with what runs in this process"),
        (fails, {"traceback": "no"}, "expected traceback as True or False, got 'no'"),
    ],
)
def test_options_that_mean_nothing(store: Store, source: Any, options: dict[str, Any], said: str):
    """Options that cannot be kept are refused, and nothing is started."""
    with pytest.raises(UsageError, match=said):
        store.start(source, **options)
    assert list(store.list()) == []


def test_wait_takes_its_timeout_by_position(store: Store):
    """`wait(10)` is what everybody writes first."""
    run = store.start(["true"])

    assert run.wait(10).ok
    assert asyncio.run(runcast.aio.AsyncRun(files_of(run).path).wait(10)).ok


def test_checked_failure_says_no_insides(store: Store):
    """What `check=True` raises has the sentence, as viewers have."""
    with pytest.raises(RunFailed) as caught:
        store.start(fails, traceback=False, check=True).wait(DEADLINE)
    assert SECRET not in str(caught.value)


def test_name_of_a_function_in_a_process(store: Store):
    """A function with `process=True` has no command of ours to show, only its name."""
    run: Run = store.start(fails, process=True)
    run.wait(DEADLINE)

    assert (run.name, run.command, run.to_json()["command"]) == ("fails", [], [])
