"""The URLs of a view that is mounted nowhere, and what may be found behind them."""

import pytest

from runcast import Run, Store
from runcast.errors import UsageError
from runcast.web.adapters.streaming_view import stream_reply
from runcast.web.http.messages import Request

HTML = {"accept": "text/html"}


def ask(store: Store, path: str, query: str = "", root: str = "", **headers: str):
    """Answer a request to a view that streams `true`."""
    request = Request("GET", path, root, query, {"accept": "text/html", **headers})
    return stream_reply(store, ["true"], request, view="v", runs=None, options={})


def location(store: Store, path: str, query: str = "", root: str = "") -> str:
    """Return where a browser is led, without the run's id."""
    reply = ask(store, path, query, root)
    assert reply.status == 303
    return dict(reply.headers)["Location"].rpartition("/")[0]


@pytest.mark.parametrize(
    ("root", "path", "query", "led"),
    [
        ("", "/build", "", "/build?runcast=/runs"),
        ("/app", "/build/", "branch=main&x=1", "/app/build/?branch=main&x=1&runcast=/runs"),
        ("", "//evil.example/build", "", "/evil.example/build?runcast=/runs"),
        ("", "/ein bäckchen", "", "/ein%20b%C3%A4ckchen?runcast=/runs"),
        ("", "/a", 'x="</script>\\', "/a?x=%22%3C/script%3E%5C&runcast=/runs"),
        ("", "/a", "x=%2Fb%26c", "/a?x=%2Fb%26c&runcast=/runs"),
    ],
)
def test_browser_stays_at_the_view(store: Store, root: str, path: str, query: str, led: str):
    """A browser is led to the view's own URL, with its parameters, on this host and never broken up."""
    assert location(store, path, query, root) == led


@pytest.mark.parametrize(("may_read", "led"), [(True, "/app/runs"), (False, "/app/build?runcast=/runs")])
def test_who_may_not_read_stays_at_the_view(store: Store, may_read: bool, led: str):
    """Whom the mounted API lets not read a run has its page and log at the view, which shows it anyway."""
    asked = []

    def decide(run: Run) -> bool:
        asked.append(run.id)
        return may_read

    for accept, header, end in (
        ("text/html", "Location", ""),
        ("text/plain", "Content-Location", "/log"),
    ):
        request = Request("GET", "/build", "/app", "", {"accept": accept})
        reply = stream_reply(
            store, ["true"], request, view="v", runs="/app/runs", may_read=decide, options={}
        )
        assert dict(reply.headers)[header] == f"{led}/{asked[-1]}{end}"


@pytest.mark.parametrize("interval", [0, -1, float("nan"), "5"])
def test_interval_that_is_none(store: Store, interval: object):
    """The author of a view whose interval is no time gets the error, and nothing is started."""
    request = Request("GET", "/build", "", "", {"accept": "text/plain"})
    with pytest.raises(UsageError, match="expected interval as seconds, more than 0"):
        stream_reply(store, ["true"], request, view="v", runs=None, interval=interval, options={})
    assert list(store.list()) == []


def test_only_its_own(store: Store):
    """Behind a view are the page's files and its own runs, to be read: no list, no start, no other's run."""
    ask(store, "/build")
    (own,) = store.list()
    other = store.start(["true"])

    def status(path: str, method: str = "GET") -> int:
        request = Request(method, "/build", "", f"x=1&runcast={path}", {"accept": "application/json"})
        return stream_reply(store, ["true"], request, view="v", runs=None, options={}).status

    assert status(f"/runs/{own.id}") == status(f"/runs/{own.id}/log?wait=0") == 200
    assert status(f"/runs/{other.id}") == status(f"/runs/{other.id}/log") == 403
    assert status("/runs") == status("/commands") == 403
    assert status("/runs", "POST") == status(f"/runs/{own.id}/stop", "POST") == 403
    assert status(f"/runs/{own.id}", "DELETE") == 403
    assert status("/nowhere") == 404
    assert len(list(store.list())) == 2


def test_modules_find_each_other(store: Store):
    """Scripts of the page import each other from behind the view, too, whatever stands in its query."""
    page = ask(store, "/build", 'q="&runcast=/runs/-/assets/none.js')
    assert page.status == 404
    ask(store, "/build")
    (run,) = store.list()
    page = ask(store, "/build", f'q="\\&runcast=/runs/{run.id}').body.decode()
    assert ' data-may="">' in page
    script = page.partition('<script type="module" src="')[2].partition('"')[0].replace("&amp;", "&")
    path, _, query = script.partition("?")
    code = ask(store, path, query).body.decode()
    imported = code.partition('from "')[2].partition('"')[0]
    assert imported.startswith("/build?q=%22%5C&runcast=/runs/-/assets/")
    assert "\\" not in imported
    assert ask(store, *imported.split("?", 1)).status == 200
