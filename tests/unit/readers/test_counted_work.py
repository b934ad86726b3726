"""What a line costs who follows, counted: calls of the system and of Python, on any machine."""

import os
import time
from pathlib import Path

from runcast.log import MemoryLog
from runcast.model import Channel, Outcome, Reason
from runcast.readers import Cursor, Followed, Wait, follow, hub
from runcast.testing import FilePlace
from tests.helpers.counted_calls import FILE_CALLS, built_in_calls
from tests.helpers.wait import MS
from tests.unit.log.disks import ClockedMemory

OUT = Channel.STDOUT


def test_change_among_many_waiters():
    """What a change of one log costs does not depend on how many others are waited for."""

    def cost(count: int) -> int:
        logs = [MemoryLog() for _ in range(count)]
        writer = ClockedMemory(logs[0])
        watches = [hub().watch(log) for log in logs]
        waiters = [hub().waiter(FakeLoop(), lambda: None) for _ in logs]  # type: ignore[arg-type]
        for waiter, watch in zip(waiters, watches, strict=True):
            hub().begin(waiter, [(watch, watch.version)], None)
        found = built_in_calls(lambda: writer.append(OUT, b"line\n"))
        for one in [*waiters, *watches]:
            one.close()
        return found.total()

    assert cost(1000) <= cost(2) + 10


class FakeLoop:
    """An event loop that nothing is done in."""

    def call_soon_threadsafe(self, *call: object) -> None:
        """Do not call it."""

    def add_reader(self, *call: object) -> None:
        """Do not poll: another test of this process may have followed files before."""

    def remove_reader(self, *call: object) -> None:
        """Do not poll."""


def test_line_of_a_log_in_files(tmp_path: Path):
    """A line takes one read of bytes and of index: nothing is listed, opened or looked for anew."""
    place = FilePlace(str(tmp_path / "run"))
    writer = place.writer()
    writer.append(OUT, b"first\n")
    steps = follow([Followed("key", Cursor(place.log()))])
    assert next(steps)[1].data == b"first\n"  # type: ignore[index]
    folder = str(next(tmp_path.glob("run/**/log")))
    os.utime(folder, ns=(time.time_ns() - 10**9,) * 2)  # else it may have changed again since it was listed
    wait: object = None
    while not isinstance(wait, Wait) or hub().wait(wait.seen, 0):  # until the file that grows is watched
        wait = next(steps)
    for number in range(3):
        assert isinstance(wait, Wait)
        writer.append(OUT, b"%d\n" % number)
        hub().wait(wait.seen, 5000 * MS)
        got: list[object] = []
        found = built_in_calls(lambda got=got: got.extend([next(steps), next(steps)]))
        chunk, wait = got
        assert chunk[1].data == b"%d\n" % number  # type: ignore[index]
        took = {name: count for name, count in found.items() if name in FILE_CALLS}
        assert took.get("pread", 0) <= 2
        assert took.get("fstat", 0) <= 1
        assert took.keys() <= {"pread", "fstat"}
    writer.close(Outcome(Reason.EXITED, 0))
    assert list(steps) == []
