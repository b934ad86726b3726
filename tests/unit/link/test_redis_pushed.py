"""Entries that come with their messages are read as the engine has them, or not at all."""

import pytest

from runcast.link.base import Entry
from runcast.link.redis_pushed import BYTES, Pushed

RUN = "run"


def message(start: int, data: bytes, records: bytes = b"") -> bytes:
    """Return what the engine's script sends with an append."""
    return BYTES + b"%d %d %d " % (start, start + len(data), len(data)) + data + records


@pytest.fixture
def pushed() -> Pushed:
    """With two entries of a run."""
    found = Pushed()
    found.hear(RUN, message(10, b"one 1\n", b"r r"))
    found.hear(RUN, message(16, b"two\n"))
    return found


def test_taken_once(pushed: Pushed):
    """All that came is taken in one piece, with its records; afterwards the engine is asked."""
    entries = [Entry(10, 16, b"one 1\n", b"r r"), Entry(16, 20, b"two\n", b"")]

    assert pushed.take(RUN, 10, 100) == (entries, 10, 20)
    assert pushed.take(RUN, 20, 100) is None


def test_from_the_middle(pushed: Pushed):
    """Entries that end at the offset are left out, one that it is in is taken."""
    assert pushed.take(RUN, 18, 100) == ([Entry(16, 20, b"two\n", b"")], 10, 20)


@pytest.mark.parametrize("offset", [9, 20, 21])
def test_not_from_elsewhere(pushed: Pushed, offset: int):
    """What is before or behind it is the engine's to say, and what came is not needed then."""
    assert pushed.take(RUN, offset, 100) is None
    assert pushed.take(RUN, 10, 100) is None


@pytest.mark.parametrize("said", [None, BYTES])
def test_forgotten(pushed: Pushed, said: bytes | None):
    """Bytes that came without their message, or messages that may be lost, have all of it be read."""
    pushed.hear(RUN, said)

    assert pushed.take(RUN, 10, 100) is None


def test_other_changes(pushed: Pushed):
    """A message about a state leaves the bytes as they are."""
    pushed.hear(RUN, b"")

    assert pushed.take(RUN, 10, 100) is not None


def test_hole(pushed: Pushed):
    """Behind a hole there is only what came after it."""
    pushed.hear(RUN, message(21, b"x"))

    assert pushed.take(RUN, 10, 100) is None
    pushed.hear(RUN, message(21, b"x"))
    assert pushed.take(RUN, 21, 100) == ([Entry(21, 22, b"x", b"")], 21, 22)


def test_bound():
    """What nobody reads takes 64 KiB of memory at most, then it is the engine's alone."""
    pushed = Pushed()
    for number in range(20):
        pushed.hear(RUN, message(number * 8000, b"x" * 8000))
    found = pushed.take(RUN, 19 * 8000, 1 << 20)

    assert found is not None
    assert found[1] >= (20 - 8) * 8000


def test_own_runs(pushed: Pushed):
    """Of a run that this link writes nothing is taken from messages: they may be behind."""
    pushed.writes(RUN)
    pushed.hear(RUN, message(20, b"x"))
    assert pushed.take(RUN, 20, 100) is None

    pushed.unwatch(RUN)
    pushed.hear(RUN, message(20, b"x"))
    assert pushed.take(RUN, 20, 100) is not None
