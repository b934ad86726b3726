"""Where a reply begins, and what stands there."""

import json
import logging
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from runcast import Run, Store
from runcast.errors import OffsetBeyondTail, RuncastError, StoreUnusable, StoreUnwritable, UsageError
from runcast.model import Outcome, Reason
from runcast.web.api.durable.reads import Later, Sharing, read_reply
from runcast.web.api.durable.source import RunSource
from runcast.web.api.log_reply import log_reply, problem_reply
from runcast.web.http.messages import Reply, Request
from runcast.web.live.pull import pull
from runcast.wire.durable import parse_reading
from tests.unit.runs import ERR, OUT, make_run


@pytest.fixture
def half(own_store: Path) -> Run:
    """A finished run whose output is a line, then half a line of stdout."""
    run_id = make_run(own_store, appends=((ERR, b"line\n"), (OUT, b"half")))
    return Store(str(own_store)).get(run_id)


def output(run: Run, query: str) -> bytes:
    """Return the text of a reply."""
    reply = log_reply(run, Request("GET", "", query=query, headers={"accept": "text/plain"}))
    assert reply.stream is not None
    return b"".join(pull(reply.stream))


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("", b"line\nhalf\n[end]\n"),
        ("offset=-1", b"line\nhalf\n[end]\n"),
        ("offset=3", b"e\nhalf\n[end]\n"),
        ("offset=9", b"\n[end]\n"),
        ("offset=0000000000000000009&channel=stdout", b"\n[end]\n"),
        ("offset=9&channel=stderr", b"[end]\n"),
        ("offset=now", b"[end]\n"),
        ("tail=0", b"[end]\n"),
    ],
)
def test_resumed_text(half: Run, query: str, text: bytes):
    """Who comes back with an offset behind half a line gets what is ours on a line of its own."""
    text = text.replace(b"[end]", b"[runcast: exit code 0]")

    assert output(half, f"end=1&{query}") == text


def test_next_poll_asks_for_the_same(half: Run):
    """The URL of the next poll has all parameters of this one, with the next offset."""
    query = "channel=stdout&channel=stderr&max=1&tail=5&wait=3&mine=%C3%A4"
    reply = log_reply(half, Request("GET", "", "/at", query, {"accept": "application/json"}))
    assert reply.stream is not None

    url = urlsplit(json.loads(b"".join(pull(reply.stream)))["next_url"])

    assert url.path == f"/at/runs/{half.id}/log"
    kept = [("channel", "stdout"), ("channel", "stderr"), ("max", "1"), ("wait", "3"), ("mine", "ä")]
    assert parse_qsl(url.query) == [("format", "json"), *kept, ("offset", "00000000000000000005")]


def test_what_a_reply_hides_is_logged(caplog: pytest.LogCaptureFixture):
    """A client reads that the server's own log says why: there it stands, with the folder."""
    reply = problem_reply(StoreUnusable("expected a folder, /srv/runs is a file"))
    assert b"/srv" not in reply.body
    assert json.loads(reply.body)["detail"] == "the server could not do this: its own log says why"
    assert caplog.record_tuples == [
        ("runcast.web", logging.ERROR, "StoreUnusable: expected a folder, /srv/runs is a file")
    ]


@pytest.mark.parametrize(
    "error", [UsageError("expected an offset"), StoreUnwritable("it is full", full=True)]
)
def test_what_a_reply_says_is_not_logged(caplog: pytest.LogCaptureFixture, error: RuncastError):
    """What the client is told needs no line in the log."""
    assert str(error).encode() in problem_reply(error).body
    assert caplog.record_tuples == []


@pytest.fixture
def lost(own_store: Path) -> Run:
    """A lost run that has five bytes left."""
    outcome = Outcome(Reason.LOST, message="the machine was restarted since", ended_at=1_700_000_010.0)
    return Store(str(own_store)).get(make_run(own_store, appends=((OUT, b"line\n"),), outcome=outcome))


BEYOND = "00000000000000001000"


@pytest.mark.parametrize("resumed", [False, True])
@pytest.mark.parametrize(
    ("form", "end"),
    [
        ("text", b"[runcast: lost (the machine was restarted since)]"),
        ("sse", b"event: exit"),
        ("ndjson", b'"event":"exit"'),
        ("json", b'"closed":true'),
        ("asciicast", b"lost (the machine was restarted since)"),
    ],
)
def test_more_than_is_left_of_a_lost_run(lost: Run, form: str, end: bytes, resumed: bool):
    """Who has bytes that were lost with a run gets its end, in each form, and no output again."""
    query, headers = f"format={form}&end=1", {"last-event-id": f"{lost.id}:{BEYOND}"}
    if not resumed:
        query, headers = f"{query}&offset={BEYOND}", {}
    reply = log_reply(lost, Request("GET", "", query=query, headers=headers))
    assert reply.stream is not None

    text = b"".join(pull(reply.stream))

    assert reply.status == 200
    assert end in text
    assert b"line" not in text.replace(b'"line"', b"").replace(b'"lines"', b"").replace(b"last_line", b"")


def test_more_than_there_ever_was(half: Run):
    """Of a run that was not lost such an offset is refused."""
    for query, headers in ((f"offset={BEYOND}", {}), ("", {"last-event-id": f"{half.id}:{BEYOND}"})):
        with pytest.raises(OffsetBeyondTail):
            log_reply(half, Request("GET", "", query=query, headers=headers))


@pytest.mark.parametrize("live", [None, "long-poll", "sse"])
def test_more_than_is_left_by_the_protocol_of_streams(lost: Run, half: Run, live: str | None):
    """The same holds for the run as a stream: it is closed, at its own tail."""
    ask = parse_reading([("offset", BEYOND), *([("live", live)] if live else [])])
    reply = read_reply(RunSource(lost), ask, None, sharing=Sharing())
    if isinstance(reply, Later):
        (reply,) = (step for step in reply.steps() if isinstance(step, Reply))
    stream = b"" if reply.stream is None else b"".join(pull(reply.stream))

    fields = dict(reply.headers)
    assert fields.get("Stream-Closed") == "true" or b'"streamClosed":true' in stream
    assert fields.get("Stream-Next-Offset", "00000000000000000005") == "00000000000000000005"
    with pytest.raises(OffsetBeyondTail):
        read_reply(RunSource(half), ask, None, sharing=Sharing())
