"""What pages of others can make a real browser do to this server: nothing started, nothing read.

The person at the browser has opened the token URL, so the browser has the cookie. The attacker's
page runs every vector that a page has. The same vectors from the server's own page do succeed,
so they would be noticed.
"""

import contextlib
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from runcast import Run, Store
from runcast.web.page import list_page
from tests.helpers.browser import chromium
from tests.helpers.cli import LONG
from tests.integration.server.test_serve import Server, serving

FOREIGN = "evil.example"
ICON = re.findall(rb"[\w.]+\.svg", list_page(""))[0].decode()  # the only image there is

pytestmark = [pytest.mark.slow, pytest.mark.browser]

# Returns the vectors that could read something: each resolves to what it read, in time.
ATTACK = """
async ([url, id, icon, patience]) => {
  const start = JSON.stringify({command: ["touch", "/dev/null"]});
  const log = `${url}/runs/${id}/log`, text = `${log}?format=text&follow=0`;
  const late = () => new Promise((resolve) => setTimeout(resolve, patience, "too late"));
  const read = (begin) => Promise.race([late(), new Promise(begin).catch(() => "")]);
  const get = (path, options) => read((resolve, reject) => {
    fetch(url + path, options).then((reply) => reply.ok ? reply.text() : "").then(resolve, reject);
  });
  const post = (path, options) => get(path, {method: "POST", credentials: "include", ...options});
  const form = (enctype, name, value) => {
    const element = document.createElement("form");
    Object.assign(element, {method: "POST", action: url + "/runs", enctype, target: "frame"});
    const input = document.createElement("input");
    Object.assign(input, {name, value});
    element.append(input);
    document.body.append(element);
    HTMLFormElement.prototype.submit.call(element);
  };
  const element = (name, values) => read((resolve) => {
    const made = Object.assign(document.createElement(name), values);
    made.onload = () => resolve(`${name} loaded`);
    made.onerror = () => resolve("");
    document.body.append(made);
  });
  const names = [], waits = [];
  const vector = (name, promise) => { names.push(name); waits.push(promise); };
  vector("get", get("/runs", {credentials: "include"}));
  vector("get without cookie", get("/runs", {credentials: "omit"}));
  vector("get, no cors", get("/runs", {mode: "no-cors", credentials: "include"}));
  vector("get with header", get("/runs", {headers: {"X-Runcast": "1"}, credentials: "include"}));
  vector("events", read((resolve) => {
    const events = new EventSource(log, {withCredentials: true});
    events.onmessage = (event) => { events.close(); resolve(event.data); };
    events.onerror = () => { events.close(); resolve(""); };
  }));
  vector("websocket", read((resolve) => {
    const socket = new WebSocket(log.replace("http", "ws"));
    socket.onmessage = (event) => { socket.close(); resolve(event.data); };
    socket.onclose = () => resolve("");
  }));
  const framed = Object.assign(document.createElement("iframe"), {src: text});
  document.body.append(framed);
  vector("script", element("script", {src: url + "/runs"}));
  vector("image", element("img", {src: `${url}/runs/-/assets/${icon}`}));
  vector("window", read((resolve) => {
    const opened = window.open(text);
    const timer = setInterval(() => {
      let text = "";
      try {
        text = opened.document.body.innerText;
      } catch (error) {
        if (error instanceof DOMException) text = " ";  // it is another origin's by now
      }
      if (text) { clearInterval(timer); resolve(text); }
    }, 20);
  }));
  await Promise.all(waits);
  vector("post text", post("/runs", {mode: "no-cors", body: start}));
  vector("post no type", post("/runs", {mode: "no-cors", body: new Blob([start])}));
  vector("post json", post("/runs", {body: start, headers: {"Content-Type": "application/json"}}));
  vector("post header", post("/runs", {body: start, headers: {"X-Runcast": "1"}}));
  vector("rerun", post(`/runs/${id}/rerun`, {mode: "no-cors"}));
  vector("stop", post(`/runs/${id}/stop`, {mode: "no-cors", body: "{}"}));
  vector("delete", post(`/runs/${id}`, {method: "DELETE", headers: {"X-Runcast": "1"}}));
  navigator.sendBeacon(url + "/runs", start);
  navigator.sendBeacon(url + "/runs", new Blob([start], {type: "application/json"}));
  const frame = document.createElement("iframe");
  frame.name = "frame";
  document.body.append(frame);
  form("text/plain", '{"command": ["touch", "/dev/null"], "x": "', '"}');
  form("application/x-www-form-urlencoded", "command", "touch /dev/null");
  form("multipart/form-data", "command", "touch /dev/null");
  await Promise.all(waits);
  vector("stop with header", post(`/runs/${id}/stop`, {headers: {"X-Runcast": "1"}}));
  await Promise.all(waits);  // what another vector has stopped cannot be stopped
  vector("stop by websocket", read((resolve) => {
    const socket = new WebSocket(log.replace("http", "ws"));
    socket.onopen = () => socket.send(JSON.stringify({stop: {grace: 0}}));
    socket.onmessage = (event) => { if (event.data.includes("NotAllowed")) resolve("refused"); };
    socket.onclose = () => resolve("");
  }));
  await Promise.all(waits);
  vector("frame", framed.contentDocument?.body?.innerText ?? "");
  const values = await Promise.all(waits);
  const telling = new RegExp(`too late|refused|secret|loaded|created_at|${id}`);
  return names.filter((_, at) => telling.test(values[at]));
}
"""


class Page(BaseHTTPRequestHandler):
    """The attacker's own server: an empty page."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>evil</title><body></body>")

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture(name="attacker", scope="module")
def attacker_fixture() -> Iterator[int]:
    """Give the port of the attacker's server, on this very machine: nearer than any real one."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(name="browser", scope="module")
def browser_fixture() -> Iterator[Browser]:
    """Give a browser for which the attacker's names are this machine, as after DNS rebinding."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium(),
            args=["--no-sandbox", f"--host-resolver-rules=MAP {FOREIGN} 127.0.0.1"],
        )
        yield browser
        browser.close()


@contextlib.contextmanager
def attacked(store: Store, *arguments: str) -> Iterator[tuple[Server, Run]]:
    """Give a server with one run that goes on, and see that it still does and is the only one."""
    run = store.start(["sh", "-c", "echo secret; exec sleep 600"])
    with serving("--allow-any-command", *arguments) as server:
        yield server, run
        assert [other.id for other in store.list()] == [run.id]
        assert run.outcome is None


@pytest.mark.parametrize("arguments", [[], ["--no-auth"]], ids=["token", "no token"])
@pytest.mark.parametrize("origin", ["another site", "another port", "localhost", "rebound"])
def test_foreign_page(store: Store, browser: Browser, attacker: int, origin: str, arguments: list[str]):
    """A page of another origin, or of a name that was rebound to this server, starts and reads nothing."""
    with attacked(store, *arguments) as (server, run):
        url = f"http://127.0.0.1:{server.port}"
        page_url, target = {
            "another site": (f"http://{FOREIGN}:{attacker}/", url),
            "another port": (f"http://127.0.0.1:{attacker}/", url),  # same site: strict cookies are sent
            "localhost": (f"http://localhost:{attacker}/", url),
            "rebound": (f"http://{FOREIGN}:{server.port}/", f"http://{FOREIGN}:{server.port}"),
        }[origin]
        with browser.new_context() as context:
            context.new_page().goto(server.url)
            page = context.new_page()
            if origin == "rebound":  # the attacker's page came from there before its name meant this machine
                page.route(
                    page_url, lambda route: route.fulfill(content_type="text/html", body="<body></body>")
                )
            page.goto(page_url)

            assert page.evaluate("self.origin") == page_url.rstrip("/")
            assert page.evaluate(ATTACK, [target, run.id, ICON, 1000 * LONG]) == []


def test_own_page(store: Store, browser: Browser):
    """The vectors work: the server's own page starts, reads and stops with them."""
    run = store.start(["sh", "-c", "echo secret; exec sleep 600"])
    with serving("--allow-any-command") as server, browser.new_context() as context:
        page = context.new_page()
        page.goto(server.url)

        read = page.evaluate(ATTACK, [f"http://127.0.0.1:{server.port}", run.id, ICON, 1000 * LONG])

    readable = {"get", "get with header", "events", "websocket", "image", "window"}
    assert readable | {"post json", "post header", "stop with header"} <= set(read)
    assert len(list(store.list())) >= 3
    assert not run.wait(timeout=LONG).ok


def test_link_from_elsewhere(store: Store, browser: Browser, attacker: int):
    """A link on another site leads to a page with nothing but a link, and that one leads on."""
    with serving() as server, browser.new_context() as context:
        page = context.new_page()
        page.goto(server.url)
        page.goto(f"http://{FOREIGN}:{attacker}/")
        page.evaluate("(url) => { location = url; }", f"http://127.0.0.1:{server.port}/commands?x=1")
        page.wait_for_url("**/commands?x=1")
        shown = page.content()

        page.click("text=Open this page again")

        page.wait_for_function("document.body.innerText.includes('commands')")
        assert "This server requires its token" in shown  # the browser keeps its strict cookie for itself
        assert page.url == f"http://127.0.0.1:{server.port}/commands?x=1"


def test_token_typed_into_the_page(store: Store, browser: Browser):
    """Who opens a page without the token can type it there."""
    with serving() as server, browser.new_context() as context:
        page = context.new_page()
        page.goto(f"http://127.0.0.1:{server.port}/commands")

        page.fill("input", server.token)
        page.click("button")

        page.wait_for_function("document.body.innerText.includes('commands')")
        assert page.url == f"http://127.0.0.1:{server.port}/commands"
