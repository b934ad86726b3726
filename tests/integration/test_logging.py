"""What an application that has set up logging hears of its runs."""

import logging
import os
import signal
from pathlib import Path

import pytest

from runcast import Run, State, Store
from tests.helpers.children import run_python, supervisor_of
from tests.helpers.lost import orphan
from tests.helpers.wait import MS, wait_until

DEADLINE = 20000 * MS


def hear(caplog: pytest.LogCaptureFixture, text: str) -> logging.LogRecord:
    """Return the only record whose message begins so, as soon as it is there."""
    found = wait_until(
        lambda: [record for record in list(caplog.records) if record.getMessage().startswith(text)],
        DEADLINE,
        what=text,
    )
    assert len(found) == 1
    return found[0]


@pytest.fixture(name="caplog")
def caplog_fixture(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Hear everything."""
    caplog.set_level(logging.DEBUG, "runcast")
    return caplog


def test_life_of_a_function(store: Store, caplog: pytest.LogCaptureFixture):
    """The start and the end of a run are steps."""
    run = store.start(print, "hello")
    run.wait(DEADLINE)

    for text in (f"run {run.id} of print started", f"run {run.id} of print ended: exit code 0"):
        record = hear(caplog, text)
        assert (record.name, record.levelno) == ("runcast.runs", logging.DEBUG)


@pytest.mark.slow
def test_life_of_a_command(store: Store, caplog: pytest.LogCaptureFixture):
    """So are those of a command, though its supervisor is another process."""
    run = store.start(["true"])

    hear(caplog, f"run {run.id} of true started")
    assert hear(caplog, f"run {run.id} of true ended: exit code 0").levelno == logging.DEBUG


@pytest.mark.slow
@pytest.mark.fault
@pytest.mark.parametrize("looks", [True, False])
def test_lost(store: Store, caplog: pytest.LogCaptureFixture, looks: bool):
    """A lost run is a warning, once, whether this process finds it or its starter is only there."""
    run = store.start(["sleep", "600"])
    assert run.pid
    if looks:
        orphan(run)
        for _ in range(3):
            assert run.state is State.LOST
    else:
        os.kill(supervisor_of(run), signal.SIGKILL)  # and the forkserver finds it

    record = hear(caplog, f"run {run.id} is lost: its supervisor died before the run ended")

    assert (record.name, record.levelno) == ("runcast.runs", logging.WARNING)


def test_readers(store: Store, caplog: pytest.LogCaptureFixture):
    """A reader joins and leaves."""
    run = store.start(print, "hello")

    assert list(run.lines()) == ["hello"]

    said = [record.getMessage() for record in caplog.records if record.name == "runcast.readers"]
    assert [(text.split(" ")[-3], text.split(" ")[-1]) for text in said] == [("joins", "0"), ("leaves", "6")]
    assert all(run.id in text for text in said)


def test_damage(store: Store, caplog: pytest.LogCaptureFixture):
    """A damaged file is a warning, once, however often it is looked at."""
    run = store.start(print)
    run.wait(DEADLINE)
    Path(store.path, run.id, "run.json").write_text("{")

    for _ in range(3):
        assert Run(f"{store.path}/{run.id}").damaged

    record = hear(caplog, f"a file of run {run.id} is damaged: run.json: ")
    assert (record.name, record.levelno) == ("runcast.store", logging.WARNING)


@pytest.mark.slow
@pytest.mark.fault
def test_full_disk(store: Store):
    """Output that there is no room for is a warning, once, when the first of it is left out."""
    said = run_python(
        "import logging, resource, sys, runcast\n"
        "logging.basicConfig(stream=sys.stdout, format='%(name)s %(levelname)s %(message)s')\n"
        f"store = runcast.Store({store.path!r})\n"
        "def job():\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))\n"
        "    for _ in range(1000): print('x' * 1000)\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))\n"
        "print(store.start(job).wait().dropped, flush=True)\n"
    )

    # The limit is that of the whole process: the audit may meet it, too.
    [warning, dropped] = [line for line in said.splitlines() if not line.startswith("runcast.store ")]
    [run] = store.list()
    assert warning == f"runcast.runs WARNING run {run.id}: there is no room for its output: File too large"
    assert int(dropped) > 900_000
