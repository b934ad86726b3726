"""Where an exception can be put into a thread, and where not."""

import gc
import sys
import threading
import time

import pytest

from runcast.errors import RunStopped
from runcast.sources.function import Inside
from tests.helpers.wait import MS


def test_inside():
    """What is insisted upon is raised inside, wherever the thread is."""
    inside, begun, caught = Inside(), threading.Event(), []

    def endless():
        begun.set()
        while True:
            pass

    def work():
        try:
            inside.call(endless)
        except RunStopped as error:
            caught.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    assert begun.wait(5000 * MS)
    inside.force_stop()
    thread.join(5000 * MS)

    assert len(caught) == 1


def test_outside():
    """Before and behind it nothing is raised, however often it is insisted."""
    inside, reached = Inside(), []

    def work():
        inside.force_stop()
        inside.call(reached.append, "inside")
        inside.force_stop()
        for _ in range(1000):
            reached.append("behind")

    thread = threading.Thread(target=work)
    thread.start()
    inside.force_stop()
    thread.join(5000 * MS)

    assert reached.count("behind") == 1000


def test_never_late():
    """An exception that is asked for in the moment of leaving comes out of the call, not behind it."""
    stop, behind = threading.Event(), []
    inside = Inside()

    def insists():
        while not stop.is_set():
            inside.force_stop()
            time.sleep(0)

    gc.collect()
    gc.disable()  # what other tests left has callbacks, and what is raised in one of those is lost
    thread = threading.Thread(target=insists)
    thread.start()
    raised, interval, deadline = 0, sys.getswitchinterval(), time.monotonic() + 5000 * MS
    sys.setswitchinterval(1e-6)
    try:
        while raised < 50 and time.monotonic() < deadline:
            try:
                inside.call(sum, range(50))
            except RunStopped:
                raised += 1
            try:
                sum(range(50))
            except RunStopped as error:
                behind.append(error)
    finally:
        sys.setswitchinterval(interval)
        gc.enable()
        stop.set()
        thread.join()

    assert behind == []
    assert raised >= 50


def test_exceptions_pass():
    """An exception of the code inside is not held back."""
    with pytest.raises(ValueError, match="mine"):
        Inside().call(int, "mine")


def test_values_pass():
    """What the code inside returns is returned."""
    assert Inside().call(int, "12", base=3) == 5


def test_swallowed():
    """An exception that the code inside caught comes out all the same when it returns."""
    inside = Inside()

    def deaf():
        inside.force_stop()
        try:
            for _ in range(10):
                pass
        except RunStopped:
            return "goes on"

    with pytest.raises(RunStopped):
        inside.call(deaf)
