"""Share links in an application: who makes one, what it opens, and how a browser comes by its cookie."""

import json
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from runcast import Run, Store
from runcast.errors import UsageError
from runcast.web.api.authorize import allow_all
from runcast.web.http.messages import Reply, Request
from runcast.web.http.share import COOKIE, ShareKey
from runcast.web.responder import by_id_alone
from runcast.web.wsgi import RunsWSGI
from tests.unit.runs import make_run

SECRET = "0123456789abcdef"
KEY = ShareKey(SECRET)
ADA = {"x-user": "ada"}
BROWSER = {"accept": "text/html,*/*;q=0.8", "sec-fetch-mode": "navigate"}


def is_ada(verb: str, run: Run | None, request: Request) -> bool:
    """Let Ada do everything, and nobody else anything."""
    return request.header("x-user") == "ada"


@pytest.fixture(name="run")
def run_fixture(own_store: Path) -> Run:
    """Give a run that has ended."""
    return Store(str(own_store)).get(make_run(own_store))


@pytest.fixture(name="app")
def app_fixture(own_store: Path) -> RunsWSGI:
    """Give an application in which Ada may do everything."""
    return RunsWSGI(str(own_store), authorize=is_ada, share_secret=SECRET)


def ask(
    app: RunsWSGI,
    method: str,
    path: str,
    query: str = "",
    headers: Mapping[str, str] = {},
    body: bytes = b"",
    scheme: str = "http",
    root: str = "/at",
) -> Reply:
    """Return the reply to a request."""
    return app.responder.respond(Request(method, path, root, query, headers, body, scheme))


def value(reply: Reply) -> dict[str, Any]:
    """Return the JSON of a reply."""
    found: dict[str, Any] = json.loads(reply.body)
    return found


def token(run: Run, seconds: int = 3600) -> str:
    """Return a token that expires in so many seconds."""
    return KEY.token(run.id, int(time.time()) + seconds)


@pytest.mark.parametrize(
    ("body", "seconds"),
    [
        (b"", 7 * 86400),
        (b'{"expires": "1m"}', 60),
        (b'{"expires": "365d"}', 365 * 86400),
        (b'{"expires": 90.5}', 90),
    ],
)
def test_made(app: RunsWSGI, run: Run, body: bytes, seconds: int):
    """A link is the run's address, with a token that is valid as long as it was to be; 7 days by default."""
    before = int(time.time())
    reply = ask(
        app, "POST", f"/runs/{run.id}/share", headers={**ADA, "host": "a.example"}, body=body, scheme="https"
    )

    assert reply.status == 201
    made = value(reply)
    url, _, given = made["url"].partition("?share=")
    assert url == f"https://a.example/at/runs/{run.id}"
    expires = KEY.expiry(run.id, [given])
    assert expires is not None
    assert before + seconds <= expires <= time.time() + seconds + 1
    assert made["expires_at"] == time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime(expires))


@pytest.mark.parametrize(
    "body",
    [
        *(
            '{"expires": "59s"}',
            '{"expires": "366d"}',
            '{"expires": 0}',
            '{"expires": -1}',
            '{"expires": 1e999}',
        ),
        *('{"expires": "never"}', '{"expires": null}', '{"expires": true}', '{"expires": ["7d"]}'),
        *(
            '{"expires": "7d", "verbs": ["stop"]}',
            '["7d"]',
            '"7d"',
            "7d",
            '{"expires": ""}',
            '{"expires": NaN}',
        ),
    ],
)
def test_expires_wrongly(app: RunsWSGI, run: Run, body: str):
    """What is no time from a minute to 365 days is refused, with what was expected."""
    reply = ask(app, "POST", f"/runs/{run.id}/share", headers=ADA, body=body.encode())

    assert (reply.status, value(reply)["error"]) == (400, "UsageError")
    assert "expected" in value(reply)["detail"]


def test_reads(app: RunsWSGI, run: Run):
    """A link reads its run and says until when; its JSON has no link to anything else."""
    expires = int(time.time()) + 3600
    query = f"share={KEY.token(run.id, expires)}"

    shown = value(ask(app, "GET", f"/runs/{run.id}", query))
    assert shown["links"] == {"self": f"/at/runs/{run.id}", "log": f"/at/runs/{run.id}/log"}
    assert shown["shared_until"] == time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime(expires))
    log = ask(app, "GET", f"/runs/{run.id}/log", query)
    assert log.status == 200
    assert log.stream is not None
    assert log.stream.expires == expires
    assert (
        ask(app, "GET", f"/runs/{run.id}/log", headers={"cookie": f"a=b; {COOKIE}={query[6:]}"}).status == 200
    )


def test_of_another_run(app: RunsWSGI, run: Run, own_store: Path):
    """A link of one run opens no other, no list and no stream."""
    other = make_run(own_store)
    for path in (f"/runs/{other}", f"/runs/{other}/log", "/runs", "/runs/-/search", "/commands"):
        reply = ask(app, "GET", path, f"share={token(run)}&q=a")
        assert (reply.status, value(reply)["error"]) == (403, "NotAllowed"), path


def test_links_of_the_owner(app: RunsWSGI, run: Run):
    """Who may do everything has all links, and no time at which that ends, share link or not."""
    for query in ("", f"share={token(run)}", f"share={token(run, -60)}"):
        shown = value(ask(app, "GET", f"/runs/{run.id}", query, ADA))
        assert shown["links"].keys() == {"self", "log", "stop", "rerun"}
        assert "shared_until" not in shown


def test_swapped(app: RunsWSGI, run: Run):
    """A browser that opens a link is led to the address without the token, and gets a cookie for the run."""
    given = token(run)
    for path in (f"/runs/{run.id}", f"/runs/{run.id}/log"):
        reply = ask(app, "GET", path, f"line=7&share={given}&q=a%20b", BROWSER, scheme="https")
        headers = dict(reply.headers)
        assert (reply.status, headers["Location"]) == (303, f"/at{path}?line=7&q=a%20b")
        assert headers["Set-Cookie"].startswith(f"{COOKIE}={given}; Path=/at/runs/{run.id}; Max-Age=3")
        assert headers["Set-Cookie"].endswith("; HttpOnly; SameSite=Lax; Secure")
        cookie = {"cookie": headers["Set-Cookie"].partition(";")[0]}
        assert ask(app, "GET", path, "", BROWSER | cookie).status == 200


def test_swapped_for_the_owner(app: RunsWSGI, run: Run):
    """The token leaves the address of those who may read anyway, too; an expired one gives no cookie."""
    reply = ask(app, "GET", f"/runs/{run.id}", f"share={token(run, -60)}", BROWSER | ADA)

    assert (reply.status, dict(reply.headers)["Location"]) == (303, f"/at/runs/{run.id}")
    assert "Set-Cookie" not in dict(reply.headers)


def test_not_swapped(app: RunsWSGI, run: Run):
    """A token that is not right leads nowhere, so no page can lead a browser in circles."""
    assert ask(app, "GET", f"/runs/{run.id}", "share=x", BROWSER | ADA).status == 200
    assert ask(app, "GET", f"/runs/{run.id}", "share=x", BROWSER).status == 403


def test_expired(app: RunsWSGI, run: Run):
    """A link whose time is over says when that was: as a problem, and as a page."""
    query = f"share={KEY.token(run.id, 1_700_000_000)}"

    reply = ask(app, "GET", f"/runs/{run.id}/log", query)
    assert (reply.status, value(reply)["error"]) == (403, "ShareExpired")
    assert "this one expired on 2023-11-14 at 22:13:20 UTC" in value(reply)["detail"]
    page = ask(app, "GET", f"/runs/{run.id}/log", query, BROWSER)
    assert page.status == 403
    assert b"<h1>This link has expired</h1>" in page.body
    assert b"2023-11-14 at 22:13:20 UTC" in page.body
    assert b"All runs" not in page.body


def test_gone(app: RunsWSGI, run: Run):
    """The link of a run that was removed leads to none, and shows no way to a list that is closed."""
    app.store.remove(run)

    assert ask(app, "GET", f"/runs/{run.id}", f"share={token(run)}").status == 404
    page = ask(app, "GET", f"/runs/{run.id}", f"share={token(run)}", BROWSER)
    assert page.status == 404
    assert b"All runs" not in page.body


@pytest.mark.parametrize(
    ("authorize", "secret"),
    [(allow_all, SECRET), (by_id_alone, SECRET), (is_ada, None)],
    ids=["all", "id", "unsigned"],
)
def test_none(run: Run, own_store: Path, authorize: Any, secret: str | None):
    """Where an id alone is a right, or nothing signs, there are no links: 403, and what is missing."""
    app = RunsWSGI(str(own_store), authorize=authorize, share_secret=secret)

    reply = ask(app, "POST", f"/runs/{run.id}/share", headers=ADA)
    assert (reply.status, value(reply)["error"]) == (403, "NoShareLinks")
    assert "share" not in may(ask(app, "GET", f"/runs/{run.id}", headers=ADA | BROWSER))


def test_secret_that_can_be_guessed(own_store: Path):
    """A secret that is too short is refused when the application starts."""
    with pytest.raises(UsageError, match="share_secret= of at least 16 characters, got 3"):
        RunsWSGI(str(own_store), authorize=is_ada, share_secret="abc")


def test_page(app: RunsWSGI, run: Run):
    """The page has what its client may do: a share link leaves nothing but reading."""
    page = f"/runs/{run.id}"
    app.responder.allow_any_command = True

    assert may(ask(app, "GET", page, headers=ADA | BROWSER)) == [
        "list",
        "stop",
        "rerun",
        "delete",
        "share",
        "commands",
    ]
    cookie = {"cookie": f"{COOKIE}={token(run)}"}
    assert may(ask(app, "GET", page, headers=BROWSER | cookie)) == []
    assert may(ask(app, "GET", page, headers=ADA | BROWSER | cookie))[0] == "list"


def may(reply: Reply) -> list[str]:
    """Return what the page of a run says that its client may do."""
    found = re.search(r'data-may="(.*?)"', reply.body.decode())
    assert found
    return found[1].split()
