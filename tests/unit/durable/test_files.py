"""Streams in files: several that append, and what a killed one leaves behind."""

import os
import resource
from pathlib import Path

import pytest

from runcast.durable import FileStreams
from runcast.durable.pending import Pending, PendingFile
from runcast.durable.stream_log import StreamLog
from runcast.errors import FormatTooNew, SegmentAway, StoreUnusable, StreamFull, StreamNotFound
from runcast.log.eviction import mark_away
from runcast.model import Channel
from runcast.store.run_files import RunFiles
from runcast.wire.durable import Appending, Creation, Producer
from tests.helpers.descriptors import open_in
from tests.helpers.wait import wait_until

TEXT = Creation("text/plain")
PLAIN = Appending("text/plain")
ZEROS = "0" * 20


def folder(tmp_path: Path) -> Path:
    """Return the folder of the one stream there is."""
    (found,) = (path for path in (tmp_path / ".streams").iterdir() if len(path.name) == 26)
    return found


def content(path: Path) -> bytes:
    """Return what a reader sees."""
    log = StreamLog(str(path))
    tail = log.tail_offset
    data = b""
    while len(data) < tail:
        data += log.read(len(data), labelled=False).chunks[0].data
    assert len(data) == tail
    log.close()
    return data


def test_two_that_append(tmp_path: Path):
    """Two that know nothing of each other append in turns, to one segment, and know all producers."""
    one, two = FileStreams(str(tmp_path)), FileStreams(str(tmp_path))
    one.create("s", TEXT)
    for number in range(4):
        ask = Appending("text/plain", Producer("p", 0, number))
        one.get("s").append(ask, b"1")
        assert two.get("s").append(ask, b"1").duplicate
        two.get("s").append(PLAIN, b"2")

    path = folder(tmp_path)
    assert content(path) == b"12" * 4
    assert sorted(os.listdir(path / "log")) == [ZEROS, f"{ZEROS}.index"]


@pytest.mark.parametrize("name", ["\u202e", "\u2028", "\xa0", "\ue000", "a b", "\U0010ffff"])
def test_unusual_names(tmp_path: Path, name: str):
    """Whatever name a stream may be made with, the next process finds it by that."""
    FileStreams(str(tmp_path)).create(name, TEXT, b"x")

    assert FileStreams(str(tmp_path)).get(name).settings.name == name


@pytest.mark.parametrize("written", [1, 4])
def test_cut_append_is_taken_away(tmp_path: Path, written: int):
    """Of an append that was cut nobody ever sees a part, and the next one takes its place."""
    streams = FileStreams(str(tmp_path))
    stream, _ = streams.create("s", TEXT, b"whole")
    stream.append(PLAIN, b" and")
    path = folder(tmp_path)
    tail = PendingFile(str(path / "append" / "tail"))
    tail.write(Pending(7, 9, 14))
    with (path / "log" / ZEROS).open("ab") as file:
        file.write(b"never"[:written])
    tail.close()

    assert content(path) == b"whole and"
    assert stream.append(PLAIN, b" more").tail == 14
    assert content(path) == b"whole and more"


def test_append_that_was_all_written_counts(tmp_path: Path):
    """An append that was killed behind its last byte is there, and sent again it is a duplicate."""
    streams = FileStreams(str(tmp_path))
    stream, _ = streams.create("s", TEXT)
    ask = Appending("text/plain", Producer("p", 0, 0))
    stream.append(ask, b"all")

    other = FileStreams(str(tmp_path)).get("s")
    assert other.append(ask, b"all").duplicate
    assert content(folder(tmp_path)) == b"all"


def test_close_that_was_cut_is_made(tmp_path: Path):
    """A close that got no further than the journal is made by whoever appends next."""
    stream, _ = FileStreams(str(tmp_path)).create("s", TEXT)
    ask = Appending("text/plain", Producer("p", 0, 0), close=True)
    stream.append(ask, b"end")
    path = folder(tmp_path)
    os.unlink(path / "outcome.json")

    assert not StreamLog(str(path)).closed
    again = FileStreams(str(tmp_path)).get("s").append(ask, b"end")
    assert (again.duplicate, again.closed) == (True, True)
    assert StreamLog(str(path)).closed


def test_no_room(tmp_path: Path):
    """An append for which there is no room leaves nothing, and the next one has the same number."""
    stream, _ = FileStreams(str(tmp_path)).create("s", TEXT, b"kept")
    ask = Appending("text/plain", Producer("p", 0, 0))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))  # of any file of this process
    try:
        with pytest.raises(StreamFull) as caught:
            stream.append(ask, b"x" * 8192)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    assert caught.value.tail == 4
    assert content(folder(tmp_path)) == b"kept"
    assert not stream.append(ask, b" it").duplicate
    assert content(folder(tmp_path)) == b"kept it"


def test_no_room_for_another_stream(tmp_path: Path):
    """A stream for which there is no room leaves neither files nor descriptors."""
    streams = FileStreams(str(tmp_path))
    streams.create("s", TEXT)
    before, there = open_in(tmp_path), sorted(os.listdir(streams.path))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(StreamFull):
            streams.create("t", TEXT, b"x" * 8192)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    assert open_in(tmp_path) == before
    assert sorted(os.listdir(streams.path)) == there


@pytest.mark.parametrize("index_too", [True, False])
def test_bytes_that_were_lost_with_the_power(tmp_path: Path, index_too: bool):
    """Where the disk kept the place of an append but not its bytes, what is there is read, and goes on."""
    streams = FileStreams(str(tmp_path))
    stream, _ = streams.create("s", TEXT, b"one\ntwo\n")
    stream.append(PLAIN, b"lost\n" * 20_000)  # so much that the index tells of it
    stream.append(PLAIN, b"lost\n")
    streams.close()
    path = folder(tmp_path)
    os.truncate(path / "log" / ZEROS, 6)
    if index_too:
        os.truncate(path / "log" / f"{ZEROS}.index", 64)

    log = StreamLog(str(path))
    assert (log.tail_offset, content(path)) == (6, b"one\ntw")
    assert FileStreams(str(tmp_path)).get("s").append(PLAIN, b"ice as much\n").tail == 18
    assert content(path) == b"one\ntwice as much\n"
    assert [log.lines_before(at) for at in (18, 12, 4)] == [2, 1, 1]
    assert {chunk.channel for at in (0, 6) for chunk in log.read(at).chunks} == {Channel.STDOUT}
    log.close()


def test_synced_though_not_held_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What many streams begin with or were given is synced in each, though only some of them stay open."""
    synced: list[str] = []
    sync = os.fdatasync

    def note(fd: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{fd}"))
        sync(fd)

    monkeypatch.setattr("runcast.log.segments._fdatasync", note)
    streams = FileStreams(str(tmp_path))
    paths = []
    for number in range(100):
        stream, _ = streams.create(f"s{number}", TEXT, b"x" * (number % 2))
        if not number % 2:
            stream.append(PLAIN, b"x")
        paths.append(stream.path)
    streams.close()

    # Some of them in the thread that syncs once a second, if it has begun to by then.
    wait_until(lambda: all(f"{path}/log/{ZEROS}" in synced for path in paths), what="all syncs")


def test_fork_shares_bytes(tmp_path: Path):
    """A fork copies nothing: its segments are its parent's, and stay when the parent goes."""
    streams = FileStreams(str(tmp_path))
    streams.create("p", TEXT, b"x" * 1000)
    fork, _ = streams.create("f", Creation(forked_from="p", fork_offset="500"))

    shared = tmp_path / ".streams" / fork.id / "log" / ZEROS
    assert shared.stat().st_nlink == 2
    streams.delete("p")
    assert content(tmp_path / ".streams" / fork.id) == b"x" * 500


def test_fork_of_bytes_that_are_away(tmp_path: Path):
    """A fork whose bytes are not all on this disk is refused: without them it would have a hole."""
    streams = FileStreams(str(tmp_path))
    parent, _ = streams.create("p", TEXT, b"x" * 1000)
    directory = RunFiles(str(tmp_path / ".streams" / parent.id))
    mark_away(directory, 0, 1000, 0)
    os.unlink(f"{directory.log_path}/{ZEROS}")

    with pytest.raises(SegmentAway, match="expected bytes 0 to 1000"):
        streams.create("f", Creation(forked_from="p", fork_offset="500"))


def test_many_streams_few_descriptors(tmp_path: Path):
    """However many streams are appended to, only some stay open."""
    streams = FileStreams(str(tmp_path))
    before = open_in(tmp_path)
    for number in range(100):
        stream, _ = streams.create(f"s{number}", TEXT)
        stream.append(Appending("text/plain", Producer("p", 0, 0)), b"x")

    assert open_in(tmp_path) - before < 70 * 4
    streams.close()
    assert open_in(tmp_path) <= before


def test_labels(tmp_path: Path):
    """Text is of channel stdout and JSON of channel data, with times, as in any log."""
    streams = FileStreams(str(tmp_path))
    for kind, channel in (("text/plain", Channel.STDOUT), ("application/json", Channel.DATA)):
        stream, _ = streams.create(kind, Creation(kind), b"[1]\n")
        (chunk,) = stream.open_log().read(0).chunks
        assert chunk.channel is channel
        assert chunk.time > 0


def test_sweep(tmp_path: Path):
    """A sweep deletes what has expired and what was never finished, and nothing else."""
    streams = FileStreams(str(tmp_path))
    streams.create("stays", TEXT)
    streams.create("old", Creation("text/plain", expires_at="2001-01-01T00:00:00Z"))
    left = tmp_path / ".streams" / ".new-01m7y1dx62qjtfpd408wqk6a1g"
    left.mkdir()
    os.utime(left, (1, 1))
    streams.sweep()

    assert not left.exists()
    assert list(streams.names()) == ["stays"]
    assert len([name for name in os.listdir(tmp_path / ".streams") if len(name) == 26]) == 1


def test_format_of_a_later_version(tmp_path: Path):
    """A stream whose files are of a later format is not touched."""
    streams = FileStreams(str(tmp_path))
    streams.create("s", TEXT)
    path = folder(tmp_path) / "append" / "tail"
    data = bytearray(path.read_bytes())
    data[8] = 2
    path.write_bytes(data)

    with pytest.raises(FormatTooNew, match="upgrade runcast"):
        streams.get("s").append(PLAIN, b"x")


def test_damaged_tail(tmp_path: Path):
    """A damaged record of the last append raises an error: which appends are complete is unknown."""
    streams = FileStreams(str(tmp_path))
    stream, _ = streams.create("s", TEXT, b"x")
    path = folder(tmp_path) / "append" / "tail"
    data = bytearray(path.read_bytes())
    data[20] ^= 1
    path.write_bytes(data)

    with pytest.raises(StoreUnusable, match="tail: expected the range of the last append"):
        stream.open_log().read(0)


def test_list(tmp_path: Path):
    """Streams are listed newest first, also to another process; what is gone or over is not."""
    streams = FileStreams(str(tmp_path))
    made = [streams.create(name, TEXT)[0].id for name in ("a", "b", "parent")]
    streams.create("old", Creation("text/plain", expires_at="2001-01-01T00:00:00Z"))
    made.append(streams.create("fork", Creation(forked_from="parent"))[0].id)
    streams.delete("parent")
    (tmp_path / ".streams" / "01m7y1dx62qjtfpd408wqk6a1g").mkdir()

    other = FileStreams(str(tmp_path))
    assert [stream.id for stream in other.list()] == [made[3], made[1], made[0]]
    assert [stream.id for stream in other.list(before=made[1])] == [made[0]]
    assert [stream.settings.name for stream in other.list()] == ["fork", "b", "a"]


def test_list_holds_nothing_open(tmp_path: Path):
    """To list streams leaves those alone that are appended to: none of them is closed for it."""
    streams = FileStreams(str(tmp_path))
    first, _ = streams.create("first", TEXT)
    for number in range(100):
        streams.create(f"s{number}", TEXT)
    stream = streams.get("first")
    stream.append(PLAIN, b"x")
    before = open_in(tmp_path)
    listed = list(streams.list())

    assert listed[-1].id == first.id
    assert streams.get("first") is stream
    assert open_in(tmp_path) == before


def test_list_reads_what_is_asked_for(tmp_path: Path):
    """Of the streams behind those that are asked for nothing is read."""
    streams = FileStreams(str(tmp_path))
    oldest, _ = streams.create("oldest", TEXT)
    newest, _ = streams.create("newest", TEXT)
    (tmp_path / ".streams" / oldest.id / "run.json").unlink()

    assert next(streams.list()).id == newest.id
    assert [stream.id for stream in streams.list()] == [newest.id]


def test_no_streams(tmp_path: Path):
    """A folder without streams has none to list, and none is made."""
    streams = FileStreams(str(tmp_path))

    assert list(streams.list()) == []
    assert streams.by_id("01m7y1dx62qjtfpd408wqk6a1g") is None
    assert os.listdir(tmp_path) == []


def test_delete_by_id(tmp_path: Path):
    """An id names one stream for ever: another one of the same name is not deleted by it."""
    streams = FileStreams(str(tmp_path))
    old, _ = streams.create("s", TEXT)
    streams.delete("s")
    new, _ = streams.create("s", TEXT)
    with pytest.raises(StreamNotFound):
        streams.delete_id(old.id)
    assert list(streams.names()) == ["s"]
    streams.delete_id(new.id)

    assert list(streams.names()) == []
    assert not (tmp_path / ".streams" / new.id).exists()


def test_shared_bytes_count_once(tmp_path: Path):
    """What a fork has of its parent takes no room, so it does not count towards what all may have."""
    streams = FileStreams(str(tmp_path))
    streams.create("p", TEXT, b"x" * 10_000)
    for number in range(5):
        streams.create(f"f{number}", Creation(forked_from="p"))
    streams.caps.total = 20_000
    stream = streams.get("f0")
    stream.append(PLAIN, b"y" * 9000)

    with pytest.raises(StreamFull):
        stream.append(PLAIN, b"y" * 1100)


@pytest.mark.parametrize("data", [b"", b"x"], ids=["empty", "written"])
def test_reading_what_was_deleted(tmp_path: Path, data: bytes):
    """Whoever still has the log of a stream that was deleted is told, and does not look for ever."""
    streams = FileStreams(str(tmp_path))
    streams.create("s", TEXT, data)
    log = StreamLog(str(folder(tmp_path)))
    assert log.tail_offset == len(data)
    streams.delete("s")

    with pytest.raises(StreamNotFound):
        log.read(log.tail_offset)
    log.close()
