"""The guard and the addresses of hooks: a POST to just these passes without the token, under a right host."""

import pytest

from runcast.server.attempts import FAILURE_SECONDS, FAILURES
from runcast.server.guard import Guard, Verdict

TOKEN = "correct-horse-battery-staple"
HOST = {"host": "127.0.0.1:8765"}


def check(method: str, path: str, query: str = "", token: str | None = TOKEN, **headers: str) -> Verdict:
    """Return what the guard says of a request, to a server with one hook."""
    named = HOST | {name.replace("_", "-"): value for name, value in headers.items()}
    return Guard(["127.0.0.1"], token, signed=["/hooks/a"]).check(method, path, query, named.items(), 0.0)


@pytest.mark.parametrize("token", [TOKEN, None])
@pytest.mark.parametrize(
    "headers",
    [{}, {"origin": "http://evil.example"}, {"content_type": "application/x-www-form-urlencoded"}],
    ids=str,
)
def test_passes(token: str | None, headers: dict[str, str]):
    """What is behind it checks the signature, so nothing else matters; its client is still a stranger."""
    verdict = check("POST", "/hooks/a", "a=b", token, **headers)

    assert (verdict.reply, verdict.known) == (None, False)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/hooks/a"),
        ("HEAD", "/hooks/a"),
        ("PUT", "/hooks/a"),
        ("OPTIONS", "/hooks/a"),
        ("post", "/hooks/a"),
        ("POST", "/hooks/b"),
        ("POST", "/hooks/a/"),
        ("POST", "/hooks/%61"),
        ("POST", "//hooks/a"),
        ("POST", "/hooks/a/../../runs"),
        ("POST", "/runs"),
    ],
)
def test_nothing_else(method: str, path: str):
    """Another method, another spelling and another path need the token."""
    verdict = check(method, path)

    assert verdict.reply is not None
    assert verdict.reply.status == 401


def test_wrong_host():
    """The host must be right, as everywhere."""
    verdict = check("POST", "/hooks/a", host="evil.example")

    assert verdict.reply is not None
    assert verdict.reply.status == 421


def test_wrong_signatures_are_counted():
    """Wrong signatures are counted as wrong tokens are: some at once, then one now and then."""
    guard = Guard(["127.0.0.1"], TOKEN)

    assert [guard.count_failure(0.0) for _ in range(FAILURES)] == [0] * FAILURES
    assert guard.count_failure(0.0) == FAILURE_SECONDS
    assert guard.count_failure(FAILURE_SECONDS) == 0
