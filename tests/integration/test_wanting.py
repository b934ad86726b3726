"""How often a reader of another host's run is heard by the agent: counted, with the clock given."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from runcast.run.wanting import Wanting
from runcast.store.mirrors import agent_lock, agent_socket

SECONDS = 100


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[socket.socket]:
    """What listens as the agent of a store does."""
    store = str(tmp_path)
    os.makedirs(os.path.dirname(agent_lock(store)))
    Path(agent_lock(store)).write_text("1\n")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(agent_socket(store))
        listener.listen(SECONDS)
        listener.setblocking(False)
        yield listener


def heard(agent: socket.socket) -> int:
    """Return how many requests have come."""
    count = 0
    while True:
        try:
            agent.accept()[0].close()
        except BlockingIOError:
            return count
        count += 1


def waits(wanting: Wanting, begin: float, seconds: float) -> None:
    """Have a reader wait a hundred times a second."""
    for step in range(int(100 * seconds)):
        wanting.want(0, now=begin + step / 100)


def test_seldom(tmp_path: Path, agent: socket.socket):
    """A reader is heard at once, and then every 4 s, however often it waits."""
    wanting = Wanting(f"{tmp_path}/run")
    waits(wanting, 1000.0, 0.5)
    assert heard(agent) == 1
    waits(wanting, 1000.5, SECONDS)
    assert heard(agent) <= SECONDS / 4 + 2


def test_another_agent(tmp_path: Path, agent: socket.socket):
    """Another agent hears of a reader within a second."""
    wanting = Wanting(f"{tmp_path}/run")
    waits(wanting, 1000.0, 20.0)
    heard(agent)
    os.utime(agent_lock(str(tmp_path)), ns=(1, 1))  # as it is when another one has taken it
    waits(wanting, 1020.0, 1.02)
    assert 1 <= heard(agent) <= 2


def test_nobody_hears(tmp_path: Path, agent: socket.socket):
    """Where nobody hears it, a reader tries again each second."""
    wanting = Wanting(f"{tmp_path}/run")
    os.unlink(agent_socket(str(tmp_path)))
    waits(wanting, 1000.0, 20.0)
    agent.close()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(agent_socket(str(tmp_path)))
        other.listen()
        other.setblocking(False)
        waits(wanting, 1020.0, 1.02)
        assert 1 <= heard(other) <= 2


def test_lazy(tmp_path: Path, agent: socket.socket):
    """A lazy generator goes on by each wait."""
    wanting = Wanting(f"{tmp_path}/run")
    for step in range(5):
        wanting.want(step, always=True, now=1000.0)
    assert heard(agent) == 5
