"""The guard and pages of listed origins: they read with the token, and do nothing else."""

import pytest

from runcast.server.guard import Guard, Verdict
from runcast.web.http.origins import Origins

TOKEN = "sesame-open-the-door-please"
APP = "https://app.example"
OWN = "http://127.0.0.1:8765"
LOG = "/runs/01jd0000000000000000000000/log"
BEARER = {"authorization": f"Bearer {TOKEN}"}
READS = Verdict(reads_only=True)


def make(token: str | None = TOKEN, *origins: str) -> Guard:
    return Guard(["127.0.0.1"], token, Origins(origins or [APP]))


def ask(
    method: str = "GET",
    path: str = LOG,
    query: str = "",
    *,
    guard: Guard | None = None,
    host: str = "127.0.0.1:8765",
    scheme: str = "http",
    **headers: str,
) -> Verdict:
    """Ask the guard about a request of the listed page."""
    given = {"host": host, "origin": APP, "sec-fetch-site": "cross-site", "sec-fetch-mode": "cors"}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    return (guard or make()).check(method, path, query, given.items(), 0.0, scheme)


def status(verdict: Verdict) -> int | None:
    return None if verdict.reply is None else verdict.reply.status


@pytest.mark.parametrize("path", ["/runs", LOG, "/v1/stream/s", "/v1/stream/runs/1"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_read(method: str, path: str):
    """With the token, by header or in the URL, a listed page reads, and is marked as one that only reads."""
    assert ask(method, path, **BEARER) == READS
    assert ask(method, path, f"token={TOKEN}") == READS
    assert ask(method, path, f"tail=5&token={TOKEN}", sec_fetch_mode="") == READS  # plain http says no mode
    assert ask(method, path, guard=make(None)) == READS


def test_websocket():
    """A WebSocket of a listed page, which can send no header, has the token in the URL."""
    assert ask(scheme="ws", query=f"token={TOKEN}", sec_fetch_mode="websocket") == READS
    assert status(ask(scheme="ws", query="token=x", sec_fetch_mode="websocket")) == 401


def test_without_the_token():
    """Without the right token nothing is read; the page can read why, and no cookie is set."""
    for query, error in (("", "NoToken"), ("token=x", "WrongToken")):
        reply = ask(query=query).reply
        assert reply is not None
        headers = dict(reply.headers)
        assert (reply.status, headers["Access-Control-Allow-Origin"]) == (401, APP)
        assert headers["Vary"] == "Origin"
        assert "Set-Cookie" not in headers
        assert error.encode() in reply.body


def test_cookie_does_not_count():
    """The cookie of the person at the browser is not behind what another origin's page reads."""
    guard = make()
    navigation = [("host", "127.0.0.1:8765"), ("sec-fetch-mode", "navigate")]
    opened = guard.check("GET", "/runs", f"token={TOKEN}", navigation, 0.0).reply
    assert opened is not None
    cookie = dict(opened.headers)["Set-Cookie"].partition(";")[0]
    own = {"origin": OWN, "sec_fetch_site": "same-origin"}

    assert status(ask(guard=guard, cookie=cookie)) == 401
    assert status(ask(guard=guard, cookie=cookie, sec_fetch_site="same-site")) == 401
    assert status(ask(guard=guard, cookie=cookie, scheme="ws")) == 401
    assert ask(guard=guard, cookie=cookie, **own) == Verdict()


@pytest.mark.parametrize("token", [TOKEN, None], ids=["token", "no token"])
def test_preflight(token: str | None):
    """The preflight of a read passes without the token, which it never has; that of a change does not."""
    guard = make(token)

    for method in ("GET", "HEAD"):
        assert ask("OPTIONS", guard=guard, access_control_request_method=method) == Verdict()
    for method in ("POST", "PUT", "DELETE", "", "get"):
        for path in ("/runs", LOG):
            verdict = ask("OPTIONS", path, guard=guard, access_control_request_method=method, **BEARER)
            assert status(verdict) == 403
    assert status(ask("OPTIONS", guard=guard, **BEARER)) == 403


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize("path", ["/runs", LOG.replace("/log", "/stop"), "/v1/stream/s"])
@pytest.mark.parametrize("token", [TOKEN, None], ids=["token", "no token"])
def test_nothing_changes(method: str, path: str, token: str | None):
    """A listed page changes nothing, though it has the token and our header; nor can it read the answer."""
    headers = {"x_runcast": "1", "content_type": "application/json", **BEARER}
    reply = ask(method, path, guard=make(token), **headers).reply

    assert reply is not None
    assert reply.status == 403
    assert "Access-Control-Allow-Origin" not in dict(reply.headers)
    assert status(ask(method, path, f"token={TOKEN}", guard=make(), x_runcast="1")) == 401


@pytest.mark.parametrize("path", ["/", "/commands", "/metrics", "/openapi.json", "/runsx", "/v1/stream"])
def test_other_paths(path: str):
    """What is neither a run nor a stream stays closed to a listed page."""
    assert status(ask(path=path, **BEARER)) == 403
    assert status(ask(path=path, query=f"token={TOKEN}")) == 401
    assert status(ask("OPTIONS", path, access_control_request_method="GET", **BEARER)) == 403


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "http://app.example", "https://app.example:444", "null", "", f"{APP}/"]
)
def test_unlisted(origin: str):
    """Other origins are as foreign as before, by whatever way the token comes."""
    assert status(ask(origin=origin, **BEARER)) == 403
    assert status(ask(origin=origin, query=f"token={TOKEN}")) == 401
    assert status(ask(origin=origin, query=f"token={TOKEN}", scheme="ws")) == 401
    assert status(ask("OPTIONS", origin=origin, access_control_request_method="GET")) == 401


def test_without_an_origin():
    """An image or a script of a listed page says no origin, so that nobody knows whose it is: refused."""
    given = [("host", "127.0.0.1:8765"), ("sec-fetch-site", "cross-site"), *BEARER.items()]

    assert status(make().check("GET", LOG, "", given, 0.0)) == 403


def test_host_comes_first():
    """A listed page that had its name point here is refused like any other."""
    assert status(ask(host="app.example", **BEARER)) == 421


def test_own_origin_listed():
    """A server that lists its own origin takes nothing from its pages."""
    own = {"origin": OWN, "sec_fetch_site": "same-origin"}
    guard = make(TOKEN, OWN, APP)

    assert ask(guard=guard, **own, **BEARER) == Verdict()
    assert ask("POST", guard=guard, **own, **BEARER, x_runcast="1") == Verdict()
