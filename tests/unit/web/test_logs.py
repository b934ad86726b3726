"""Where a reply begins, and what stands there."""

import sys

import pytest

from runcast import Run, Store
from runcast.web.http import Request
from runcast.web.logs import log_reply
from runcast.web.streams import pull


@pytest.fixture
def half(store: Store) -> Run:
    """A finished run whose output is a line, then half a line of stdout."""

    def job() -> None:
        print("line", file=sys.stderr)
        print("half", end="")

    run = store.start(job)
    run.wait()
    return run


def said(run: Run, query: str) -> bytes:
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

    assert said(half, f"end=1&{query}") == text
