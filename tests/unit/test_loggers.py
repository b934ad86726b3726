"""The library's loggers: who hears what, and that nobody has to."""

import logging
import sys
from collections.abc import Callable

import pytest

from runcast import loggers
from runcast.own_thread import Background


def test_levels(caplog: pytest.LogCaptureFixture):
    """Steps are DEBUG, what an operator should know WARNING, and exceptions ERROR with their traceback."""
    caplog.set_level(logging.DEBUG, "runcast")
    failure = ValueError("deep inside")

    loggers.debug("runs", "run %s started", 1)
    loggers.warning("store", "a file of run %s is damaged", 2)
    loggers.error("threads", "thread %r ended by an error", "x", failure=failure)

    assert [(record.name, record.levelname, record.getMessage()) for record in caplog.records] == [
        ("runcast.runs", "DEBUG", "run 1 started"),
        ("runcast.store", "WARNING", "a file of run 2 is damaged"),
        ("runcast.threads", "ERROR", "thread 'x' ended by an error"),
    ]
    assert caplog.records[2].exc_info == (ValueError, failure, None)


def test_once(caplog: pytest.LogCaptureFixture):
    """What is found again with each look is logged the first time."""
    for number in (1, 2, 1, 2):
        loggers.warning_once("store", "found by test_once: %s", number)

    assert caplog.messages == ["found by test_once: 1", "found by test_once: 2"]


def test_nothing_by_itself(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    """Where the application has no handlers nothing is printed, whatever happens."""
    monkeypatch.setattr(logging.getLogger(), "handlers", [])

    loggers.error("runs", "nobody hears this", failure=ValueError())

    assert capfd.readouterr() == ("", "")


def test_logging_not_loaded(monkeypatch: pytest.MonkeyPatch):
    """Where nobody has loaded `logging`, it stays so."""
    monkeypatch.delitem(sys.modules, "logging")

    for log in (loggers.debug, loggers.warning, loggers.warning_once):
        log("runs", "nobody hears this")

    assert "logging" not in sys.modules


def test_handler_that_fails(caplog: pytest.LogCaptureFixture):
    """The fault of an application's handler is not that of a run."""

    class Fails(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise OSError("the log is full")

    handler = Fails()
    logging.getLogger("runcast").addHandler(handler)
    try:
        loggers.warning("runs", "it goes on")
    finally:
        logging.getLogger("runcast").removeHandler(handler)


@pytest.fixture
def hear(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[str]]:
    """Give what listens to a logger until the end of the test."""
    monkeypatch.setattr(loggers, "_listeners", {})

    def listen(name: str) -> list[str]:
        heard: list[str] = []
        loggers.listen(name, heard.append)
        return heard

    return listen


def test_listener(hear: Callable[[str], list[str]]):
    """A program without logging gets the warnings of a logger that it listens to, as sentences."""
    heard = hear("store")

    loggers.warning("store", "the group %s can write", "staff")
    loggers.warning("runs", "of no interest")

    assert heard == ["the group staff can write"]


def test_thread_that_fails(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]):
    """An error that ends a background thread is logged with its traceback, and printed nowhere."""

    def fail() -> None:
        raise ValueError("deep inside")

    thread = Background(target=fail, name="runcast test")
    thread.start()
    thread.join()

    (record,) = caplog.records
    assert (record.name, record.getMessage()) == (
        "runcast.threads",
        "thread 'runcast test' ended by an error",
    )
    assert "ValueError: deep inside" in caplog.text
    assert capfd.readouterr() == ("", "")
