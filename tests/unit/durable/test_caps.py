"""How much streams may have: what each has, and what all have, measured and counted on."""

import threading

import pytest

from runcast.durable import caps as module
from runcast.durable.caps import Busy, Caps
from runcast.errors import CapReached, StreamFull
from runcast.log import CAP_BYTES


class Disk:
    """Something to measure, which counts how often that is done."""

    def __init__(self, used: int = 0) -> None:
        self.used = used
        self.looks = 0

    def __call__(self) -> int:
        self.looks += 1
        return self.used


@pytest.fixture(name="disk")
def disk_fixture() -> Disk:
    """Give an empty disk."""
    return Disk()


@pytest.fixture(name="caps")
def caps_fixture(disk: Disk) -> Caps:
    """Give the caps of what is on it."""
    return Caps(disk)


def test_default(caps: Caps, disk: Disk):
    """A stream may have as much as a run keeps; what all have is not asked."""
    caps.reserve(CAP_BYTES, 0)
    with pytest.raises(CapReached):
        caps.reserve(1, CAP_BYTES)
    assert disk.looks == 0


def test_one_stream(caps: Caps):
    """The last byte that fits is taken, the next one refused, with where the stream ends."""
    caps.stream = 10
    caps.reserve(3, 7)
    with pytest.raises(CapReached) as caught:
        caps.reserve(4, 7)

    assert (caught.value.tail, caught.value.cap) == (7, 10)
    assert "the stream ends at 7" in str(caught.value)


def test_bytes_of_a_parent(caps: Caps):
    """What a fork has of its parent does not count."""
    caps.stream = 10
    caps.reserve(10, 1000, 1000)
    with pytest.raises(CapReached):
        caps.reserve(11, 1000, 1000)


def test_no_bound(caps: Caps, disk: Disk):
    """Without caps nothing is refused, and nothing is measured."""
    caps.stream = None
    caps.reserve(1 << 60, 1 << 60)

    assert disk.looks == 0


def test_all_together(caps: Caps, disk: Disk):
    """What is there is measured once, and what is taken counts from then on."""
    disk.used = 90
    caps.total = 100
    caps.reserve(6, 0)
    caps.reserve(4, 50)
    with pytest.raises(StreamFull) as caught:
        caps.reserve(1, 54)

    assert type(caught.value) is StreamFull
    assert caught.value.tail == 54
    assert "at most 100 bytes in all streams together" in str(caught.value)
    assert disk.looks == 1


def test_room_that_is_made(caps: Caps, disk: Disk):
    """Behind a deletion it is measured anew before anything is refused."""
    disk.used = 100
    caps.total = 100
    with pytest.raises(StreamFull):
        caps.reserve(1, 0)
    disk.used = 50
    caps.deleted()

    caps.reserve(50, 0)
    assert disk.looks == 2


def test_nobody_waits_for_a_measurement(caps: Caps, disk: Disk):
    """Who must not wait is told to come again where a measurement is due; between two it is not."""
    caps.total = 100
    with pytest.raises(Busy):
        caps.reserve(1, 0, wait=False)
    assert disk.looks == 0
    caps.reserve(1, 0)
    caps.reserve(99, 1, wait=False)
    with pytest.raises(StreamFull):
        caps.reserve(1, 100, wait=False)
    caps.deleted()
    with pytest.raises(Busy):
        caps.reserve(1, 100, wait=False)

    assert disk.looks == 1
    disk.used = 50
    caps.reserve(1, 100)
    caps.reserve(49, 101, wait=False)
    assert disk.looks == 2


def test_nobody_waits_for_who_measures(disk: Disk):
    """While somebody measures, who must not wait is told to come again."""
    measuring, go_on = threading.Event(), threading.Event()

    def measure() -> int:
        measuring.set()
        go_on.wait()
        return disk()

    caps = Caps(measure)
    caps.total = 100
    thread = threading.Thread(target=caps.reserve, args=(1, 0))
    thread.start()
    measuring.wait()
    try:
        with pytest.raises(Busy):
            caps.reserve(1, 0, wait=False)
    finally:
        go_on.set()
        thread.join()

    caps.reserve(99, 1, wait=False)
    assert disk.looks == 1


def test_what_others_add(caps: Caps, disk: Disk, monkeypatch: pytest.MonkeyPatch):
    """Now and then it is measured anew, aside, so that what other processes append counts, too."""
    caps.total = 100
    caps.reserve(1, 0)
    disk.used = 95
    caps.reserve(1, 0)
    assert disk.looks == 1
    monkeypatch.setattr(module, "_FRESH_SECONDS", 0.0)
    caps.reserve(1, 0)
    for thread in threading.enumerate():
        if thread.name == "runcast-streams-size":
            thread.join()
    monkeypatch.setattr(module, "_FRESH_SECONDS", 60.0)

    assert disk.looks == 2
    with pytest.raises(StreamFull):
        caps.reserve(10, 0)
    caps.reserve(3, 0)
