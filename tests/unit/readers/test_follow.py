"""Following, step by step: what is given, where it would wait, and when it ends."""

import pytest

from runcast.log import MemoryLog
from runcast.model import Channel, Outcome, Reason
from runcast.readers import Cursor, Followed, Wait, drive, follow, until
from tests.unit.log.disks import ClockedMemory

OUT, ERR = Channel.STDOUT, Channel.STDERR
ENDED = Outcome(Reason.EXITED, 0)


def followed(log: MemoryLog, key: str = "key") -> Followed[str]:
    return Followed(key, Cursor(log))


def step(steps) -> object:
    """Return the next step: bytes, "wait" or None."""
    value = next(steps, "end")
    if isinstance(value, Wait):
        return "wait"
    return value[1].data if isinstance(value, tuple) else value


def test_bytes_as_they_come():
    """What is there is given, then it would wait; what came meanwhile is given next."""
    log = MemoryLog()
    writer = ClockedMemory(log)
    steps = follow([followed(log)])
    assert step(steps) == "wait"

    writer.append(OUT, b"one")
    assert step(steps) == b"one"
    assert step(steps) == "wait"
    assert step(steps) == "wait"
    writer.append(ERR, b"two")
    writer.append(OUT, b"three")
    assert [step(steps) for _ in range(3)] == [b"two", b"three", "wait"]
    writer.close(ENDED)
    assert step(steps) == "end"


class LastWords(MemoryLog):
    """A log whose writer says its last words in the moment in which it is asked whether it is closed."""

    @property
    def closed(self) -> bool:
        if not self._released:
            self.writer.append(OUT, b"last words")
            self.writer.close(ENDED)
        return super().closed


def test_last_words():
    """Bytes that came between the last read and the close are given before the end."""
    log = LastWords()
    log.writer = ClockedMemory(log)

    assert [step(steps) for steps in [follow([followed(log)])] for _ in range(2)] == [b"last words", "end"]


def test_wait_sees_what_comes_before_it():
    """What is appended between the read and the wait ends the wait at once."""
    log = MemoryLog()
    writer = ClockedMemory(log)
    steps = follow([followed(log)])
    wait = next(steps)
    assert isinstance(wait, Wait)
    assert all(watch.version == version for watch, version in wait.seen)

    writer.append(OUT, b"a")

    assert any(watch.version != version for watch, version in wait.seen)
    steps.close()


def test_several_logs():
    """Several logs are followed as one; each chunk comes with the key of its log; all must close."""
    logs = [MemoryLog(), MemoryLog()]
    writers = [ClockedMemory(log) for log in logs]
    steps = follow([followed(log, name) for log, name in zip(logs, "ab", strict=True)])
    assert step(steps) == "wait"
    writers[1].append(OUT, b"from b")
    key, chunk = next(steps)
    assert (key, chunk.data) == ("b", b"from b")
    writers[1].close(ENDED)
    assert step(steps) == "wait"
    writers[0].append(OUT, b"from a")
    assert next(steps)[0] == "a"
    writers[0].close(ENDED)

    assert step(steps) == "end"


def test_silence():
    """With a timeout of 0, None is given whenever there is nothing."""
    log = MemoryLog()
    steps = follow([followed(log)], timeout=0)

    assert [step(steps), step(steps)] == [None, None]
    ClockedMemory(log).append(OUT, b"a")
    assert [step(steps), step(steps)] == [b"a", None]


def test_nobody_listens_behind_the_end():
    """Whether it ends, or is left early, following lets go of the log."""
    log = MemoryLog()
    writer = ClockedMemory(log)
    steps = follow([followed(log)])
    assert step(steps) == "wait"
    assert log._listeners
    steps.close()
    assert not log._listeners

    writer.close(ENDED)
    assert list(drive(follow([followed(log)]))) == []
    assert not log._listeners


def test_writer_is_looked_after():
    """Before each wait but the first, it is asked whether the writer still lives."""
    log, looks = MemoryLog(), []
    one = Followed("key", Cursor(log), lambda: looks.append(1))
    steps = follow([one])
    assert [step(steps), len(looks)] == ["wait", 0]
    assert [step(steps), len(looks)] == ["wait", 1]
    assert [step(steps), len(looks)] == ["wait", 2]


def test_drive_ends_with_a_closed_log():
    """Driven by a thread, a closed log is given whole, without a wait."""
    log = MemoryLog()
    writer = ClockedMemory(log)
    writer.append(OUT, b"a")
    writer.append(ERR, b"b")
    writer.close(ENDED)

    assert [chunk.data for _, chunk in drive(follow([followed(log)]))] == [b"a", b"b"]


def test_until():
    """A value is given as soon as there is one, and None when the time is up first."""
    log, values = MemoryLog(), []
    steps = until(log, lambda: values[-1] if values else None)
    assert isinstance(next(steps), Wait)
    values.append("ready")
    assert list(steps) == ["ready"]

    assert list(until(log, lambda: None, timeout=0)) == [None]
    assert list(until(log, lambda: "now", timeout=0)) == ["now"]
    assert not log._listeners


@pytest.mark.parametrize("count", [1, 3])
def test_reading_moves_the_cursor(count: int):
    """The cursor that was handed in says how far reading got, for whoever comes back."""
    log = MemoryLog()
    ClockedMemory(log).append(OUT, b"x" * count)
    one = followed(log)
    steps = follow([one])
    next(steps)

    assert one.cursor.offset == count
    steps.close()
