"""The syncer: everything that was noted is synced, and its thread does not stay for ever."""

import threading
from collections.abc import Callable

import pytest

from runcast.log.sync import Syncer
from tests.helpers.wait import wait_until


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have what is noted synced at once, or the tests would take a second each."""
    monkeypatch.setattr("runcast.log.sync._SECONDS", 0.001)


class Counted:
    """Counts how often it was synced."""

    def __init__(self) -> None:
        self.synced = 0

    def sync(self) -> None:
        self.synced += 1


class Failing(Counted):
    """Cannot be synced."""

    def sync(self) -> None:
        super().sync()
        raise OSError("the disk is failing")


def threads() -> list[threading.Thread]:
    """Return the threads that sync now."""
    return [thread for thread in threading.enumerate() if thread.name == "runcast sync"]


def test_noted_is_synced():
    """What was noted many times is synced soon, once by one thread, which then goes."""
    calls: list[Callable[[], object]] = []
    syncer, one, other = Syncer(calls.append), Counted(), Counted()
    for _ in range(100):
        syncer.note(one)
    syncer.note(other)
    (start,) = calls
    start()
    wait_until(lambda: one.synced and other.synced and not threads())
    assert (one.synced, other.synced) == (1, 1)

    syncer.note(one)
    assert len(calls) == 2  # it went, and is wanted again


def test_noted_while_others_are_synced():
    """What is noted in the midst of it is synced afterwards."""
    syncer, late = Syncer(), Counted()

    class Noting(Counted):
        def sync(self) -> None:
            syncer.note(late)

    syncer.note(Noting())

    wait_until(lambda: late.synced)
    wait_until(lambda: not threads())


def test_one_that_fails(caplog: pytest.LogCaptureFixture):
    """What cannot be synced is logged, and ends the syncing of nothing else."""
    syncer, others, failing = Syncer(), [Counted() for _ in range(20)], Failing()
    for one in [*others[:10], failing, *others[10:]]:
        syncer.note(one)
    wait_until(lambda: failing.synced and all(one.synced for one in others))

    syncer.note(others[0])
    wait_until(lambda: others[0].synced == 2 and not threads())
    assert "OSError: the disk is failing" in caplog.text


def test_sync_now():
    """Who ends does not wait for the thread; nothing is synced again without need."""
    calls: list[Callable[[], object]] = []
    syncer, one, gone = Syncer(calls.append), Counted(), Counted()
    for noted in (one, gone):
        syncer.note(noted)
    syncer.forget(gone)

    syncer.sync()
    syncer.sync()

    assert (one.synced, gone.synced, threads()) == (1, 0, [])
    assert len(calls) == 1  # … which would have started it


def test_noted_while_it_notes():
    """A signal handler may note something while the code that it interrupts does."""
    one, other = Counted(), Counted()
    syncer = Syncer()
    with syncer._lock:
        syncer.note(one)
        syncer.note(other)

    wait_until(lambda: one.synced and other.synced)
    wait_until(lambda: not threads())


def test_no_thread_to_be_had(monkeypatch: pytest.MonkeyPatch):
    """Where no thread can be started, what is noted is synced by who notes it, each time."""
    syncer, one = Syncer(), Counted()

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    syncer.note(one)
    syncer.note(one)

    assert one.synced == 2
