"""Streams of every released format can be read, and appended to, as on the day when they were made (R22)."""

import shutil
from pathlib import Path

import pytest

from runcast.durable import FileStreams, Stream
from runcast.errors import ProducerGap, StreamConflict, StreamGone
from runcast.wire.durable import Appending, Producer

CONTENT = {
    "builds/42": b"one\nx\nx\nx\n",
    "chat": b'{"a":1}\n[2]\n3\n',
    "fork": b'{"a":1}\n[2]\n',
    "heir": b"kept by its fork",
    "torn": b"whole too",
}


@pytest.fixture(params=["streams-1"])
def streams(request: pytest.FixtureRequest, tmp_path: Path) -> FileStreams:
    """Give a copy of the streams of one format."""
    copy = tmp_path / ".streams"
    shutil.copytree(Path(__file__).parent / request.param, copy, symlinks=True)
    for stream in copy.iterdir():
        if stream.name != "names":
            (stream / "log").mkdir(exist_ok=True)
    return FileStreams(str(tmp_path))


def content(stream: Stream) -> bytes:
    """Return all bytes of a stream."""
    log, data = stream.open_log(), b""
    while (reading := log.read(len(data), labelled=False)).next != len(data):
        data += reading.chunks[0].data
    log.close()
    return data


@pytest.mark.parametrize("name", CONTENT)
def test_read(streams: FileStreams, name: str):
    """Every stream says what it said."""
    assert content(streams.get(name)) == CONTENT[name]


def test_settings(streams: FileStreams):
    """What they were made with is known."""
    plain, fork = streams.get("builds/42"), streams.get("fork")

    assert (plain.settings.content_type, plain.settings.ttl) == ("text/plain; charset=utf-8", 10**9)
    assert (fork.settings.forked_from, fork.settings.fork_offset, fork.settings.sub_offset) == ("chat", 8, 1)
    assert fork.json


def test_producers(streams: FileStreams):
    """Who appended is known, and may go on where it was."""
    plain = streams.get("builds/42")

    assert plain.append(Appending("text/plain", Producer("p", 1, 2), "2"), b"x\n").duplicate
    with pytest.raises(ProducerGap):
        plain.append(Appending("text/plain", Producer("p", 1, 4)), b"x\n")
    with pytest.raises(StreamConflict, match="more than '2'"):
        plain.append(Appending("text/plain", seq="2"), b"x\n")
    plain.append(Appending("text/plain", Producer("p", 1, 3)), b"y\n")
    assert content(plain) == CONTENT["builds/42"] + b"y\n"


def test_closed(streams: FileStreams):
    """A closed stream is closed, and the close is known as its producer's."""
    chat = streams.get("chat")

    assert chat.open_log().closed
    assert chat.append(Appending("application/json", Producer("é", 0, 0), close=True), b"[2]\n3\n").duplicate


def test_gone(streams: FileStreams):
    """A deleted stream with a fork is gone, until the fork is, too."""
    with pytest.raises(StreamGone):
        streams.get("gone")
    streams.delete("heir")
    assert not [name for name in streams.names() if name in ("gone", "heir")]


def test_torn(streams: FileStreams):
    """An append that was cut is replaced by the next one."""
    torn = streams.get("torn")
    torn.append(Appending("text/plain"), b" now")

    assert content(torn) == b"whole too now"
