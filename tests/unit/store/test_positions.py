"""Where the replies to polls of one key begin and end."""

import os
from pathlib import Path

import pytest

from runcast.ids import new_run_id
from runcast.store.positions import Position


@pytest.fixture
def position(tmp_path: Path) -> Position:
    """Of a run that nobody has polled yet."""
    return Position(str(tmp_path), new_run_id())


def test_goes_on(position: Position):
    """A reply begins where the last one that was delivered ended, and has the next number."""
    assert position.begin(None) == (0, 1)
    position.end(1, 10)

    assert position.begin(None) == (10, 2)


def test_lost_reply(position: Position):
    """A reply that the client did not get is sent again: it says which one it got."""
    position.begin(None)
    position.end(1, 10)
    position.begin(1)
    position.end(2, 20)

    assert position.begin(1) == (10, 3)


def test_unknown_reply(position: Position):
    """A reply that is not remembered, or never was, is no place to go on."""
    for number in range(1, 11):
        position.begin(None)
        position.end(number, number * 10)

    assert position.begin(1)[0] == 100
    assert position.begin(99)[0] == 100
    assert position.begin(3)[0] == 30


def test_forgotten(position: Position, tmp_path: Path):
    """Forgotten, it begins anew, and leaves no file; to forget it twice is no error."""
    position.begin(None)
    position.end(1, 10)
    position.forget()
    position.forget()

    assert os.listdir(tmp_path) == []
    assert position.begin(None) == (0, 1)
