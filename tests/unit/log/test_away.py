"""Segments that are the log's and not on this disk: what needs no bytes works, what does waits or says so."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from runcast.errors import FileDamaged, MirrorBehind, OffsetBeyondTail, SegmentAway
from runcast.log import FileLog, FileLogWriter
from runcast.log.eviction import evict, mark_away, restore
from runcast.log.segments import segment_name, segment_starts
from runcast.model import Channel, Outcome, Reason
from runcast.store.contents import AGENT
from runcast.store.run_files import RunFiles, outcome_bytes
from tests.helpers.away import make_run, take

OUT, ERR = Channel.STDOUT, Channel.STDERR
APPENDS = [(ERR if n % 7 == 0 else OUT, b"line %d\n" % n) for n in range(300)]
TEXT = b"".join(data for _, data in APPENDS)


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """Where the bytes go that are taken away."""
    return tmp_path / "shelf"


@pytest.fixture
def run(tmp_path: Path) -> str:
    """A run that has ended, in segments of 256 bytes."""
    return make_run(tmp_path, APPENDS, 256)


def names(path: str, run: str) -> list[str]:
    """Return the names of the files of one segment."""
    return sorted(name for name in os.listdir(f"{run}/log") if name.startswith(path))


def test_index_answers_without_bytes(run: str, shelf: Path):
    """Sizes, line counts, times and the place of a line at a record are known without one byte here."""
    whole = FileLog(run)
    lines = {offset: whole.lines_before(offset) for offset in segment_starts(f"{run}/log")}
    times = [whole.read(offset).chunks[0].time for offset in lines]
    tail, before = whole.tail_offset, [whole.offset_of_time(time) for time in times]
    whole.close()

    assert take(run, shelf) == list(lines)
    log = FileLog(run)

    assert (log.tail_offset, log.lines) == (tail, 300)
    assert {offset: log.lines_before(offset) for offset in lines} == lines
    assert [log.offset_of_time(time) for time in times] == before
    assert log.closed
    log.check_offset(0, tail)


def test_bytes_are_missed(run: str, shelf: Path):
    """A read of what is away says which bytes it lacks; a filtered read gives what comes before them."""
    second, third = segment_starts(f"{run}/log")[1:3]
    take(run, shelf, lambda start: start == 0)
    log = FileLog(run)

    for offset in (second, third - 1):
        with pytest.raises(
            SegmentAway, match=f"bytes {second} to {third} of run {os.path.basename(run)}"
        ) as it:
            log.read(offset)
        assert (it.value.start, it.value.end) == (second, third)
    assert log.away(0) is None
    assert (log.away(second) or it.value).start == second
    reading = log.read(0, 10_000, [OUT, ERR])
    assert b"".join(chunk.data for chunk in reading.chunks) == TEXT[:second]
    assert reading.next == second


def test_filter_needs_no_bytes_of_others(tmp_path: Path, shelf: Path):
    """Segments of other channels are passed over by their index alone."""
    run = make_run(tmp_path, [(OUT, b"x" * 256), (OUT, b"y" * 256), (ERR, b"end\n")], 256)
    take(run, shelf, lambda start: start == 512)

    [chunk] = FileLog(run).read(0, channels=[ERR]).chunks
    assert chunk.data == b"end\n"


def test_lines_of_a_channel(run: str, shelf: Path):
    """The lines of one channel are counted without the ends of segments that are away."""
    log = FileLog(run)
    tail, expected = log.tail_offset, log.lines_of(ERR, log.tail_offset)
    log.close()
    take(run, shelf)

    assert expected == 43
    assert FileLog(run).lines_of(ERR, tail) == expected


def test_files(run: str, shelf: Path):
    """Away, a segment has its index and a mark; brought back, it is as before."""
    name = segment_name(0)
    take(run, shelf)
    assert names(name, run) == [f"{name}.away", f"{name}.index"]
    assert Path(run, "log", f"{name}.away").read_text() == '{"bytes": 256, "lines": 33}'
    assert Path(run, "log", f"{name}.away").stat().st_mode & 0o777 == 0o600

    draft = shelf / "draft"
    draft.write_bytes(TEXT[:255])
    draft.chmod(0o600)
    with pytest.raises(FileDamaged, match=r"expected the 256 bytes of .*, got 255"):
        restore(RunFiles(run), 0, str(draft))
    draft.write_bytes(TEXT[:256])
    assert restore(RunFiles(run), 0, str(draft))
    assert names(name, run) == [name, f"{name}.index"]
    assert FileLog(run).read(0, 256, labelled=False).chunks[0].data == TEXT[:256]
    assert restore(RunFiles(run), 0, str(draft))  # it is here


def test_what_is_not_evicted(tmp_path: Path, run: str):
    """The segment that grows stays, and so do an empty one, one without an index, and what is none."""
    directory = RunFiles.create(str(tmp_path / "live"), {"name": "live"})
    assert directory.acquire()
    writer = FileLogWriter(directory, segment_bytes=8)
    writer.append(OUT, b"12345678abc")

    assert not evict(directory, 8)
    assert not evict(directory, 16)
    assert evict(directory, 0)
    assert evict(directory, 0)
    os.unlink(f"{run}/log/{segment_name(0)}.index")
    assert not evict(RunFiles(run), 0)
    assert FileLog(run).read(0, 1, labelled=False).chunks[0].data == b"l"


def test_open_reader_goes_on(run: str, shelf: Path):
    """A reader that has a segment open when its bytes go reads on."""
    log = FileLog(run)
    assert log.read(0, 1, labelled=False).chunks[0].data == TEXT[:1]
    take(run, shelf)

    assert log.read(1, 255, labelled=False).chunks[0].data == TEXT[1:256]
    with pytest.raises(SegmentAway):
        log.read(256)


def test_dropped_while_away(tmp_path: Path, shelf: Path):
    """What the cap drops while it is away is a gap like any other, and cannot be brought back."""
    directory = RunFiles.create(str(tmp_path / "capped"), {"name": "capped"})
    assert directory.acquire()
    writer = FileLogWriter(directory, cap_bytes=16384)
    for _ in range(20):
        writer.append(OUT, b"x" * 1024)
    away = take(directory.path, shelf)
    for _ in range(30):
        writer.append(OUT, b"y" * 1024)

    gone = sorted(set(away) - set(segment_starts(directory.log_path)))
    assert gone
    for start in gone:
        assert not restore(directory, start, str(shelf / directory.id / str(start)))
        assert names(segment_name(start), directory.path) == []
        assert FileLog(directory.path).read(start).chunks[0].channel is Channel.GAP


@pytest.mark.parametrize("gone", [1, 2, 3])
def test_dropped_while_evicted_or_restored(run: str, shelf: Path, gone: int, monkeypatch: pytest.MonkeyPatch):
    """A segment that the cap drops between any two steps of the agent leaves nothing behind."""
    directory, start = RunFiles(run), segment_starts(f"{run}/log")[1]
    path = f"{run}/log/{segment_name(start)}"

    def drop(*_: object) -> None:
        for name in (f"{path}.away", path, f"{path}.index")[:gone]:
            Path(name).unlink(missing_ok=True)

    def finish() -> list[str]:
        for name in (f"{path}.away", path, f"{path}.index"):
            Path(name).unlink(missing_ok=True)
        return names(segment_name(start), run)

    monkeypatch.setattr("runcast.log.eviction.sync_folder", drop)
    take(run, shelf)
    assert not restore(directory, start, str(shelf / directory.id / str(start)))
    assert finish() == []


def test_writer_goes_on_behind(tmp_path: Path, shelf: Path):
    """A log whose last segment is away is continued in a new one, also by who would go on in the last."""
    run = make_run(tmp_path, APPENDS, 256)
    os.unlink(f"{run}/outcome.json")
    Path(run, "outcome.json").write_text('{"reason": "exited", "code": 0}')
    away = take(run, shelf)
    directory = RunFiles(run)
    assert directory.acquire()
    writer = FileLogWriter(directory, go_on=True)
    assert (writer.tail, writer.lines) == (len(TEXT), 300)
    writer.append(OUT, b"more\n")

    assert segment_starts(directory.log_path) == [*away, len(TEXT)]
    assert FileLog(run).lines == 301


DAMAGED = (
    *(
        "",
        "[]",
        "{}",
        "no JSON",
        '{"bytes": 256}',
        '{"bytes": -1, "lines": 0}',
        '{"bytes": true, "lines": 0}',
    ),
    *('{"bytes": "256", "lines": 33}', '{"bytes": 1e400, "lines": 0}', '{"bytes": 9223372036854775808}'),
)


def test_a_mark_alone_is_nothing(run: str):
    """A mark without an index is no segment."""
    mark_away(RunFiles(run), 10**6, 10, 0)

    assert FileLog(run).tail_offset == len(TEXT)


@pytest.mark.parametrize("mark", DAMAGED)
def test_damaged_mark(run: str, shelf: Path, mark: str):
    """A segment with a damaged mark is a gap; the last one is said to be damaged. Neither hides the rest."""
    first, second = segment_starts(f"{run}/log")[:2]
    last = take(run, shelf)[-1]
    Path(run, "log", f"{segment_name(first)}.away").write_text(mark)

    [gap] = FileLog(run).read(first).chunks
    assert (gap.channel, gap.next) == (Channel.GAP, second)
    Path(run, "log", f"{segment_name(last)}.away").write_text(mark)
    with pytest.raises(FileDamaged, match=f"{last}.away: expected"):
        FileLog(run).read(first)


def test_mark_that_is_no_file(run: str, shelf: Path, tmp_path: Path):
    """A mark that is a link, whatever it leads to, is followed by nobody."""
    first, second = segment_starts(f"{run}/log")[:2]
    take(run, shelf)
    mark = Path(run, "log", f"{segment_name(first)}.away")
    mark.rename(tmp_path / "outside")
    mark.symlink_to(tmp_path / "outside")

    assert FileLog(run).read(first).next == second


def test_here_costs_nothing(run: str, monkeypatch: pytest.MonkeyPatch):
    """To ask whether anything is away of a log that is all here looks at no file."""
    log = FileLog(run)
    assert log.tail_offset == len(TEXT)

    def none(*_: object) -> Iterator[object]:
        raise AssertionError("expected no look at a file")

    for name in ("open", "stat", "fstat", "lstat", "listdir", "pread"):
        monkeypatch.setattr(os, name, none)
    assert log.away(0) is None
    monkeypatch.undo()


def test_closed_by_hand(tmp_path: Path):
    """The last segment of a log can go once the log is closed, not before."""
    directory = RunFiles.create(str(tmp_path / "one"), {"name": "one"})
    assert directory.acquire()
    writer = FileLogWriter(directory)
    writer.append(OUT, b"words\n")
    assert not evict(directory, 0)
    writer.close(Outcome(Reason.EXITED, 0))

    assert evict(directory, 0)
    assert FileLog(directory.path).lines == 1


def test_ahead_of_a_mirror(tmp_path: Path):
    """An offset past what is known of another host's run is one that may come, until all of it is here."""
    files = RunFiles.create_mirror(str(tmp_path / ("0" * 26)), b"{}", "a")
    lock = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
    files.own(AGENT, lock)
    log = FileLog(files.path)

    assert log.away(0) is None
    for offset in (1, 2**60):
        with pytest.raises(MirrorBehind, match=f"up to 0, got {offset}: run {files.id} is on another host"):
            log.check_offset(offset)
        away = log.away(offset)
        assert isinstance(away, MirrorBehind)
        assert (away.start, away.tail) == (offset, 0)

    files.copy_outcome(outcome_bytes(Outcome(Reason.EXITED, code=0)))
    files.release()
    os.close(lock)
    with pytest.raises(OffsetBeyondTail):
        log.check_offset(1)
    assert log.away(1) is None
