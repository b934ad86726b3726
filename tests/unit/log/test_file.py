"""Logs in files: names, descriptors, segments that come and go while one reads."""

import os
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from runcast.errors import FormatTooNew, RunNotFound, StoreUnusable
from runcast.log import FileLog, FileLogWriter
from runcast.log.extent import Dropped
from runcast.log.records import RECORD_BYTES, header, pack
from runcast.model import Channel, Outcome, Reason
from runcast.store.run_files import RunFiles
from runcast.testing import FilePlace, PlainLog
from tests.unit.log.disks import SECOND, ClockedFile, SmallFile
from tests.unit.log.test_records import later_header

OUT, ERR, GAP, UNKNOWN = Channel.STDOUT, Channel.STDERR, Channel.GAP, Channel.UNKNOWN


@pytest.fixture
def place(tmp_path: Path) -> FilePlace:
    """A folder for one run."""
    return FilePlace(str(tmp_path / "run"))


def files(place: FilePlace) -> dict[str, int]:
    """Return the names in the log's folder, and the sizes."""
    return {file.name: file.stat().st_size for file in Path(place.directory.log_path).iterdir()}


def read_all(log: FileLog) -> list[tuple[Channel, bytes]]:
    """Return the whole log, in (channel, bytes)."""
    chunks, offset = [], 0
    while (reading := log.read(offset)).next != offset:
        chunks, offset = chunks + reading.chunks, reading.next
    return [(chunk.channel, chunk.data) for chunk in chunks]


def test_names(place: FilePlace):
    """A segment is a file of raw bytes, named by its first offset, and an index beside it."""
    writer = place.writer(segment_bytes=4)
    writer.append(OUT, b"abcdefg")

    assert files(place) == {
        "00000000000000000000": 4,
        "00000000000000000000.index": 2 * RECORD_BYTES,
        "00000000000000000004": 3,
        "00000000000000000004.index": 2 * RECORD_BYTES,
    }
    assert Path(place.directory.log_path, "00000000000000000004").read_bytes() == b"efg"
    assert Path(place.directory.log_path, "00000000000000000004.index").read_bytes()[:32] == header(4)


def test_modes(place: FilePlace):
    """What a run prints is nobody else's business."""
    place.writer().append(OUT, b"secret")

    assert all(file.stat().st_mode & 0o077 == 0 for file in Path(place.directory.path).rglob("*"))


def test_other_names_are_no_segments(place: FilePlace):
    """Files that somebody put into the folder are passed over."""
    writer = place.writer()
    writer.append(OUT, b"text")
    for name in ("5", "notes.txt", "²" * 20, "٣" * 20, "0" * 21, "00000000000000000004.bak"):
        Path(place.directory.log_path, name).write_bytes(b"other")

    assert read_all(FileLog(place.directory.path)) == [(OUT, b"text")]


def test_later_format_is_refused_each_time(place: FilePlace):
    """A segment of a later format is refused at every read, not only at the first."""
    place.writer().append(OUT, b"text")
    (index,) = Path(place.directory.log_path).glob("*.index")
    index.write_bytes(later_header() + index.read_bytes()[32:])
    log = FileLog(place.directory.path)

    for _ in range(3):
        with pytest.raises(FormatTooNew, match="has format 2, this runcast reads up to 1"):
            log.read(0)


def test_index_that_was_lost(place: FilePlace):
    """Without its index every byte is there, of unknown channel."""
    place.writer().append(ERR, b"text\n")
    (index,) = Path(place.directory.log_path).glob("*.index")
    index.unlink()

    assert read_all(FileLog(place.directory.path)) == [(UNKNOWN, b"text\n")]


def test_few_descriptors(place: FilePlace):
    """However many segments there are, and wherever one reads, a log holds a few descriptors."""
    writer, plain = place.writer(segment_bytes=10), PlainLog()
    for n in range(60):
        writer.append(OUT, b"number %02d\n" % n)
        plain.append(OUT, b"number %02d\n" % n)
    before = len(os.listdir("/dev/fd"))
    log = FileLog(place.directory.path)
    most = 0
    for offset in [*range(0, 600, 7), *range(599, 0, -11)]:
        assert log.read(offset, 5).chunks[0].data == plain.data(
            offset, min(offset + 5, offset // 10 * 10 + 10)
        )
        most = max(most, len(os.listdir("/dev/fd")) - before)
    assert log.lines == 60

    assert most <= 2 * 4 + 1
    log.close()
    assert len(os.listdir("/dev/fd")) == before


def test_close_and_come_back(place: FilePlace):
    """A log that was closed opens its files again when it is read."""
    writer, log = place.writer(), place.log()
    writer.append(OUT, b"a")
    assert log.read(0).next == 1
    log.close()
    log.close()
    writer.append(OUT, b"b")

    assert b"".join(data for _, data in read_all(log)) == b"ab"


class Late(FileLog):
    """A reader to whom something happens between its look at the folder and its read."""

    happens = staticmethod(lambda: None)

    def _extents(self):
        spans = super()._extents()
        self.happens()
        return spans


@pytest.mark.parametrize("filtered", [False, True])
def test_segment_dropped_before_it_is_read(place: FilePlace, filtered: bool):
    """A segment that the cap drops after a reader saw it is a gap for that reader, not an error."""
    writer = place.writer(segment_bytes=10)
    for n in range(5):
        writer.append(OUT, b"number %02d\n" % n)
    log = Late(place.directory.path)
    log.happens = lambda: writer._drop(10)

    reading = log.read(10, 100, {OUT} if filtered else None)

    assert [chunk[:3] for chunk in reading.chunks] == [(10, 20, GAP)]
    assert log.lines == 5
    assert log.offset_of_line(2) == 10
    assert log.offset_of_tail(4, {OUT}) == 0


def test_segment_cut_before_it_is_read(place: FilePlace):
    """Bytes that vanish after a reader saw them, which no writer does, are a gap and no silent hole."""
    writer = place.writer(segment_bytes=10)
    for n in range(3):
        writer.append(OUT, b"number %02d\n" % n)
    log = Late(place.directory.path)
    log.happens = lambda: os.truncate(f"{place.directory.log_path}/{0:020d}", 4)

    assert [chunk[:3] for chunk in log.read(0).chunks] == [(0, 4, OUT)]
    assert [chunk[:3] for chunk in log.read(4).chunks] == [(4, 10, GAP)]


def test_index_dropped_before_it_is_opened(place: FilePlace):
    """Bytes go before their index: an index that is gone with its bytes is no lost index."""
    writer = place.writer(segment_bytes=10)
    writer.append(OUT, b"number 01\nnumber 02\n")
    log = place.log()
    first = log._extents()[0].extent
    writer._drop(0)

    with pytest.raises(Dropped):
        first._open_index()


def test_segments_that_cannot_stay(place: FilePlace):
    """A last segment that is a link is told as what it is, and not followed."""
    place.writer().append(OUT, b"text")
    os.symlink("nowhere", f"{place.directory.log_path}/{4:020d}")

    with pytest.raises(StoreUnusable, match="4: expected a file, a symbolic link is there"):
        FileLog(place.directory.path).read(0)


def test_new_segments_are_seen(place: FilePlace):
    """A reader that listed the folder long ago sees each new segment."""
    writer, log = place.writer(segment_bytes=10), place.log()
    for n in range(30):
        writer.append(OUT, b"number %02d\n" % n)
        assert log.tail_offset == 10 * (n + 1)
        assert log.read(10 * n).chunks[0].data == b"number %02d\n" % n


def test_change_within_the_same_tick(place: FilePlace):
    """A folder that changes twice within one tick of the file system's clock is listed again."""
    writer, log = place.writer(segment_bytes=10), place.log()
    tick = time.time_ns() + 10 * SECOND
    for n in range(5):
        writer.append(OUT, b"number %02d\n" % n)
        os.utime(place.directory.log_path, ns=(tick, tick))
        assert log.tail_offset == 10 * (n + 1)


def test_fork(place: FilePlace, tmp_path: Path):
    """Segments that are shared with another log, by hard links, end where this one's own begin."""
    assert place.directory.acquire()
    parent, plain = ClockedFile(place.directory, segment_bytes=100), PlainLog()
    for n in range(40):
        data = b"number %02d\n" % n
        parent.append(ERR if n % 3 else OUT, data)
        parent.now += SECOND
        if n < 25:
            plain.append(ERR if n % 3 else OUT, data)
    fork = FilePlace(str(tmp_path / "fork"))
    for name in files(place):
        if int(name[:20]) < 250:
            os.link(f"{place.directory.log_path}/{name}", f"{fork.directory.log_path}/{name}")
    Path(fork.directory.log_path, f"{250:020d}").touch()
    log = fork.log()
    assert log.tail_offset == 250

    for _ in range(2):
        assert b"".join(data for _, data in read_all(log)) == plain.data()
        assert all(channel is not UNKNOWN for channel, _ in read_all(log))
        for number in range(1, 30):
            assert log.offset_of_line(number) == plain.offset_of_line(number)
            assert log.offset_of_tail(number) == plain.offset_of_tail(number)
        assert log.lines == plain.lines_before(plain.tail)
        assert log.offset_of_time(1_700_000_000 + 24.5) == 250
        writer = fork.writer()
        writer.append(OUT, b"fork\n")
        plain.append(OUT, b"fork\n")
        fork.crash(writer)

    assert place.log().tail_offset == 400
    assert read_all(fork.log())[-1] == (OUT, b"fork\n")


def test_empty_segment_left_behind(place: FilePlace):
    """What a dead writer left in the index of a segment without bytes labels nothing that comes later."""
    first = place.writer()
    first.append(OUT, b"kept\n")
    first._begin(5)
    first._write_record(b"\1" * 20)  # torn, and then the power went
    place.crash(first)
    log = place.log()
    assert read_all(log) == [(OUT, b"kept\n")]

    writer = place.writer()
    writer.append(ERR, b"more\n")

    assert read_all(log) == read_all(place.log()) == [(OUT, b"kept\n"), (ERR, b"more\n")]
    assert writer.tail == 10


def test_reopened_with_a_cap(place: FilePlace):
    """A writer that goes on with a log keeps the cap, and drops what an earlier one wrote."""
    first = place.writer(segment_bytes=100)
    first.append(OUT, bytes(1000))
    place.crash(first)

    second = place.writer(cap_bytes=1000)
    for _ in range(50):
        second.append(ERR, bytes(100))

    kept = sum(size for name, size in files(place).items() if not name.endswith(".index"))
    assert kept <= 1000
    assert second.truncated
    assert read_all(place.log())[0] == (OUT, bytes(100))


def test_empty_segment_at_the_tail_is_not_dropped(place: FilePlace):
    """A cap never drops the segment that is being written, also one that was begun by another writer."""
    first = place.writer(segment_bytes=100)
    first.append(OUT, bytes(1000))
    first._begin(1000)
    for _ in range(5):
        first._write_record(pack(1000, 0, 0, OUT))
    place.crash(first)

    second = place.writer(cap_bytes=100)
    second.append(ERR, b"the newest")

    assert read_all(place.log())[-1] == (ERR, b"the newest")


def test_full_disk_leaves_no_files(place: FilePlace):
    """While the disk is full, an attempt now and then leaves no files behind."""
    assert place.directory.acquire()
    writer = SmallFile(place.directory)
    writer.append(OUT, b"kept\n")
    for n in range(50):
        writer.room = RECORD_BYTES * (n % 3)
        writer.append(OUT, b"lost\n")
        writer.now += SECOND
    assert len(files(place)) <= 4

    writer.room = 1 << 20
    writer.append(ERR, b"again\n")

    assert read_all(place.log()) == [(OUT, b"kept\n"), (GAP, b""), (ERR, b"again\n")]
    assert len(files(place)) == 4
    assert place.log().lines == 52


def test_gap_at_the_very_end(place: FilePlace):
    """Bytes lost at the very end are a gap as well, even on a disk where only a name fits."""
    assert place.directory.acquire()
    writer = SmallFile(place.directory)
    writer.append(OUT, b"kept\n")
    writer.room = 0
    writer.append(OUT, b"lost")
    writer.close(Outcome(Reason.EXITED, 0, dropped=writer.dropped))

    log = place.log()
    assert (log.closed, log.outcome.dropped, log.tail_offset) == (True, 4, 9)
    assert read_all(log) == [(OUT, b"kept\n"), (GAP, b"")]
    assert log.offset_of_tail(1) == 0
    writer = place.writer()
    writer.append(ERR, b"more")
    assert read_all(place.log()) == [(OUT, b"kept\n"), (GAP, b""), (ERR, b"more")]


@contextmanager
def file_size(limit: int) -> Iterator[None]:
    """Let files grow to so many bytes only. Nothing else may be written meanwhile."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("limit", [20, 50, 100, 111, 1000])
def test_files_of_limited_size(place: FilePlace, limit: int):
    """Under RLIMIT_FSIZE nothing is lost and nothing mislabelled, wherever the limit falls in a record."""
    assert place.directory.acquire()
    writer, plain = ClockedFile(place.directory), PlainLog()
    with file_size(limit):
        for n in range(60):
            channel = ERR if n % 3 else OUT
            writer.append(channel, b"number %d\n" % n)
            plain.append(channel, b"number %d\n" % n)

    assert all(size <= limit for size in files(place).values())
    if limit > 2 * RECORD_BYTES:
        assert writer.dropped == 0
        got = read_all(place.log())
        assert b"".join(data for _, data in got) == plain.data()
        for wanted in (OUT, ERR):
            assert b"".join(data for channel, data in got if channel is wanted) == plain.data(
                channels={wanted}
            )
    else:  # not even one record fits
        assert writer.dropped == plain.tail
        assert len(files(place)) == (0 if limit < RECORD_BYTES else 2)


def test_sync_covers_every_segment(place: FilePlace, monkeypatch: pytest.MonkeyPatch):
    """A sync has all segments since the last one survive a power loss, the finished ones included."""
    synced: list[str] = []

    def fdatasync(fd: int) -> None:
        synced.append(os.path.basename(os.readlink(f"/proc/self/fd/{fd}")))
        os.fdatasync(fd)

    monkeypatch.setattr("runcast.log.segments._fdatasync", fdatasync)
    writer = place.writer(segment_bytes=10)
    writer.append(OUT, bytes(35))
    writer.sync()
    assert sorted(synced) == sorted(files(place))

    synced.clear()
    writer.append(OUT, bytes(10))  # it fills the one that was open, and begins the next
    writer.sync()
    assert sorted(synced) == sorted(name for name in files(place) if int(name[:20]) >= 30)

    synced.clear()
    writer._drop(40)
    writer.close(Outcome(Reason.EXITED, 0))
    assert synced == []


def test_closed(place: FilePlace):
    """A log is closed when there is an outcome and nobody holds the lock."""
    log = place.log()
    assert not log.closed
    writer = place.writer()
    writer.set_outcome(Outcome(Reason.EXITED, 0))
    assert not log.closed
    writer.close(Outcome(Reason.EXITED, 0))
    assert log.closed


def test_watched_folders(place: FilePlace):
    """Another process may write, so a log in files says what to watch instead of calling."""
    log = place.log()

    assert log.subscribe(lambda: None) is None
    assert log.watch_paths() == [place.directory.path, place.directory.log_path]


def test_no_such_run(tmp_path: Path):
    """A folder that is not there cannot be read."""
    with pytest.raises(RunNotFound):
        FileLog(str(tmp_path / "none")).read(0)


def test_new_log_is_begun_at_the_first_byte(place: FilePlace):
    """A run without output has no segments, and is an empty log."""
    writer = FileLogWriter(RunFiles(place.directory.path))
    writer.append(OUT, b"")
    writer.close(Outcome(Reason.EXITED, 0))

    assert files(place) == {}
    assert read_all(place.log()) == []


def test_dropped_since_it_was_listed(place: FilePlace):
    """A segment that is listed, but gone before it is looked at, is a gap like any other."""
    writer = place.writer(segment_bytes=4)
    writer.append(OUT, b"abcdefghijkl")
    gone = Path(place.directory.log_path, "00000000000000000004")
    gone.unlink()
    gone.symlink_to("nowhere")

    log = FileLog(place.directory.path)
    assert read_all(log) == [(OUT, b"abcd"), (GAP, b""), (OUT, b"ijkl")]
    assert log.tail_offset == 12
