"""A run that waits for its slot, over HTTP: it is seen, followed and stopped as one that runs."""

import contextlib
from collections.abc import Iterator

import pytest

from runcast import State, Store
from runcast.client import Client
from runcast.errors import RunActive
from tests.helpers.queued import Queued, queued
from tests.helpers.servers import Server
from tests.helpers.wait import MS, wait_until

DEADLINE = 5000 * MS


@pytest.fixture(name="queue")
def queue_fixture(store: Store) -> Iterator[Queued]:
    """Give a run that waits."""
    with contextlib.ExitStack() as stack:
        queue = stack.enter_context(queued(store, ["cat"], stdin="pipe"))
        wait_until(lambda: queue.run.state is State.QUEUED)
        yield queue


def test_seen_and_stopped(server: Server, queue: Queued):
    """The list and the run say `queued`; a stop ends it, and its stream ends without a byte."""
    client = Client(server.root)
    run = client.get(queue.run.id)

    assert (run.state, run.pid) == (State.QUEUED, None)
    assert [one.state for one in client.list()] == [State.QUEUED, State.RUNNING]
    with pytest.raises(RunActive, match="it is queued, so there is no process to signal"):
        run.signal(10)
    run.stop()

    assert str(run.wait(timeout=DEADLINE)) == "stopped (its command was not started)"
    assert list(run.follow()) == []


def test_sent_and_followed(server: Server, queue: Queued):
    """What is sent to it is read once it runs, and a follower who was there before gets it all."""
    run = Client(server.root).get(queue.run.id)
    lines = run.lines(timeout=None)
    run.send("early\n", eof=True)

    queue.give_slot()

    assert list(lines) == ["early"]
    assert run.wait(timeout=DEADLINE).ok
