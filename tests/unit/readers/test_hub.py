"""The hub, as far as it can be seen in one thread: versions, news, and waits that end at once."""

from runcast.log import MemoryLog
from runcast.model import Channel, Outcome, Reason
from runcast.readers import hub
from tests.unit.log.disks import ClockedMemory

OUT = Channel.STDOUT


def test_news_makes_the_version_grow():
    """Each append and the close are news for a watch of this log, and for no other."""
    log, other = MemoryLog(), MemoryLog()
    writer = ClockedMemory(log)
    watch, quiet = hub().watch(log), hub().watch(other)
    before = watch.version
    writer.append(OUT, b"a")
    once = watch.version
    writer.close(Outcome(Reason.EXITED, 0))

    assert before < once < watch.version
    assert quiet.version == 0
    watch.close()
    quiet.close()


def test_wait_for_old_news():
    """A wait for what has come already returns at once, without a deadline."""
    log = MemoryLog()
    watch = hub().watch(log)
    seen = [(watch, watch.version)]
    ClockedMemory(log).append(OUT, b"a")

    assert hub().wait(seen, None) is True
    watch.close()


def test_wait_that_times_out():
    """A wait without news ends with its deadline."""
    watch = hub().watch(MemoryLog())

    assert hub().wait([(watch, watch.version)], 0) is False
    watch.close()


def test_closed_watch():
    """A watch that was closed hears nothing, and may be closed again."""
    log = MemoryLog()
    watch = hub().watch(log)
    watch.close()
    watch.close()
    ClockedMemory(log).append(OUT, b"a")

    assert watch.version == 0
    assert not log._listeners


def test_one_hub_for_all():
    """A process has one hub."""
    assert hub() is hub()
