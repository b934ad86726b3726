"""Pages of other origins in a real browser: a listed one reads runs, an unlisted one nothing, none does more.

The pages run on this very machine at other ports, which is as near as another origin comes: the
same site, so that the browser adds what cookies it has.
"""

import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser

from runcast import Run, Store
from tests.helpers.browser import LONG, Serving
from tests.helpers.servers import Server
from tests.integration.server.test_foreign_pages import ATTACK, ICON, Page

pytestmark = [pytest.mark.slow, pytest.mark.browser]

STARLETTE = """
    from starlette.applications import Starlette
    from runcast.web.starlette import Runcast
    app = Starlette()
    Runcast(
        app,
        authorize=lambda verb, run, request: True,
        allow_any_command=True,
        allow_origins=["LISTED"],
    )
"""
FLASK = STARLETTE.replace("starlette.applications", "flask").replace("web.starlette", "web.flask")
FLASK = FLASK.replace("Starlette()", "Flask(__name__)").replace("Starlette", "Flask")
READS = {"fetch", "fetch by URL", "poll", "run", "list", "offset", "events", "events go on", "websocket"}

# What a page does that knows the token: each name with what it got, an empty text for nothing.
SCRIPT = """
async ([url, id, token, patience]) => {
  const log = `${url}/runs/${id}/log`, key = `token=${token}`;
  const bearer = {Authorization: `Bearer ${token}`};
  const late = () => new Promise((resolve) => setTimeout(resolve, patience, ""));
  const within = (begin) => Promise.race([late(), new Promise(begin).catch(() => "")]);
  const got = (url, options) =>
    fetch(url, options).then((reply) => reply.ok ? reply.text() : "").catch(() => "");
  const change = (method, path, options) => got(url + path, {method, ...options});
  const json = {headers: {...bearer, "Content-Type": "application/json"}, body: '{"command": ["true"]}'};
  const simple = {mode: "no-cors", body: '{"command": ["true"]}'};
  const socket = (ask, taken) => within((resolve) => {
    const opened = new WebSocket(`${log.replace("http", "ws")}?${key}`);
    opened.onopen = () => ask && opened.send(JSON.stringify(ask));
    opened.onmessage = (event) => {
      if (taken(event.data)) { opened.close(); resolve(event.data); }
    };
    opened.onclose = () => resolve("");
  });
  const events = (taken, query) => within((resolve) => {
    const source = new EventSource(`${log}?${key}${query}`);
    source.onmessage = (event) => {
      if (taken(event.data)) { source.close(); resolve(event.data); }
    };
    source.onerror = () => { source.close(); resolve(""); };
  });
  const found = {
    "fetch": got(`${log}?format=text&follow=0`, {headers: bearer}),
    "fetch by URL": got(`${log}?format=text&follow=0&${key}`),
    "poll": got(`${log}?format=json&wait=0&offset=0`, {headers: {...bearer, "Cache-Control": "no-cache"}}),
    "run": got(`${url}/runs/${id}?${key}`),
    "list": got(`${url}/runs`, {headers: bearer}),
    "offset": fetch(`${url}/v1/stream/runs/${id}?offset=-1`, {headers: bearer})
      .then((reply) => reply.headers.get("Stream-Next-Offset") ?? "").catch(() => ""),
    "events": events((line) => line === "secret", ""),
    "events go on": events((line) => line === "later", "&offset=7"),
    "websocket": socket(null, (text) => text.includes('"text":"secret')),
  };
  for (const name in found) found[name] = await found[name];
  return {...found,
    "start": await change("POST", `/runs?${key}`, json),
    "start simply": await change("POST", `/runs?${key}`, simple),
    "stop": await change("POST", `/runs/${id}/stop?${key}`, json),
    "stop simply": await change("POST", `/runs/${id}/stop?${key}`, simple),
    "stop with cookies": await change("POST", `/runs/${id}/stop`, {...simple, credentials: "include"}),
    "delete": await change("DELETE", `/runs/${id}`, json),
    "make": await change("PUT", `/v1/stream/s?${key}`, json),
    "append": await change("POST", `/v1/stream/s?${key}`, simple),
    "commands": await got(`${url}/commands`, {headers: bearer}),
    "fetch with cookies": await got(`${log}?format=text&follow=0`, {credentials: "include"}),
    "stop by websocket": (await socket({stop: {grace: 0}}, (text) => text.includes("NotAllowed")))
      && "NotAllowed",
  };
}
"""


@pytest.fixture(name="pages", scope="module")
def pages_fixture() -> Iterator[tuple[str, str]]:
    """Give two origins that have an empty page: one to be listed, and another."""
    servers = [ThreadingHTTPServer(("127.0.0.1", 0), Page) for _ in range(2)]
    threads = [threading.Thread(target=server.serve_forever) for server in servers]
    for thread in threads:
        thread.start()
    try:
        yield (
            f"http://127.0.0.1:{servers[0].server_port}",
            f"http://127.0.0.1:{servers[1].server_port}",
        )
    finally:
        for server, thread in zip(servers, threads, strict=True):
            server.shutdown()
            thread.join()
            server.server_close()


@pytest.fixture(name="run")
def run_fixture(store: Store) -> Run:
    """Give a run that has something to tell, and goes on."""
    return store.start(["sh", "-c", "echo secret; echo later; exec sleep 600"])


@pytest.fixture(name="server", params=["serve", "flask", "starlette"])
def server_fixture(
    request: pytest.FixtureRequest, pages: tuple[str, str], run: Run, store: Store, tmp_path: Path
) -> Iterator[tuple[str, str]]:
    """Give the URL and the token of a server that lists the first page; then see that nothing happened."""
    if request.param == "serve":
        with Serving("--allow-any-command", "--allow-origin", pages[0]) as serving:
            yield serving.root, parse_qs(urlsplit(serving.url).query)["token"][0]
    else:
        name, code = ("gunicorn", FLASK) if request.param == "flask" else ("uvicorn", STARLETTE)
        with Server(tmp_path, name, code.replace("LISTED", pages[0])) as server:
            yield server.root, "none-is-wanted"
    assert [one.id for one in store.list()] == [run.id]
    assert run.outcome is None


def results(browser: Browser, page_url: str, server: tuple[str, str], run: Run) -> dict[str, Any]:
    """Return what a page got that it should not, or should: each vector with what it read."""
    url, token = server
    with browser.new_context() as context:
        context.new_page().goto(f"{url}/runs?token={token}")  # the person has been there, and has the cookie
        page = context.new_page()
        page.goto(page_url)
        assert page.evaluate("self.origin") == page_url
        found: dict[str, Any] = page.evaluate(SCRIPT, [url, run.id, token, 1000 * LONG])
        return {name: value for name, value in found.items() if value}


def test_listed_page(
    browser: Browser,
    server: tuple[str, str],
    pages: tuple[str, str],
    run: Run,
    request: pytest.FixtureRequest,
):
    """A page of a listed origin reads by fetch, EventSource and WebSocket; it starts and stops nothing."""
    found = results(browser, pages[0], server, run)

    expected = READS | {"stop by websocket"}
    if "flask" in request.node.name:  # has no WebSockets
        expected -= {"websocket", "stop by websocket"}
    assert found.keys() == expected
    assert found["fetch"] == found["fetch by URL"] == "secret\nlater\n"
    assert found["offset"] == f"{13:020}"
    assert (found["events"], found["events go on"]) == ("secret", "later")
    assert found.get("stop by websocket", "NotAllowed") == "NotAllowed"


def test_unlisted_page(browser: Browser, server: tuple[str, str], pages: tuple[str, str], run: Run):
    """A page of another origin reads, starts and stops nothing, though it knows the token."""
    assert results(browser, pages[1], server, run) == {}


@pytest.mark.parametrize("arguments", [[], ["--no-auth"]], ids=["token", "no token"])
def test_listed_page_that_attacks(
    browser: Browser, pages: tuple[str, str], run: Run, store: Store, arguments: list[str]
):
    """What foreign pages try does a listed one no good without the token: it reads, where none is wanted."""
    with Serving("--allow-any-command", "--allow-origin", pages[0], *arguments) as serving:
        with browser.new_context() as context:
            context.new_page().goto(serving.url)
            page = context.new_page()
            page.goto(pages[0])
            done = page.evaluate(ATTACK, [serving.root, run.id, ICON, 250 * LONG])

        # Of the last one "refused" comes: it could connect, and not stop the run.
        reads = {"get without cookie", "websocket", "stop by websocket"}
        assert set(done) == (reads if arguments else set())
        assert [one.id for one in store.list()] == [run.id]
        assert run.outcome is None
