"""The guard and share links: to which addresses they let in, and how a browser gets a page's files."""

import pytest

from runcast.server.guard import Guard, Verdict
from runcast.web.http.origins import Origins
from runcast.web.http.share import COOKIE, ShareKey

TOKEN = "correct-horse-battery-staple"
HOST = "127.0.0.1:8765"
ID = "01jd0000000000000000000000"
SHARE = ShareKey(TOKEN).token(ID, 1_800_000_000)
OLD = ShareKey(TOKEN).token(ID, 1_000_000_000)  # has expired, which those behind the guard say
SHARED = Verdict(shared=True)
BROWSER = {"accept": "text/html,*/*;q=0.8", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
READS = [f"/runs/{ID}", f"/runs/{ID}/", f"/runs/{ID}/log", f"/runs/{ID}/search", f"/v1/stream/runs/{ID}"]
OTHERS = [
    *("/", "/runs", "/runs/", "/commands", "/metrics", "/openapi.json", "/runs/-/search", "/v1/stream/x"),
    *(f"/runs/{ID}/stop", f"/runs/{ID}/stdin", f"/runs/{ID}/share", f"/runs/{ID[:-1]}", f"/runs/{ID[:-1]}1"),
    *(
        f"//runs/{ID}",
        f"/runs/{ID}//",
        f"/runs/{ID}/log/x",
        f"/runs/{ID}/../",
        f"/runs/{ID}%2flog",
        f"/x/runs/{ID}",
    ),
    *(f"/runs/{ID}%00", f"/runs/{ID}\n", f"/runs/%30{ID[1:]}", f"/v1/stream/runs/{ID}/", f"/v1/stream/{ID}"),
    *("/runs/-/assets/run.000000000000.js", f"/runs/-/assets/../{ID}"),
]


def ask(
    path: str,
    query: str = "",
    method: str = "GET",
    *,
    guard: Guard | None = None,
    scheme: str = "http",
    **headers: str,
) -> Verdict:
    """Ask the guard."""
    given = {"host": HOST} | {name.replace("_", "-"): value for name, value in headers.items()}
    return (guard or Guard(["127.0.0.1"], TOKEN)).check(method, path, query, given.items(), 0.0, scheme)


def status(verdict: Verdict) -> int | None:
    """Return the status of the refusal; None where the request may pass."""
    return None if verdict.reply is None else verdict.reply.status


@pytest.mark.parametrize("share", [SHARE, OLD], ids=["valid", "expired"])
@pytest.mark.parametrize("path", READS)
def test_reads(path: str, share: str):
    """A link lets read what is its run's, and is marked: in the address, or as the cookie in its place."""
    for method in ("GET", "HEAD"):
        assert ask(path, f"tail=1&share={share}", method) == SHARED
        assert ask(path, "", method, cookie=f"a=b; {COOKIE}={share}") == SHARED
    assert ask(path, f"share={share}", scheme="ws") == SHARED
    assert ask(path, f"share={share}", authorization="Bearer wrong") == SHARED


def test_nothing_else():
    """It lets in to no other address, in no spelling, and by no other method: as if there were no link."""
    for path in OTHERS:
        assert status(ask(path, f"share={SHARE}", cookie=f"{COOKIE}={SHARE}")) == 401, path
    for path in READS:
        for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "get"):
            assert status(ask(path, f"share={SHARE}", method, x_runcast="1")) == 401, (method, path)


def test_wrong_share():
    """One that is not right is refused as none is, and counts as no attempt at the token."""
    guard = Guard(["127.0.0.1"], TOKEN)
    without = ask(READS[0], guard=guard)
    for share in ("", "x", SHARE[:-1], SHARE + "0", ShareKey("another").token(ID, 1_800_000_000), TOKEN):
        for _ in range(20):
            assert ask(READS[0], f"share={share}", guard=guard) == without
    assert status(ask("/runs", f"token={SHARE}")) == 401
    assert status(ask("/runs", authorization=f"Bearer {SHARE}")) == 401


def test_from_another_site():
    """A link on another site opens the page; what that site has fetched, or frames, is refused."""
    assert ask(READS[0], f"share={SHARE}", **BROWSER, sec_fetch_site="cross-site").reply is None
    assert ask(READS[0], cookie=f"{COOKIE}={SHARE}", **BROWSER, sec_fetch_site="cross-site").reply is None
    framed = BROWSER | {"sec-fetch-dest": "iframe"}
    for headers in (
        framed,
        {"sec-fetch-mode": "no-cors"},
        {"sec-fetch-mode": "cors", "origin": "https://evil.example"},
    ):
        given = {name.replace("-", "_"): value for name, value in headers.items()}
        assert status(ask(READS[2], f"share={SHARE}", **given, sec_fetch_site="cross-site")) == 403
    assert status(ask(READS[2], f"share={SHARE}", scheme="ws", origin="https://evil.example")) == 403
    assert status(ask(READS[0], f"share={SHARE}", host="evil.example")) == 421


def test_listed_origin():
    """A page of a listed origin may read by a link that it has itself, and not by a cookie of its visitor."""
    guard = Guard(["127.0.0.1"], TOKEN, Origins(["https://app.example"]))
    page = {"origin": "https://app.example", "sec_fetch_site": "cross-site", "sec_fetch_mode": "cors"}

    assert ask(READS[2], f"share={SHARE}", guard=guard, **page) == Verdict(reads_only=True, shared=True)
    assert status(ask(READS[2], guard=guard, cookie=f"{COOKIE}={SHARE}", **page)) == 401


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_files_of_the_page(scheme: str):
    """A browser at a page by a link gets a cookie for the page's files, which opens nothing else."""
    guard = Guard(["127.0.0.1"], TOKEN)
    verdict = ask(READS[0], f"share={SHARE}", guard=guard, scheme=scheme, **BROWSER)
    assert (verdict.reply, verdict.shared) == (None, True)
    value, _, flags = verdict.cookie.partition("; ")
    assert flags.startswith("Path=/runs/-/assets/; Max-Age=31622400; HttpOnly; SameSite=Strict")
    assert flags.endswith("; Secure") == (scheme == "https")

    assert ask("/runs/-/assets/run.000000000000.js", guard=guard, cookie=value) == SHARED
    for path in (*READS, *OTHERS[:-2], f"/runs/-/assets/../{ID}"):
        assert status(ask(path, guard=guard, cookie=value)) in (401, None if "assets" in path else 401)
    other = Guard(["127.0.0.1"], TOKEN[1:])
    assert status(ask("/runs/-/assets/run.000000000000.js", guard=other, cookie=value)) == 401


def test_files_of_an_element():
    """A page of a listed origin gets the element's files by a link, with the run that it is for beside it."""
    guard = Guard(["127.0.0.1"], TOKEN, Origins(["https://app.example"]))
    page = {"origin": "https://app.example", "sec_fetch_site": "cross-site", "sec_fetch_mode": "cors"}

    for path in ("/runs/-/runcast-log.js", "/runs/-/assets/source.000000000000.js"):
        passed = Verdict(reads_only=True, shared=True)
        assert ask(path, f"run={ID}&share={SHARE}", guard=guard, **page) == passed
        for query in (f"share={SHARE}", f"run={ID[:-1]}1&share={SHARE}", f"run={ID}&share=x", f"run={ID}"):
            assert status(ask(path, query, guard=guard, **page)) == 401, query
    for path in ("/runs", "/metrics", f"/runs/{ID[:-1]}1/log"):
        assert status(ask(path, f"run={ID}&share={SHARE}", guard=guard, **page)) == 401, path


def test_with_the_token():
    """Who has the token, too, has all that it opens, and is not marked."""
    assert ask(READS[0], f"share={SHARE}", authorization=f"Bearer {TOKEN}") == Verdict()
    assert ask("/runs", f"share={SHARE}", authorization=f"Bearer {TOKEN}") == Verdict()


def test_without_a_token():
    """A server without a token signs nothing, and looks at no link."""
    guard = Guard(["127.0.0.1"], None)

    assert guard.share_key is None
    assert ask(READS[0], f"share={SHARE}", guard=guard) == Verdict()


def test_cookie_off():
    """Where no cookies are set, a link works for programs; a browser gets a page that says so."""
    guard = Guard(["127.0.0.1"], TOKEN, cookie=False)

    assert ask(READS[2], f"share={SHARE}", guard=guard) == SHARED
    assert status(ask(READS[2], guard=guard, cookie=f"{COOKIE}={SHARE}")) == 401
    refused = ask(READS[0], f"share={SHARE}", guard=guard, **BROWSER)
    assert status(refused) == 403
    assert refused.reply is not None
    assert b"/log?share=" in refused.reply.body
    assert refused.cookie == ""
