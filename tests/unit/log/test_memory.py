"""Logs in memory: who is woken, what is kept."""

from runcast.log import MemoryLog, MemoryLogWriter
from runcast.model import Channel, Outcome, Reason

OUT = Channel.STDOUT
ENDED = Outcome(Reason.EXITED, 0)


def test_all_subscribers_are_woken():
    """Each append wakes everybody who subscribed, until they end that."""
    log, calls = MemoryLog(), []
    writer = MemoryLogWriter(log)
    end_first = log.subscribe(lambda: calls.append("first"))
    log.subscribe(lambda: calls.append("second"))
    writer.append(OUT, b"a")
    assert sorted(calls) == ["first", "second"]

    end_first()
    end_first()
    writer.append(OUT, b"b")
    assert sorted(calls) == ["first", "second", "second"]


def test_what_a_subscriber_sees():
    """Whoever is woken finds the news there: bytes, then the outcome, then the close."""
    log, seen = MemoryLog(), []
    writer = MemoryLogWriter(log)
    log.subscribe(lambda: seen.append((log.tail_offset, log.outcome is not None, log.closed)))

    writer.append(OUT, b"abc")
    writer.set_outcome(ENDED)
    writer.close(ENDED)

    assert seen == [(3, False, False), (3, True, False), (3, True, True)]


def test_subscriber_that_leaves_when_woken():
    """A subscriber may end its subscription, or begin another, while it is woken."""
    log, calls = MemoryLog(), []
    writer = MemoryLogWriter(log)

    def once() -> None:
        calls.append("once")
        ends[0]()
        log.subscribe(lambda: calls.append("after"))

    ends = [log.subscribe(once)]
    writer.append(OUT, b"a")
    writer.append(OUT, b"b")

    assert calls == ["once", "after"]


def test_dropped_bytes_leave_memory():
    """What the cap drops is freed, and a reader in the middle of it goes on behind the gap."""
    log = MemoryLog()
    writer = MemoryLogWriter(log, cap_bytes=20_000)
    for _ in range(100):
        writer.append(OUT, bytes(1000))

    assert sum(len(extent.data) for extent in log._spans) <= 20_000
    gap = log.read(50_000).chunks[0]
    assert (gap.channel, gap.data) == (Channel.GAP, b"")
    assert log.read(gap.next).chunks[0].data[:1000] == bytes(1000)


def test_reading_does_not_hold_the_log():
    """Bytes that were read are the reader's own: the log grows on, and they stay as they were."""
    log = MemoryLog()
    writer = MemoryLogWriter(log)
    writer.append(OUT, b"abc")
    data = log.read(0).chunks[0].data
    writer.append(OUT, b"def" * 100_000)

    assert data == b"abc"
