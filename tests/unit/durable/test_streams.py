"""Streams: what holds for every backend."""

import os
import time
from pathlib import Path

import pytest

from runcast.durable import FileStreams, MemoryStreams, Stream, Streams, check_name
from runcast.errors import (
    BadOffset,
    CapReached,
    ProducerFenced,
    ProducerGap,
    StreamConflict,
    StreamFull,
    StreamGone,
    StreamNotFound,
    UsageError,
)
from runcast.wire.durable import Appending, Creation, Producer

TEXT = Creation("text/plain")
PLAIN = Appending("text/plain")


@pytest.fixture(params=["memory", "files"])
def streams(request: pytest.FixtureRequest, tmp_path: Path) -> Streams:
    """Give an empty set of streams."""
    return MemoryStreams() if request.param == "memory" else FileStreams(str(tmp_path))


def content(stream: Stream) -> bytes:
    """Return all bytes of a stream."""
    log = stream.open_log()
    data, offset = b"", 0
    while (reading := log.read(offset, labelled=False)).next != offset:
        data += reading.chunks[0].data
        offset = reading.next
    log.close()
    return data


def by(number: int, *, epoch: int = 0, close: bool = False, seq: str | None = None) -> Appending:
    """Return what a producer asks for."""
    return Appending("text/plain", Producer("p", epoch, number), seq, close)


def test_append_and_read(streams: Streams):
    """What is appended is there in order, behind what the stream began with."""
    stream, made = streams.create("a/b", TEXT, b"one ")

    assert made
    assert stream.append(PLAIN, b"two ").tail == 8
    assert streams.get("a/b").append(PLAIN, b"three").tail == 13
    assert content(stream) == b"one two three"
    assert list(streams.names()) == ["a/b"]


def test_create_again(streams: Streams):
    """Making a stream again in the same way changes nothing; in another way it is refused."""
    streams.create("s", Creation("Text/Plain; charset=utf-8", ttl=60), b"kept")

    stream, made = streams.create("s", Creation("text/plain", ttl=60), b"not appended")
    assert not made
    assert content(stream) == b"kept"
    for other in (
        Creation("text/html", ttl=60),
        Creation("text/plain", ttl=61),
        Creation("text/plain"),
        Creation("text/plain", ttl=60, closed=True),
        Creation("text/plain", ttl=60, forked_from="s"),
    ):
        with pytest.raises(StreamConflict, match="exists, with another"):
            streams.create("s", other)


def test_closed(streams: Streams):
    """A closed stream takes nothing more; closing it again is no error."""
    stream, _ = streams.create("s", TEXT)
    log = stream.open_log()

    assert not log.closed
    assert stream.append(Appending("text/plain", close=True), b"end") == (3, True, None, False)
    assert log.closed
    assert stream.append(Appending(close=True), b"") == (3, True, None, False)
    with pytest.raises(StreamConflict, match="is closed") as caught:
        stream.append(PLAIN, b"more")
    assert (caught.value.closed, caught.value.tail) == (True, 3)
    assert content(stream) == b"end"
    log.close()


def test_other_type_is_refused(streams: Streams):
    """Bytes of another media type are not appended; parameters and case do not matter."""
    stream, _ = streams.create("s", TEXT)

    stream.append(Appending("TEXT/plain;charset=utf-8"), b"x")
    with pytest.raises(StreamConflict, match=r"expected text/plain, .* got 'text/html'"):
        stream.append(Appending("text/html"), b"y")
    assert content(stream) == b"x"


def test_producer_once(streams: Streams):
    """What a producer sends again is not appended again, and it learns how far it is."""
    stream, _ = streams.create("s", TEXT)

    assert not stream.append(by(0), b"a").duplicate
    assert not stream.append(by(1), b"b").duplicate
    again = stream.append(by(0), b"a")
    assert (again.duplicate, again.producer) == (True, Producer("p", 0, 1))
    with pytest.raises(ProducerGap) as gap:
        stream.append(by(3), b"d")
    assert (gap.value.expected, gap.value.received) == (2, 3)
    assert content(stream) == b"ab"


def test_producer_epochs(streams: Streams):
    """A later life of a producer shuts out the earlier one; each begins at 0."""
    stream, _ = streams.create("s", TEXT)
    stream.append(by(0), b"a")

    with pytest.raises(UsageError, match="Producer-Seq 0 in a new epoch, got 1"):
        stream.append(by(1, epoch=1), b"b")
    stream.append(by(0, epoch=1), b"b")
    with pytest.raises(ProducerFenced) as fenced:
        stream.append(by(1), b"zombie")
    assert fenced.value.epoch == 1
    assert content(stream) == b"ab"


def test_producer_close_once(streams: Streams):
    """A close that is sent again is known, another producer's is refused, and so is a zombie."""
    stream, _ = streams.create("s", TEXT)
    stream.append(by(0), b"a")
    stream.append(by(0, epoch=1, close=True), b"end")

    assert stream.append(by(0, epoch=1, close=True), b"other").duplicate
    with pytest.raises(ProducerFenced):
        stream.append(by(1), b"zombie")
    with pytest.raises(StreamConflict, match="is closed"):
        stream.append(Appending("text/plain", Producer("q", 0, 0), close=True), b"")
    assert content(stream) == b"aend"


def test_stream_seq(streams: Streams):
    """`Stream-Seq` only grows, as text; of a producer's duplicate it is not asked."""
    stream, _ = streams.create("s", TEXT)

    stream.append(by(0, seq="2"), b"a")
    for seq in ("2", "10", "1"):
        with pytest.raises(StreamConflict, match=f"more than '2', got '{seq}'"):
            stream.append(Appending("text/plain", seq=seq), b"b")
    assert stream.append(by(0, seq="2"), b"a").duplicate
    stream.append(Appending("text/plain", seq="20"), b"c")
    assert content(stream) == b"ac"


def test_fork(streams: Streams):
    """A fork has its parent's bytes up to where it leaves it, and goes on by itself."""
    parent, _ = streams.create("p", TEXT, b"0123456789")
    fork, _ = streams.create("f", Creation(forked_from="p", fork_offset="4", sub_offset=2), b"!")

    parent.append(PLAIN, b"ab")
    fork.append(PLAIN, b"xy")
    deeper, _ = streams.create("d", Creation(forked_from="f", fork_offset="0000_0008"))
    assert content(parent) == b"0123456789ab"
    assert content(fork) == b"012345!xy"
    assert content(deeper) == b"012345!x"
    assert deeper.media_type == "text/plain"


@pytest.mark.parametrize(
    "ask", [{"fork_offset": "11"}, {"fork_offset": "8", "sub_offset": 3}, {"sub_offset": 1}]
)
def test_fork_beyond_the_parent(streams: Streams, ask: dict[str, object]):
    """A fork cannot begin with what its parent does not have."""
    streams.create("p", TEXT, b"0123456789")

    with pytest.raises(UsageError, match="up to"):
        streams.create("f", Creation(forked_from="p", **ask))  # type: ignore[arg-type]
    with pytest.raises(StreamNotFound):
        streams.get("f")


def test_fork_of_messages(streams: Streams):
    """In JSON mode a fork counts messages, and does not begin within one."""
    streams.create("p", Creation("application/json"), b'{"a":1}\n{"b":2}\n{"c":3}\n')

    fork, _ = streams.create("f", Creation(forked_from="p", fork_offset="8", sub_offset=1))
    assert content(fork) == b'{"a":1}\n{"b":2}\n'
    with pytest.raises(BadOffset, match="5 is within a message"):
        streams.create("g", Creation(forked_from="p", fork_offset="5"))
    with pytest.raises(UsageError, match="up to 2"):
        streams.create("g", Creation(forked_from="p", fork_offset="8", sub_offset=3))


def test_fork_forgets_producers(streams: Streams):
    """Who appended to the parent is unknown to the fork."""
    parent, _ = streams.create("p", TEXT)
    parent.append(by(0), b"a")
    fork, _ = streams.create("f", Creation(forked_from="p"))

    assert not fork.append(by(0), b"b").duplicate
    assert content(fork) == b"ab"


def test_delete(streams: Streams):
    """A deleted stream is gone for good, and another one may have its name."""
    old, _ = streams.create("s", TEXT, b"old")
    streams.delete("s")

    with pytest.raises(StreamNotFound):
        streams.get("s")
    with pytest.raises(StreamNotFound):
        old.append(PLAIN, b"x")
    with pytest.raises(StreamNotFound):
        old.check_exists()
    new, made = streams.create("s", TEXT)
    assert made
    assert new.id != old.id
    assert content(new) == b""


def test_delete_with_forks(streams: Streams):
    """A deleted stream's name is taken while it has forks, forks of forks too; they keep its bytes."""
    streams.create("p", TEXT, b"bytes")
    streams.create("f", Creation(forked_from="p"))
    streams.create("g", Creation(forked_from="f"))
    streams.delete("p")
    streams.delete("f")

    for name in ("p", "f"):
        with pytest.raises(StreamGone):
            streams.get(name)
        with pytest.raises(StreamConflict, match="deleted"):
            streams.create(name, TEXT)
    with pytest.raises(StreamConflict, match="deleted"):
        streams.create("h", Creation(forked_from="p"))
    assert content(streams.get("g")) == b"bytes"
    streams.delete("g")
    for name in ("p", "f", "g"):
        with pytest.raises(StreamNotFound):
            streams.get(name)
        assert streams.create(name, TEXT)[1]


def test_refused_fork_leaves_its_parent_alone(streams: Streams):
    """A fork that could not be made does not keep its parent's name."""
    streams.create("p", TEXT, b"bytes")
    with pytest.raises(StreamConflict):
        streams.create("f", Creation("text/html", forked_from="p"))
    with pytest.raises(UsageError):
        streams.create("f", Creation(forked_from="p", fork_offset="99"))
    streams.delete("p")

    with pytest.raises(StreamNotFound):
        streams.get("p")


def test_expiry(streams: Streams):
    """A stream whose time is over is not there any more; a fork has its parent's time unless told."""
    past = "2001-02-03T04:05:06Z"
    streams.create("p", Creation("text/plain", ttl=3600))
    streams.create("old", Creation("text/plain", expires_at=past))
    fork, _ = streams.create("f", Creation(forked_from="p"))
    own, _ = streams.create("o", Creation(forked_from="p", expires_at="2999-01-01T00:00:00+01:00"))

    with pytest.raises(StreamNotFound):
        streams.get("old")
    assert fork.settings.ttl == 3600
    assert (own.settings.ttl, own.settings.expires_at) == (None, "2999-01-01T00:00:00+01:00")
    assert streams.create("old", TEXT)[1]


def test_reading_keeps_alive(streams: Streams, tmp_path: Path):
    """A lifetime is counted from the last use."""
    stream, _ = streams.create("s", Creation("text/plain", ttl=1000))
    age(streams, stream, tmp_path, 999)
    assert not stream.expired
    stream.touch()
    assert time.time() - stream.used_at < 100
    age(streams, stream, tmp_path, 1001)
    assert stream.expired
    with pytest.raises(StreamNotFound):
        streams.get("s")


def age(streams: Streams, stream: Stream, folder: Path, seconds: float) -> None:
    """Have a stream not used for so long."""
    then = time.time() - seconds
    if isinstance(streams, FileStreams):
        os.utime(folder / ".streams" / stream.id / "append" / "tail", (then, then))
    else:
        stream._used_at = then  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["a", "a b", "é/ü", "...", "a..b", ".a", "x" * 1024])
def test_good_name(name: str):
    """A name may be any text with parts."""
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["", "..", "a/../b", "a//b", "/a", "a/", ".", "a\0b", "a\nb", "\x85", "x" * 1025, "é" * 513, "\ud800"],
)
def test_bad_name(name: str):
    """What could lead elsewhere, or be no text, is no name."""
    with pytest.raises(UsageError, match=r"name of a stream|expected a name"):
        check_name(name)


def test_wait_only_if_asked(streams: Streams):
    """Who must not block is told that somebody else appends."""
    from runcast.durable import Busy

    stream, _ = streams.create("s", TEXT)
    with stream.locked(), pytest.raises(Busy):
        stream.append(PLAIN, b"x", wait=False)
    assert stream.append(PLAIN, b"x", wait=False).tail == 1


def test_nothing_is_kept_of_what_comes_again(streams: Streams):
    """An append that must not wait for a measurement keeps nothing, so that it can be made again."""
    from runcast.durable import Busy

    streams.caps.total = 1000
    stream, _ = streams.create("s", TEXT)
    ask = Appending("text/plain", producer=Producer("p", 0, 0))
    with pytest.raises(Busy):
        stream.append(ask, b"x", wait=False)
    assert stream.append(ask, b"x").tail == 1
    again = ask._replace(producer=Producer("p", 0, 1))
    assert stream.append(again, b"y", wait=False).tail == 2


def test_cap(streams: Streams):
    """An append beyond the cap is refused whole: what is there stays, the number of its producer is free."""
    streams.caps.stream = 10
    stream, _ = streams.create("s", TEXT, b"12345")
    with pytest.raises(CapReached) as caught:
        stream.append(by(0), b"6789ab")

    assert (caught.value.tail, content(stream)) == (5, b"12345")
    assert stream.append(by(0), b"67890").tail == 10
    assert stream.append(by(0), b"67890").duplicate
    with pytest.raises(CapReached):
        stream.append(PLAIN, b"x")
    assert stream.append(Appending(close=True), b"").closed


def test_cap_of_what_a_stream_begins_with(streams: Streams):
    """A stream that would begin with more than it may have is not made."""
    streams.caps.stream = 10
    with pytest.raises(CapReached) as caught:
        streams.create("s", TEXT, b"x" * 11)

    assert caught.value.tail == 0
    assert list(streams.names()) == []


def test_cap_of_a_fork(streams: Streams):
    """A fork has its own bytes to fill, however many it has of its parent."""
    streams.caps.stream = 10
    streams.create("p", TEXT, b"x" * 10)
    fork, _ = streams.create("f", Creation(forked_from="p", fork_offset="4", sub_offset=2), b"12345")
    with pytest.raises(CapReached):
        fork.append(PLAIN, b"6789ab")

    assert streams.get("f").append(PLAIN, b"67890").tail == 16


def test_cap_of_messages(streams: Streams):
    """In JSON mode the bytes of the messages count."""
    streams.caps.stream = 8
    streams.create("p", Creation("application/json"), b"[1]\n[2]\n")
    fork, _ = streams.create("f", Creation(forked_from="p", fork_offset="0", sub_offset=1))

    assert fork.append(Appending("application/json"), b"[3]\n[4]\n").tail == 12
    with pytest.raises(CapReached):
        fork.append(Appending("application/json"), b"5\n")


def test_cap_of_all(streams: Streams):
    """Streams that have enough together take no more, until one of them is deleted."""
    streams.create("a", TEXT, b"x" * 600)
    stream, _ = streams.create("b", TEXT)
    streams.caps.total = 1000
    stream.append(PLAIN, b"y" * 100)
    with pytest.raises(StreamFull):
        stream.append(PLAIN, b"y" * 400)
    with pytest.raises(StreamFull):
        streams.create("c", TEXT, b"z" * 400)
    streams.delete("a")

    assert stream.append(PLAIN, b"y" * 400).tail == 500
    assert list(streams.names()) == ["b"]
