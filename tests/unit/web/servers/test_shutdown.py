"""Waiting replies are woken when the server around them shuts down."""

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from runcast.log import MemoryLog
from runcast.readers import hub
from runcast.web.servers.shutdown import server_ends, stopping, wake_with_server
from runcast.web.wsgi import RunsWSGI
from tests.helpers.wait import wait_until


class Worker:
    """Ends as gunicorn's workers do: a signal is noted, and looked for once a second."""

    def __init__(self) -> None:
        self.alive = True

    def handle(self, number: int, frame: object) -> None:
        self.alive = False


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker()
    former = {number: signal.signal(number, worker.handle) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield worker
    finally:
        server_ends(False)
        for number, handler in former.items():
            signal.signal(number, handler)


def test_signal_wakes(worker: Worker):
    """A signal to gunicorn's worker does what it did, and wakes at once who waits without a deadline."""
    wake_with_server()
    watch = hub().watch(MemoryLog())
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(hub().wait, [(watch, watch.version)], None)
        wait_until(lambda: signal.raise_signal(signal.SIGTERM) or waiting.done())

    assert waiting.result() is True
    assert stopping()
    assert not worker.alive
    watch.close()


def test_application_is_made(worker: Worker, tmp_path: Path):
    """An application that is made where signals come to has them wake its replies, in any thread."""
    RunsWSGI(str(tmp_path / "store"))
    watch = hub().watch(MemoryLog())
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(hub().wait, [(watch, watch.version)], None)
        wait_until(lambda: signal.raise_signal(signal.SIGTERM) or waiting.done())

    assert waiting.result() is True
    assert not worker.alive
    watch.close()


def test_wrapped_once(worker: Worker):
    """However many replies there are, the handler is wrapped once."""
    wake_with_server()
    handler = signal.getsignal(signal.SIGTERM)
    wake_with_server()

    assert signal.getsignal(signal.SIGTERM) is handler


def test_thread_without_signals(worker: Worker):
    """In a thread that signals do not come to, the handler stays as it is."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(wake_with_server).result()

    assert signal.getsignal(signal.SIGTERM) == worker.handle


def test_handler_of_somebody_else():
    """A handler that is no server's stays as it is: after Ctrl-C a program may go on."""
    before = signal.getsignal(signal.SIGINT)
    wake_with_server()

    assert signal.getsignal(signal.SIGINT) is before
