"""NDJSON, and the messages of a WebSocket."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runcast.model import Outcome, Reason, State
from runcast.wire.json_lines import JsonLines, Messages, messages
from runcast.wire.resume_point import ResumePoint
from tests.unit.wire.logs import DATA, ERR, OUT, PROPERTY, RUN, Appends, Pieces, appends
from tests.unit.wire.test_chunks import content

FORMS = [JsonLines, Messages]


def values_of(stream: bytes) -> list[dict[str, Any]]:
    """Return the values of the lines that have an end; empty ones are passed over."""
    return [json.loads(line) for line in stream.split(b"\n")[:-1] if line]


def chunks_of(stream: bytes) -> list[dict[str, Any]]:
    """Return the chunks, of either form."""
    return [chunk for value in values_of(stream) for chunk in value.get("chunks", [value])]


def test_ndjson():
    """NDJSON has a chunk a line."""
    log = Pieces([(OUT, b"a\n"), (ERR, b"b")])

    assert JsonLines(RUN).feed(log.read(0)) == (
        b'{"offset":"00000000000000000000","next":"00000000000000000002","channel":"stdout",'
        b'"time":null,"text":"a\\n"}\n'
        b'{"offset":"00000000000000000002","next":"00000000000000000003","channel":"stderr",'
        b'"time":null,"text":"b"}\n'
    )


def test_messages():
    """A message has as many chunks as fit, so that a burst is one frame."""
    log = Pieces([(OUT, b"a\n"), (ERR, b"b")])

    (message,) = messages(Messages(RUN).feed(log.read(0)))

    assert [chunk["text"] for chunk in json.loads(message)["chunks"]] == ["a\n", "b"]
    assert json.loads(message)["next"] == f"{3:020d}"


def test_several_messages():
    """What one call said can be several messages; each is one JSON value of at most 64 KiB."""
    log = Pieces([(OUT, b"x" * 200_000)])

    found = messages(Messages(RUN).feed(log.read(0, 1 << 20)))

    assert len(found) > 1
    assert all(len(message) <= 64 * 1024 for message in found)
    assert "".join(chunk["text"] for one in found for chunk in json.loads(one)["chunks"]) == "x" * 200_000


@pytest.mark.parametrize("form", FORMS)
@PROPERTY
@given(
    parts=appends(),
    limits=st.lists(st.sampled_from([1, 3, 100]), min_size=1, max_size=4),
    cut=st.floats(0, 1),
)
def test_cut_anywhere(form: type[JsonLines | Messages], parts: Appends, limits: list[int], cut: float):
    """Replies cut at any byte and resumed at the last `next` give every byte once, in order."""
    log = Pieces(parts)
    seen: list[dict[str, Any]] = []
    for hop, limit in enumerate(limits):
        offset = int(seen[-1]["next"]) if seen else 0
        stream = b"".join(log.feed(form(RUN, ResumePoint(offset)), limit))
        seen += chunks_of(stream if hop == len(limits) - 1 else stream[: int(cut * len(stream))])

    for channel in (OUT, ERR, DATA):
        assert b"".join(content(one) for one in seen if one["channel"] == channel) == log.bytes_of(channel)


@pytest.mark.parametrize("form", FORMS)
def test_place(form: type[JsonLines | Messages]):
    """The place is the offset read up to, but for half a character."""
    encoder = form(RUN, ResumePoint(1))

    encoder.feed(Pieces([(OUT, b"abc\xe2")]).read(1))

    assert encoder.resume_point == ResumePoint(3)
    assert encoder.next == 4


@pytest.mark.parametrize("form", FORMS)
def test_beside_the_log(form: type[JsonLines | Messages]):
    """What stands beside the log are objects with an `event`, told apart from chunks by that."""
    encoder = form(RUN, ResumePoint(5))
    outcome = Outcome(Reason.TIMED_OUT, signal=9)

    said = [
        encoder.preamble({"id": RUN}),
        encoder.update("progress", {"done": 1}),
        encoder.notice("nothing\nfor 5 s"),
        encoder.restart(),
        encoder.exit(State.EXITED, outcome),
    ]

    assert [values_of(one) for one in said[:4]] == [
        [{"event": "run", "id": RUN, "offset": f"{5:020d}"}],
        [{"event": "progress", "done": 1}],
        [{"event": "remark", "text": "nothing\nfor 5 s"}],
        [{"event": "restart", "retry": 500}],
    ]
    (told,) = values_of(said[4])
    assert (told["event"], told["state"], told["outcome"]["reason"]) == ("exit", "exited", "timed out")
    assert told["offset"] == f"{5:020d}"


def test_beats():
    """The keep-alive of NDJSON is an empty line; a WebSocket has pings."""
    assert JsonLines(RUN).heartbeat() == b"\n"
    assert Messages(RUN).heartbeat() == b""
