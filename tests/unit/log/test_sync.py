"""The syncer: everything that was noted is synced, and its thread does not stay for ever."""

import threading

from runcast.durable.sync import Syncer
from tests.helpers.wait import wait_until


class Counted:
    """Counts how often it was synced."""

    def __init__(self) -> None:
        self.synced = 0

    def sync(self) -> None:
        self.synced += 1


def test_noted_is_synced():
    """What was noted many times is synced soon, by one thread, and not again."""
    before = threading.active_count()
    syncer, one, other = Syncer(), Counted(), Counted()
    for _ in range(100):
        syncer.note(one)
    syncer.note(other)
    wait_until(lambda: one.synced and other.synced)

    assert not syncer.sync()
    assert threading.active_count() <= before + 1
    assert one.synced <= 2
    syncer.close()
    wait_until(lambda: not syncer.alive, what="the end of its thread")


def test_sync_now():
    """Who ends does not wait for the thread."""
    syncer, one = Syncer(), Counted()
    syncer.note(one)

    assert syncer.sync() or one.synced == 1
    assert one.synced == 1
