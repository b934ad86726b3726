"""Watches of logs in files: no news is lost, and who is not waiting costs the writer next to nothing.

Things happen between a reader's look and its wait, where news is lost if it ever is, and in the wait.
Follow looks again each second, which would hide it: here only news ends a wait.
"""

import fcntl
import os
import sys
import termios
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from runcast.errors import RunNotFound
from runcast.log import FileLog, LogWriter
from runcast.model import Channel, Outcome, Reason
from runcast.readers.hub import Hub, Seen, Watch
from runcast.readers.inotify import Inotify
from runcast.testing import FilePlace
from tests.helpers.wait import MS, wait_until

OUT = Channel.STDOUT
DEADLINE = 10_000 * MS
SEGMENT = 100
CAP = 4 * SEGMENT


class Reader:
    """A log that is read and watched, by a hub of its own."""

    def __init__(self, place: FilePlace) -> None:
        self.hub = Hub(self._open)
        self.log = FileLog(place.directory.path)
        self.offset = 0
        wait_until(self._watches)  # the system's instances of inotify may all be taken for a moment

    def _open(self) -> Inotify:
        self.source = Inotify()
        return self.source

    def _watches(self) -> bool:
        self.watch: Watch = self.hub.watch(self.log)
        if self.watch.polled:
            self.watch.close()
        return not self.watch.polled

    def look(self) -> Seen:
        """Read all there is; return what is to be waited for then."""
        seen = [(self.watch, self.watch.version)]
        while (after := self.log.read(self.offset).next) != self.offset:
            self.offset = after
        return seen

    def settle(self) -> Seen:
        """Look until there is no more news; return what is to be waited for then."""
        while self.hub.wait(seen := self.look(), 10 * MS):
            pass
        return seen

    @property
    def queued(self) -> int:
        """How many bytes of events the kernel keeps for it."""
        raw = fcntl.ioctl(self.source.fd, termios.FIONREAD, bytes(4))
        return int.from_bytes(raw, sys.byteorder)

    def close(self) -> None:
        """Stop watching, and let go of everything."""
        self.watch.close()
        self.log.close()
        self.hub._abandon()


@pytest.fixture
def place(tmp_path: Path) -> FilePlace:
    """Give a log in a folder."""
    return FilePlace(str(tmp_path / "run"))


@pytest.fixture
def reader(place: FilePlace) -> Iterator[Reader]:
    """Give a reader of it."""
    one = Reader(place)
    yield one
    one.close()


def append(place: FilePlace, writer: LogWriter) -> None:
    writer.append(OUT, b"more\n")


def begin_a_segment(place: FilePlace, writer: LogWriter) -> None:
    writer.append(OUT, b"x" * SEGMENT)
    writer.append(OUT, b"more\n")


def drop_what_was_read(place: FilePlace, writer: LogWriter) -> None:
    for _ in range(2 * CAP // SEGMENT):
        begin_a_segment(place, writer)


def crash_and_go_on(place: FilePlace, writer: LogWriter) -> None:
    place.crash(writer)
    place.writer(segment_bytes=SEGMENT).append(OUT, b"more\n")


def park_and_append(place: FilePlace, writer: LogWriter) -> None:
    writer.park()  # type: ignore[attr-defined]  # of logs in files only
    writer.append(OUT, b"more\n")


def move(place: FilePlace, writer: LogWriter) -> None:
    os.rename(place.directory.path, f"{place.directory.path}.removed")


DEEDS: dict[str, Callable[[FilePlace, LogWriter], None]] = {
    "an append": append,
    "a new segment": begin_a_segment,
    "new segments, and the old one dropped": drop_what_was_read,
    "another writer": crash_and_go_on,
    "an append by a writer that was parked": park_and_append,
    "progress": lambda place, writer: place.directory.write_progress({"fraction": 0.5}),
    "the outcome": lambda place, writer: writer.set_outcome(Outcome(Reason.EXITED, 0)),
    "the close": lambda place, writer: writer.close(Outcome(Reason.EXITED, 0)),
    "that it is moved away": move,
}
BEFORE = {"nothing": b"", "output": b"some\n", "a full segment": b"x" * SEGMENT}


@pytest.mark.parametrize("waits", [False, True], ids=["before the wait", "in the wait"])
@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.parametrize("deed", DEEDS)
def test_no_news_is_lost(place: FilePlace, reader: Reader, deed: str, before: str, waits: bool):
    """Whatever happens, and whatever was there before, ends the wait that comes, or that goes on."""
    writer = place.writer(segment_bytes=SEGMENT, cap_bytes=CAP)
    writer.append(OUT, BEFORE[before])
    seen = reader.settle()
    with ThreadPoolExecutor(1) as pool:
        if waits:
            waiting = pool.submit(reader.hub.wait, seen, DEADLINE)
            wait_until(lambda: reader.hub._waiters)
            DEEDS[deed](place, writer)
            news = waiting.result()
        else:
            DEEDS[deed](place, writer)
            news = reader.hub.wait(seen, DEADLINE)

    assert news
    assert not reader.watch.polled


@pytest.mark.parametrize("rolls", [False, True], ids=["into the same segment", "into another one"])
def test_first_wait(place: FilePlace, rolls: bool):
    """What comes before the first wait is found: growth is watched only from there on, so it says to look."""
    writer = place.writer(segment_bytes=SEGMENT)
    writer.append(OUT, b"some\n")
    with closing(Reader(place)) as reader:
        seen = reader.look()
        writer.append(OUT, b"x" * (SEGMENT if rolls else 1))

        assert reader.hub.wait(seen, DEADLINE)
        reader.settle()
        assert reader.offset == writer.tail


@pytest.mark.parametrize("waited", [False, True], ids=["who never waited", "who has waited"])
def test_what_a_stuck_reader_costs(place: FilePlace, reader: Reader, waited: bool):
    """R13: for a reader that is stuck the kernel queues no event more, however much is appended."""
    writer = place.writer()
    writer.append(OUT, b"some\n")
    if waited:
        reader.settle()
        writer.append(OUT, b"some\n")
    else:
        reader.look()
    before = reader.queued
    for _ in range(100):
        writer.append(OUT, b"x" * 65536)

    assert reader.queued == before
    assert bool(before) or not waited


def test_one_file_is_watched(place: FilePlace, reader: Reader):
    """Of many segments the newest alone is watched."""
    writer = place.writer(segment_bytes=SEGMENT)
    for _ in range(5):
        begin_a_segment(place, writer)
        reader.settle()

    assert len(reader.hub._by_number) == 3  # the run's folder, the log's, and that file


def test_two_watches_of_one_log(place: FilePlace, reader: Reader):
    """When one of two who watch the same log leaves, the other is woken as before."""
    one, other = FileLog(place.directory.path), FileLog(place.directory.path)
    own, before = reader.hub, len(reader.hub._by_number)
    first, second = own.watch(one), own.watch(other)
    writer = place.writer()
    writer.append(OUT, b"some\n")
    for log, watch in ((one, first), (other, second)):
        while own.wait([(watch, watch.version)], 10 * MS):
            assert log.tail_offset == 5
    first.close()
    seen = [(second, second.version)]
    writer.append(OUT, b"more\n")

    assert own.wait(seen, DEADLINE)
    second.close()
    assert len(own._by_number) == before


def test_removed_before_it_is_watched(place: FilePlace, reader: Reader):
    """A log that is gone when its growth should be watched is looked at again, which says so."""
    os.rename(place.directory.path, f"{place.directory.path}.removed")

    assert reader.hub.wait([(reader.watch, reader.watch.version)], DEADLINE)
    with pytest.raises(RunNotFound, match="it was removed"):
        reader.look()
