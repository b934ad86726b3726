"""The guard: every vector that a foreign web page or a stranger has, as values, without a server."""

import json
import re

import pytest

from runcast.server.attempts import FAILURE_SECONDS, FAILURES
from runcast.server.guard import Guard, Verdict

TOKEN = "correct-horse-battery-staple"
HOST = "127.0.0.1:8765"
HOSTS = ["127.0.0.1", "localhost", "::1", "Build.Example"]
ID = "01jd0000000000000000000000"
NAVIGATION = {"accept": "text/html,*/*;q=0.8", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
BEARER = {"authorization": f"Bearer {TOKEN}"}

FOREIGN_HOSTS = [
    None,
    "",
    "evil.example",
    "evil.example:8765",
    "127.0.0.1.evil.example",
    "127.0.0.1.nip.io:8765",
    "localhost.evil.example",
    "evil.localhost",
    "localhost.",
    "localhost:evil",
    "localhost:",
    "localhost:8765:8765",
    "evil.example@localhost",
    "localhost@evil.example",
    "localhost/",
    "localhost#evil",
    "localhost,evil.example",
    "localhost evil.example",
    "localhost\\evil",
    " localhost\t",
    "127.1",
    "127.0.0.2",
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
    "0.0.0.0",
    "::1",
    "[::1",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::1%25lo]",
    "[localhost]",
    "xn--localhost-x2a",
    "\uff4cocalhost",
    "build.example.evil.example",
    "sub.build.example",
    "*",
]

FOREIGN_ORIGINS = [
    "https://evil.example",
    "http://evil.example:8765",
    "http://127.0.0.1:9999",  # another server on this host gets our cookie's company, not our trust
    "http://127.0.0.1",
    "http://localhost:8765",  # not where this request goes
    "http://127.0.0.1:8765.evil.example",
    "http://127.0.0.1:8765@evil.example",
    "http://evil.example@127.0.0.1:8765",
    "http://127.0.0.1:8765/",
    "http://127.0.0.1:87650",
    "ftp://127.0.0.1:8765",
    "file://",
    "null",
    "",
    "127.0.0.1:8765",
    "//127.0.0.1:8765",
    "http://127.0.0.1:8765, https://evil.example",
    "http://[::1]:8765",
    "http://[",
]

FORM_TYPES = [
    "",
    "text/plain",
    "text/plain; application/json",
    "text/plain;charset=application/json",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=application/json",
    "application/jsonx",
    "application/+json",
    "application/x+json+x",
    "text/json",
    "application/json, text/plain",
    "application/octet-stream",
]


def make(token: str | None = TOKEN) -> Guard:
    return Guard(HOSTS, token)


def cookie(guard: Guard) -> dict[str, str]:
    """Return the cookie that the token URL sets."""
    reply = ask(guard, query=f"token={TOKEN}").reply
    assert reply is not None
    return {"cookie": dict(reply.headers)["Set-Cookie"].partition(";")[0]}


def ask(
    guard: Guard,
    method: str = "GET",
    path: str = "/runs",
    query: str = "",
    *,
    now: float = 0.0,
    scheme: str = "http",
    host: str | None = HOST,
    headers: dict[str, str] | list[tuple[str, str]] = (),  # type: ignore[assignment]
) -> Verdict:
    """Ask the guard about a request to one of its own names."""
    given = [*(headers.items() if isinstance(headers, dict) else headers)]
    if host is not None:
        given = [("host", host), *given]
    return guard.check(method, path, query, given, now, scheme)


def status(verdict: Verdict) -> int | None:
    """Return the status of the refusal; None where the request may pass."""
    return None if verdict.reply is None else verdict.reply.status


# Host


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:8765",
        "127.0.0.1",
        "localhost:8765",
        "LOCALHOST",
        "localhost:9000",  # a tunnel has another port at its beginning
        "[::1]:8765",
        "[0:0:0:0:0:0:0:1]",
        "build.example",
        "BUILD.EXAMPLE:443",
    ],
)
def test_own_name(host: str):
    """A request to a name that this server has may pass, whatever its port and its case."""
    assert ask(make(), host=host, headers=BEARER) == Verdict()


def test_foreign_name():
    """After DNS rebinding only the Host gives a page away: any other name is refused, token or not."""
    guard = make()
    headers = {**BEARER, **cookie(guard)}

    passed = [
        (scheme, host)
        for scheme in ("http", "ws")
        for host in FOREIGN_HOSTS
        if status(ask(guard, host=host, scheme=scheme, headers=headers)) != 421
    ]

    assert passed == []


def test_two_hosts():
    """Two Host headers are refused, though both are this server's."""
    assert status(ask(make(), headers=[("host", HOST), *BEARER.items()])) == 421


def test_host_comes_first():
    """A foreign name is refused before the token is looked at: nobody can try tokens through it."""
    guard = make()

    verdicts = [ask(guard, host="evil.example", headers={"authorization": "Bearer x"}) for _ in range(50)]

    assert {(status(verdict), verdict.note) for verdict in verdicts} == {(421, "")}
    assert status(ask(guard, headers={"authorization": "Bearer x"})) == 401


# Authentication


@pytest.mark.parametrize("scheme", ["http", "https", "ws", "wss"])
def test_token_in_a_header(scheme: str):
    """A Bearer token lets in, over HTTP and WebSocket."""
    assert ask(make(), scheme=scheme, headers=BEARER) == Verdict()
    assert ask(make(), scheme=scheme, headers={"authorization": f"bearer {TOKEN}"}) == Verdict()


def test_no_token():
    """Without a token nothing passes, whatever the method; the answer says how to send one."""
    for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "get", "X"):
        reply = ask(make(), method, headers={"x-runcast": "1"}).reply

        assert reply is not None
        assert reply.status == 401
        assert dict(reply.headers)["WWW-Authenticate"] == 'Bearer realm="runcast"'
        assert json.loads(reply.body)["error"] == "NoToken"


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer"},
        {"authorization": "Bearer "},
        {"authorization": f"Basic {TOKEN}"},
        {"authorization": TOKEN},
        {"authorization": f"Bearer {TOKEN}x"},
        {"authorization": f"Bearer {TOKEN[:-1]}"},
        {"authorization": f"Bearer {TOKEN.upper()}"},
        {"authorization": "Bearer \xff\xfe"},
        {"cookie": f"token={TOKEN}"},
        {"cookie": f"{Guard(HOSTS, TOKEN).cookie_name}={TOKEN}"},
        {"cookie": f"{Guard(HOSTS, TOKEN).cookie_name}="},
        {"cookie": Guard(HOSTS, TOKEN).cookie_name},
        {"x-forwarded-user": "admin", "x-token": TOKEN},
    ],
)
def test_wrong_token(headers: dict[str, str]):
    """Nothing that is not exactly the token lets in."""
    assert status(ask(make(), headers=headers)) == 401


def test_no_token_is_wanted():
    """Without a token (--no-auth) everybody passes who passes the other checks."""
    assert ask(make(None)) == Verdict()
    assert status(ask(make(None), host="evil.example")) == 421
    assert status(ask(make(None), headers={"sec-fetch-site": "cross-site"})) == 403
    assert status(ask(make(None), "POST", headers={"origin": "https://evil.example"})) == 403
    assert status(ask(make(None), "POST")) == 403


def test_token_url_sets_a_cookie():
    """`?token=` is answered by a redirect to the same URL without it, and a cookie that lets in."""
    guard = make()

    reply = ask(guard, path=f"/runs/{ID}", query=f"tail=20&token={TOKEN}&x=%20a+b", headers=NAVIGATION).reply

    assert reply is not None
    assert reply.status == 303
    headers = dict(reply.headers)
    assert headers["Location"] == f"/runs/{ID}?tail=20&x=%20a+b"
    value, *attributes = headers["Set-Cookie"].split("; ")
    assert sorted(attributes) == ["HttpOnly", "Path=/", "SameSite=Strict"]
    assert ask(guard, headers={"cookie": f"other=1; {value}"}) == Verdict()


def test_no_cookie():
    """With the cookie switched off none is set or taken, and a page says what to use instead."""
    guard = Guard(HOSTS, TOKEN, cookie=False)

    shown = ask(guard, path=f"/runs/{ID}", query=f"token={TOKEN}", headers=NAVIGATION).reply
    unknown = ask(guard, headers=NAVIGATION).reply

    assert shown is not None
    assert unknown is not None
    for reply, code in ((shown, 403), (unknown, 401)):
        assert reply.status == code
        assert "Set-Cookie" not in dict(reply.headers)
        assert b"sets no cookie" in reply.body
        assert f"runcast follow --server http://{HOST}".encode() in reply.body
        assert TOKEN.encode() not in reply.body
    assert status(ask(guard, headers=cookie(make()))) == 401
    assert ask(guard, headers=BEARER) == Verdict()


@pytest.mark.parametrize(
    ("method", "scheme", "headers"),
    [
        ("GET", "http", {}),
        ("GET", "http", {"accept": "text/event-stream", "sec-fetch-mode": "cors"}),
        ("GET", "ws", {}),
        ("POST", "http", {"x-runcast": "1"}),
    ],
)
def test_token_of_one_request(method: str, scheme: str, headers: dict[str, str]):
    """Without cookies the token in a URL lets in this one request, and a wrong one does not."""
    guard = Guard(HOSTS, TOKEN, cookie=False)

    assert ask(guard, method, query=f"token={TOKEN}", scheme=scheme, headers=headers) == Verdict()
    assert status(ask(guard, method, query=f"token={TOKEN}x", scheme=scheme, headers=headers)) == 401
    assert status(ask(guard, method, scheme=scheme, headers=headers)) == 401


def test_token_of_one_request_is_no_intent():
    """The token in a URL replaces no other check: a form of another page changes nothing."""
    guard = Guard(HOSTS, TOKEN, cookie=False)

    assert status(ask(guard, "POST", query=f"token={TOKEN}")) == 403
    foreign = {"x-runcast": "1", "origin": "https://evil.example"}
    assert status(ask(guard, "POST", query=f"token={TOKEN}", headers=foreign)) == 403


def test_cookie_over_tls():
    """Where the browser came over TLS, its cookie goes over nothing else."""
    reply = ask(make(), query=f"token={TOKEN}", scheme="https").reply

    assert reply is not None
    assert "; Secure" in dict(reply.headers)["Set-Cookie"]


def test_cookie_is_not_the_token():
    """The cookie, which other servers on this host receive too, does not reveal the token."""
    other = Guard(HOSTS, "another-token-than-that-one")

    assert TOKEN not in cookie(make())["cookie"]
    assert status(ask(other, headers=cookie(make()))) == 401
    assert other.cookie_name != make().cookie_name


@pytest.mark.parametrize(
    ("method", "scheme", "headers"),
    [
        ("POST", "http", {"x-runcast": "1"}),
        ("DELETE", "http", {"x-runcast": "1"}),
        ("GET", "ws", {}),
        ("GET", "http", {"sec-fetch-mode": "cors", "sec-fetch-site": "same-origin"}),
        ("GET", "http", {"sec-fetch-mode": "no-cors"}),
    ],
)
def test_token_url_is_for_pages(method: str, scheme: str, headers: dict[str, str]):
    """A token in the URL counts only where a page is opened: nothing else should have it in its log."""
    assert status(ask(make(), method, query=f"token={TOKEN}", scheme=scheme, headers=headers)) == 401


def test_stale_token_url():
    """A browser that is let in already is not turned away for an old token in a bookmark; it loses it."""
    guard = make()

    reply = ask(guard, query="token=old", headers={**NAVIGATION, **cookie(guard)}).reply

    assert reply is not None
    assert (reply.status, dict(reply.headers)["Location"]) == (303, "/runs")


@pytest.mark.parametrize(
    "path",
    [
        "//evil.example/",
        "///evil.example",
        "/\\evil.example",
        "//\\/evil.example",
        "/\t/evil.example",
        "\r\n//evil.example",
    ],
)
def test_no_open_redirect(path: str):
    """The redirect stays on this host, whatever the path looks like."""
    reply = ask(make(), path=path, query=f"token={TOKEN}").reply

    assert reply is not None
    assert re.match(r"/(?![/\\])", dict(reply.headers)["Location"])


def test_page_for_people():
    """A page without a token explains where the token is; nothing of the URL runs as script."""
    reply = ask(make(), path="/runs/<script>alert(1)</script>", query='"><b>', headers=NAVIGATION).reply

    assert reply is not None
    assert reply.status == 401
    assert dict(reply.headers)["Content-Type"].startswith("text/html")
    assert b"runcast serve" in reply.body
    assert b"<script" not in reply.body
    assert b"<b>" not in reply.body


# Guessing


def test_guessing_is_slowed_down():
    """After some wrong tokens the next gets a 429 with the time to wait; only those before are logged."""
    guard = make()

    verdicts = [ask(guard, headers={"authorization": f"Bearer {n}"}) for n in range(FAILURES + 5)]

    assert [status(verdict) for verdict in verdicts] == [401] * FAILURES + [429] * 5
    assert [bool(verdict.note) for verdict in verdicts] == [True] * FAILURES + [False] * 5
    reply = verdicts[-1].reply
    assert reply is not None
    wait = int(dict(reply.headers)["Retry-After"])
    assert 0 < wait <= FAILURE_SECONDS
    assert status(ask(guard, headers={"authorization": "Bearer x"}, now=wait)) == 401
    assert status(ask(guard, headers={"authorization": "Bearer x"}, now=wait)) == 429


def test_the_right_token_is_never_locked_out():
    """Whoever floods a server with wrong tokens locks out nobody who has the right one."""
    guard = make()
    for number in range(1000):
        ask(guard, headers={"authorization": f"Bearer {number}"})

    assert ask(guard, headers=BEARER) == Verdict()
    assert ask(guard, headers=cookie(guard)) == Verdict()


def test_no_token_is_no_guess():
    """Requests without any token are no guesses: they use up nothing."""
    guard = make()
    for _ in range(1000):
        ask(guard)

    assert status(ask(guard, headers={"authorization": "Bearer x"})) == 401


# Origin and Sec-Fetch-Site


def test_foreign_origin():
    """A request of another origin's page is refused, also for a WebSocket, though its token is right."""
    guard = make()
    headers = {**cookie(guard), "x-runcast": "1", "content-type": "application/json"}

    passed = [
        (scheme, method, origin)
        for scheme in ("http", "ws")
        for method in ("GET", "POST", "DELETE")
        for origin in FOREIGN_ORIGINS
        if status(ask(guard, method, scheme=scheme, headers={**headers, "origin": origin})) != 403
    ]

    assert passed == []


@pytest.mark.parametrize(
    ("scheme", "host", "origin"),
    [
        ("http", HOST, f"http://{HOST}"),
        ("ws", HOST, f"http://{HOST}"),
        ("http", "LocalHost:8765", "http://localhost:8765"),
        ("http", "[::1]:8765", "http://[::1]:8765"),
        ("https", "build.example", "https://build.example"),
        ("wss", "build.example:8443", "https://build.example:8443"),
        ("http", "build.example", "https://build.example"),  # a proxy ended the TLS
    ],
)
def test_own_origin(scheme: str, host: str, origin: str):
    """A page of this very server may do everything."""
    guard = make()
    headers = {**cookie(guard), "origin": origin, "sec-fetch-site": "same-origin", "x-runcast": "1"}

    assert ask(guard, "POST", scheme=scheme, host=host, headers=headers) == Verdict()


def test_origin_without_tls():
    """A page that came without TLS is not this server's, where requests come with it."""
    guard = make()
    headers = {**cookie(guard), "origin": "http://build.example"}

    assert status(ask(guard, scheme="https", host="build.example", headers=headers)) == 403


def test_two_origins():
    """Two Origin headers are refused, though both are this server's."""
    origin = ("origin", f"http://{HOST}")

    assert status(ask(make(), headers=[*BEARER.items(), origin, origin])) == 403


def test_foreign_site():
    """What a page of another site, or of another port of this host, makes a browser send is refused."""
    guard = make()
    headers = {**cookie(guard), "x-runcast": "1"}

    passed = [
        (scheme, method, site)
        for scheme in ("http", "ws")
        for method in ("GET", "POST")
        for site in ("cross-site", "same-site", "", "Same-Origin", "same-origin, none")
        if status(ask(guard, method, scheme=scheme, headers={**headers, "sec-fetch-site": site})) != 403
    ]

    assert passed == []


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_own_site(site: str):
    """Our own pages, bookmarks and typed addresses pass."""
    guard = make()

    assert ask(guard, headers={**cookie(guard), "sec-fetch-site": site}) == Verdict()


def test_followed_link():
    """Who follows a link from elsewhere gets nothing but a link to go on, whose target has the cookie."""
    guard = make()
    headers = {**NAVIGATION, **cookie(guard), "sec-fetch-site": "cross-site"}

    reply = ask(guard, path=f"/runs/{ID}", query="tail=5", headers=headers).reply

    assert reply is not None
    assert reply.status == 403
    assert f'<a href="/runs/{ID}?tail=5">'.encode() in reply.body


def test_framed_link():
    """A frame of another site's page gets no such link."""
    guard = make()
    headers = {**NAVIGATION, **cookie(guard), "sec-fetch-site": "cross-site", "sec-fetch-dest": "iframe"}

    reply = ask(guard, headers=headers).reply

    assert reply is not None
    assert (reply.status, b"href" in reply.body) == (403, False)


# What changes something


def test_what_a_form_can_send():
    """A request that another site's form could have sent changes nothing, not even with a right token."""
    guard = make()
    bodies = [{}, *({"content-type": content_type} for content_type in FORM_TYPES)]

    passed = [
        (method, body)
        for method in ("POST", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "get", "BREW")
        for body in bodies
        if status(ask(guard, method, headers={**BEARER, **body})) != 403
    ]

    assert passed == []


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "application/json"},
        {"content-type": "Application/JSON; charset=utf-8"},
        {"content-type": "application/merge-patch+json"},
        {"x-runcast": "1"},
        {"x-runcast": "1", "content-type": "application/octet-stream"},
    ],
)
def test_what_no_form_can_send(headers: dict[str, str]):
    """JSON, or our header, could not have been sent by a page elsewhere without asking first."""
    assert ask(make(), "POST", headers={**BEARER, **headers}) == Verdict()


def test_two_content_types():
    """Of two content types none counts."""
    types = [("content-type", "application/json"), ("content-type", "text/plain")]

    assert status(ask(make(), "POST", headers=[*BEARER.items(), *types])) == 403


def test_order_of_the_checks():
    """Host, token, origin, site, method: the first that fails answers."""
    faults = {
        "host": "evil.example",
        "origin": "https://evil.example",
        "sec-fetch-site": "cross-site",
    }
    guard = make()

    def reply(*fixed: str) -> str:
        headers = {name: value for name, value in faults.items() if name not in ("host", *fixed)}
        host = HOST if "host" in fixed else faults["host"]
        given = ask(guard, "POST", host=host, headers=headers | (BEARER if "token" in fixed else {})).reply
        return "passed" if given is None else str(json.loads(given.body)["detail"])

    assert "Host" in reply()
    assert "token" in reply("host")
    assert "evil.example" in reply("host", "token")
    assert "cross-site" in reply("host", "token", "origin")
    assert "X-Runcast" in reply("host", "token", "origin", "sec-fetch-site")


def test_handshake_without_upgrade():
    """A WebSocket whose Upgrade a proxy dropped opens no page, and gets no cookie."""
    key = {"sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ=="}

    assert status(ask(make(), query=f"token={TOKEN}")) == 303
    assert status(ask(make(), query=f"token={TOKEN}", headers=key)) == 401
    assert status(ask(make(), headers=key | BEARER)) is None
