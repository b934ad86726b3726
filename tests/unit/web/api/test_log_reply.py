"""Where a reply begins, and what stands there."""

import json
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from runcast import Run, Store
from runcast.web.api.log_reply import log_reply
from runcast.web.http.messages import Request
from runcast.web.live.pull import pull
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
