"""The guard lets clients of Durable Streams in, which know our header no more than our token's cookie."""

import pytest

from runcast.server.guard import Guard

GUARD = Guard(["127.0.0.1"], "sesame-open-the-door-please")
BEARER = ("authorization", "Bearer sesame-open-the-door-please")
HOST = ("host", "127.0.0.1:8765")
TEXT = ("content-type", "text/plain")


def status(path: str, *headers: tuple[str, str], method: str = "POST") -> int | None:
    """Return the status that the guard answers with; None where the request may pass."""
    reply = GUARD.check(method, path, "", [HOST, *headers], 0.0).reply
    return reply and reply.status


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE"])
def test_client(method: str):
    """With the token, any type may be appended, without our header."""
    assert status("/v1/stream/a", BEARER, TEXT, method=method) is None


def test_without_the_token():
    """Without the token nobody reads or appends."""
    assert status("/v1/stream/a", TEXT) == 401
    assert status("/v1/stream/a", method="GET") == 401


@pytest.mark.parametrize(
    "header",
    [
        ("origin", "http://evil.example"),
        ("origin", "null"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
    ],
)
def test_foreign_page(header: tuple[str, str]):
    """A page of another site may not append, though a browser sent everything else."""
    assert status("/v1/stream/a", BEARER, TEXT, header) == 403


def test_preflight():
    """A preflight is answered, with the token; a request that follows from a foreign page is not."""
    foreign = ("origin", "http://evil.example")

    assert status("/v1/stream/a", BEARER, foreign, method="OPTIONS") is None
    assert status("/v1/stream/a", foreign, method="OPTIONS") == 401
    assert status("/v1/stream/a", BEARER, foreign, method="GET") == 403
    assert status("/runs", BEARER, foreign, method="OPTIONS") == 403


@pytest.mark.parametrize("path", ["/runs", "/runs/x/stop", "/v1/streams", "/v1/stream"])
def test_other_paths(path: str):
    """Everywhere else the header is needed, as it was."""
    assert status(path, BEARER, TEXT) == 403


@pytest.mark.parametrize("path", ["/v1/stream/../../runs", "/v1/stream/%2e%2e/%2e%2e/runs"])
def test_path_that_climbs(path: str):
    """A path that looks like a stream's to the guard is routed to a stream, and nowhere else."""
    assert status(path, BEARER, TEXT) is None
