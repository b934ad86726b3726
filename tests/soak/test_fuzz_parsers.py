"""Parsers fed with what nobody writes on purpose: each answers, or refuses with an error of ours.

The inputs are rubbish, and good ones with some of it cut, doubled, flipped or put elsewhere, for few
random texts get past the first check of a parser. The number of examples bounds the time.
"""

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zlib import crc32

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runcast.durable.journal import Journal, pack
from runcast.durable.journal import unpack as unpack_journal
from runcast.durable.pending import PendingFile
from runcast.durable.stream import Settings
from runcast.errors import RuncastError
from runcast.json_objects import parse_object
from runcast.log.records import check_header, header, unpack
from runcast.log.records import pack as pack_record
from runcast.model import Channel, Outcome
from runcast.offsets import parse_offset
from runcast.server.config import load_config
from runcast.store.contents import outcome_in, progress_in, request_in, state_of
from runcast.web.http.messages import Request
from runcast.wire import Query, negotiate, parse_event_id, parse_signal, parse_stop
from runcast.wire.client_messages import parse_client_message
from runcast.wire.durable import (
    Appending,
    Producer,
    parse_appending,
    parse_creation,
    parse_position,
    parse_reading,
)
from runcast.wire.durable_json import messages
from tests.helpers.soak import share

EXAMPLES = share(2000, least=20)  # of each parser: some ten seconds
RUN = "01jzzzzzzzzzzzzzzzzzzzzzz1"

fuzzed = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@st.composite
def spoilt(draw: st.DrawFn, *good: bytes) -> bytes:
    """Give one of the good inputs with some of it changed, or rubbish."""
    data = bytearray(draw(st.sampled_from(good) | st.binary(max_size=200)))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(data)))
        end = min(at + draw(st.integers(0, 12)), len(data))
        match draw(st.sampled_from(("cut", "double", "flip", "put", "end"))):
            case "cut":
                del data[at:end]
            case "double":
                data[at:at] = data[at:end]
            case "flip":
                data[at:end] = bytes(byte ^ 1 << draw(st.integers(0, 7)) for byte in data[at:end])
            case "put":
                data[at:at] = draw(st.binary(max_size=8) | st.sampled_from(_TRICKS))
            case "end":
                del data[end:]
    return bytes(data)


_TRICKS = (
    *(b"\0", b"\xff", b"\xed\xa0\x80", b"-1", b"1e999", b"NaN", b"9" * 30, b"0x1", b"\xd9\xa3", b"%00", b"+"),
    *(b"[" * 300, b'{"a":' * 300, b'"\\ud800"', b"null", b"true", b"\r\n", b"\xe2\x80\xa8", b"../", b"now"),
)


def text(data: bytes) -> str:
    """Return the bytes as a server gives them: latin-1, or UTF-8 with what is none in surrogates."""
    return data.decode("utf-8", "surrogateescape") if len(data) % 2 else data.decode("latin-1")


def ours(call: Callable[[], Any]) -> Any:
    """Call a parser; an error of ours is an answer."""
    with contextlib.suppress(RuncastError):
        return call()
    return None


@fuzzed
@given(
    spoilt(b"0", b"-1", b"now", b"00000000000000000042", b"99999999999999999999", b"0_42"),
    st.integers(0, 2**64),
)
def test_offsets(data: bytes, tail: int) -> None:
    """An offset lies within the log, or is refused."""
    offset = ours(lambda: parse_offset(text(data), tail))
    assert offset is None or 0 <= offset <= tail
    position = ours(lambda: parse_position(text(data), tail))
    assert position is None or 0 <= position <= tail


@fuzzed
@given(spoilt(b"run:42", b"run:00000000000000000042-o40-e41", b"run:end", b"r:1-u1-d1-o1-e1"))
def test_last_event_id(data: bytes) -> None:
    """An event id is one of ours, or none."""
    found = parse_event_id(text(data))
    assert found is None or found.resume_point is None or found.resume_point.offset >= 0


@fuzzed
@given(
    spoilt(
        b"offset=now&channel=stdout&format=sse&follow=0&end=1&named=1",
        b"tail=10&max=5&wait=1.5&interval=20",
        b"since=5m&line=3",
        b"since=2026-01-31T12:00:00Z",
    ),
    spoilt(b"text/html;q=0.5, */*", b"application/json", b"text/event-stream;q=1.000"),
)
def test_query(query: bytes, accept: bytes) -> None:
    """A query is read or refused, and so is what a client accepts."""
    request = Request("GET", "/", query=text(query))
    asked = ours(lambda: Query.parse(request.parameters))
    ours(lambda: negotiate(text(accept), None if asked is None else asked.format))
    ours(lambda: parse_reading(request.parameters))


@fuzzed
@given(
    spoilt(b'{"signal": "TERM", "grace": 5}', b'{"signal": 15}', b'{"command": ["ls"], "cap": null}', b"[]")
)
def test_bodies(data: bytes) -> None:
    """The body of a request is an object of what is expected, or refused."""
    asked = ours(lambda: Request("POST", "/", body=data).json())
    if asked is not None:
        ours(lambda: parse_stop(asked))
        ours(lambda: parse_signal(asked))
    ours(lambda: parse_client_message(data))
    ours(lambda: messages(data))


@fuzzed
@given(
    st.dictionaries(
        st.sampled_from(
            (
                *("content-type", "stream-ttl", "stream-expires-at", "stream-closed", "stream-forked-from"),
                *("stream-fork-offset", "stream-fork-sub-offset", "stream-seq"),
                *("producer-id", "producer-epoch", "producer-seq"),
            )
        ),
        spoilt(b"1", b"text/plain; charset=utf-8", b"true", b"2026-01-31T12:00:00Z", b"/v1/stream/a", b"p"),
    )
)
def test_headers_of_streams(headers: dict[str, bytes]) -> None:
    """What headers ask of a stream is understood or refused."""
    given_headers = {name: text(value) for name, value in headers.items()}
    ours(lambda: parse_creation(given_headers.get))
    ours(lambda: parse_appending(given_headers.get))


_RECORDS = b"".join(
    pack(Appending(None, Producer(f"p{number}", number, number), "s", number == 2), number * 10)
    for number in range(3)
)
_HEAD = b"RCJOURN\0\1\0\0\0"


@fuzzed
@given(data=spoilt(_HEAD + crc32(_HEAD).to_bytes(4, "little") + _RECORDS, _RECORDS), tail=st.integers(0, 40))
def test_journal(data: bytes, tail: int, tmp_path: Path) -> None:
    """Of a journal what is whole counts, and nothing beyond the tail; what is not is taken away."""
    at: int = 0
    while (found := unpack_journal(data, at)) is not None:
        assert found[2] > at
        at = found[2]
    path = tmp_path / "journal"
    path.write_bytes(data)
    journal = Journal(str(path))
    state = ours(lambda: journal.load(tail))
    journal.close()
    if state is not None:
        again = Journal(str(path))
        assert again.load(tail) == state
        again.close()


_PENDING_HEAD = b"RCTAIL\0\0\1\0\0\0"
_PENDING = b"".join(number.to_bytes(8, "little") for number in (1, 2, 3))


@fuzzed
@given(
    data=spoilt(
        *[
            _PENDING_HEAD
            + crc32(_PENDING_HEAD).to_bytes(4, "little")
            + _PENDING
            + crc32(_PENDING).to_bytes(4, "little")
        ]
    )
)
def test_tail(data: bytes, tmp_path: Path) -> None:
    """The range of the last append is read or reported as damaged."""
    path = tmp_path / "tail"
    path.write_bytes(data)

    def read() -> None:
        with_tail = PendingFile(str(path))
        try:
            with_tail.read()
        finally:
            with_tail.close()

    ours(read)


@fuzzed
@given(
    spoilt(b"".join(pack_record(number, number, number, Channel.STDOUT) for number in range(4)), header(0))
)
def test_records(data: bytes) -> None:
    """A record whose checksum is right is one; every other is damaged."""
    assert len(unpack(data)) == len(data) // 32
    ours(lambda: check_header(data[:32], "x"))


_FILES = (
    b'{"format": 1, "id": "%b", "name": "ls", "source": "command", "command": ["ls"], "created_at": 1.5}'
    % RUN.encode(),
    b'{"reason": "exited", "code": 0, "signal": null, "message": "", "value": [1], "ended_at": 1.0}',
    b'{"state": "running", "pid": 1, "supervisor": 2, "started_at": 1.0, "owner": "%b"}' % RUN.encode(),
    b'{"done": 1, "total": 2, "text": "half", "time": 1.0}',
    json.dumps(Settings(RUN, "a").to_json()).encode(),
)


@fuzzed
@given(data=spoilt(*_FILES))
def test_files(data: bytes, tmp_path: Path) -> None:
    """Whatever is in the small files of a run, values of the right types come of it, and can be written."""
    folder = tmp_path / RUN
    folder.mkdir(exist_ok=True)
    for name in ("run.json", "outcome.json", "progress.json"):
        (folder / name).write_bytes(data)

    value, problem = request_in(str(folder))
    assert isinstance(value["name"], str)
    assert all(isinstance(word, str) for word in value["command"])
    assert problem is None or problem.startswith("run.json: ")
    outcome, _ = outcome_in(str(folder))
    assert isinstance(outcome, Outcome)
    json.dumps([value, outcome.to_json(), progress_in(str(folder)), state_of(data)], allow_nan=False)
    str(outcome).encode("utf-8", "surrogateescape")
    with contextlib.suppress(ValueError):  # it is no object
        asked = parse_object(data)
        ours(lambda: Settings.from_json(asked))


_TOML = b"""
allow_origins = ["https://a.example"]

[commands.build]
command = ["make", "-j4"]
title = "Build"
timeout = 60
env = {A = "b"}

[streams]
cap = "64M"
"""


@fuzzed
@given(
    data=spoilt(_TOML, b'[commands.x]\ncommand = "ls"\ncap = "1G"\n', b"[streams]\ncap = 1\ntotal_cap = 2\n")
)
def test_config(data: bytes, tmp_path: Path) -> None:
    """A configuration is read, or refused with its line."""
    path = tmp_path / "server.toml"
    path.write_bytes(data)
    ours(lambda: load_config(str(path)))
