"""`<runcast-log>` in somebody's own page: what the page of the run shows, below the strictest CSP."""

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, parse_qsl, quote, urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from runcast import Run, Store
from runcast.web.http.share import ShareKey
from tests.browser.test_hostile import XSS
from tests.helpers.axe import violations
from tests.helpers.browser import LONG, Person, Puppet, Serving
from tests.helpers.servers import Server
from tests.helpers.wait import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.slow]
expect.set_options(timeout=LONG * 1000)

FLASK = """
    from flask import Flask, request
    from runcast.web.flask import Runcast
    app = Flask(__name__)
    Runcast(app, url_prefix="/our")

    @app.get("/own")
    def own():
        logs = [f'<runcast-log id="{name}" src="{src}"></runcast-log>' for name, src in request.args.items()]
        script = '<script type="module" src="/our/runs/-/runcast-log.js"></script>'
        head = f'<!doctype html><html lang="en"><title>own</title>{script}'
        return f'{head}<main><h1>Own</h1>{"".join(logs)}</main>', {
            "Content-Security-Policy": "default-src 'self'; require-trusted-types-for 'script'"
        }
"""
EVENTS = """
  window.told = [];
  for (const name of ["runcast-state", "runcast-end", "runcast-error"]) {
    addEventListener(name, ({type, target, detail}) =>
      told.push([type.slice(8), target.id, detail.state ?? detail.outcome?.code ?? detail.status]));
  }
"""
NOBODY = "http://127.0.0.1:1"  # no server
INSIDE = "(one) => [...new Set([...one.shadowRoot.querySelectorAll('.text *')].map((one) => one.localName))]"


@pytest.fixture(name="person")
def person_fixture(browser: Browser, store: Store, tmp_path: Path) -> Iterator[Person]:
    """Give somebody at an application with a page of its own; what no page may do fails the test."""
    with Server(tmp_path, "gunicorn", FLASK) as server:
        with Person(browser, SimpleNamespace(root=server.root, url=server.root)) as person:
            person.context.add_init_script(EVENTS)
            yield person


def rows(page: Page, log: str) -> list[str]:
    """Return the lines that an element shows."""
    shown: list[str] = page.locator(f"{log} .text").evaluate_all("all => all.map((one) => one.textContent)")
    return shown


def shows(page: Page, log: str, *expected: str) -> None:
    """Wait until an element shows exactly these lines."""
    wait_until(lambda: rows(page, log) == list(expected), timeout=LONG, what=f"{expected} in {log}")


def test_two_logs(person: Person, run: Run, puppet: Puppet, store: Store):
    """Each shows its run live, with how it ended, and tells its page; whatever is printed stays text."""
    hostile = store.start(["printf", "%s\\n", *XSS])
    hostile.wait()
    page = person.open(f"/own?a=/our/runs/{run.id}&b=/our/runs/{hostile.id}")

    puppet.say("\x1b[31mone\x1b[0m\n10%\r20%\n")
    shows(page, "#a", "one", "20%")
    shows(page, "#b", *XSS)
    expect(page.locator("#b .state")).to_have_text("done")  # which comes behind its lines
    assert set(page.locator("#b").evaluate(INSIDE)) <= {"span"}
    expect(page.locator("#a .fg1")).to_have_text("one")
    expect(page.locator("#a .silent")).to_be_hidden()
    expect(page.locator("#a .output")).to_have_attribute("aria-live", "polite")
    number = page.locator("#a .number").first
    expect(number).to_have_attribute("href", f"{person.server.root}/our/runs/{run.id}#L1")
    assert violations(page) == []
    puppet.say("two\n", fd=2)
    puppet.say('{"level": 30, "msg": "three"}\n')
    puppet.exit(3)

    expect(page.locator("#a").get_by_text("exit 3")).to_be_visible()
    expect(page.locator("#a .words").first).to_contain_text("puppet: Failed with exit code 3 after")
    expect(page.locator("#a .output")).to_have_attribute("aria-live", "off")
    wait_until(
        lambda: {"two", "info three "} < set(rows(page, "#a")), timeout=LONG, what="both, in any order"
    )
    told = page.evaluate("told")
    assert [what for what in told if what[1] == "a"][-2:] == [["state", "a", "exited"], ["end", "a", 3]]
    assert [what for what in told if what[1] == "b"] == [["state", "b", "exited"], ["end", "b", 0]]


def test_other_runs(person: Person, run: Run, puppet: Puppet, store: Store):
    """Another `src` shows another run, a wrong one a sentence; one that leaves has no connection."""
    other = store.start(["echo", "other"])
    other.wait()
    live = f"/our/runs/{run.id}"
    page = person.open(f"/own?a={live}&none=/our/runs/01jd0000000000000000000000&bad=/nothing")
    puppet.say("one\n")
    shows(page, "#a", "one")
    expect(page.locator("#none .words").first).to_have_text("No run '01jd0000000000000000000000' here.")
    expect(page.locator("#bad .words").first).to_contain_text("Expected src as the address of a run")
    assert ["error", "none", 404] in page.evaluate("told")

    ended: list[str] = []
    for name in ("requestfailed", "requestfinished"):
        page.on(name, lambda request: ended.append(urlsplit(request.url).path))  # type: ignore[call-overload]
    change = "([log, src]) => { document.querySelector(log).src = src }"
    page.evaluate(change, ["#a", f"/our/runs/{other.id}"])
    shows(page, "#a", "other")
    wait_until(
        lambda: f"{live}/log" in ended or page.evaluate("0"), timeout=LONG, what="the end of its events"
    )
    page.evaluate(change, ["#bad", live])
    shows(page, "#bad", "one")
    ended.clear()
    page.evaluate("document.querySelector('#bad').remove()")
    wait_until(
        lambda: f"{live}/log" in ended or page.evaluate("0"), timeout=LONG, what="the end of its events"
    )


class Own(BaseHTTPRequestHandler):
    """A page of another origin: a log for each parameter, of the server that `server` names."""

    def do_GET(self) -> None:
        query = dict(parse_qsl(urlsplit(self.path).query))
        server, key = query.pop("server", ""), query.pop("key", "")
        logs = "".join(f'<runcast-log id="{name}" src="{src}"></runcast-log>' for name, src in query.items())
        script = f'<script type="module" src="{server}/runs/-/runcast-log.js?{key}"></script>'
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header(
            "Content-Security-Policy", f"default-src 'self' {server}; connect-src {server} {NOBODY}"
        )
        self.end_headers()
        self.wfile.write(f"<!doctype html><title>own</title>{script}{logs}".encode())

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture(name="own")
def own_fixture() -> Iterator[str]:
    """Give an origin with a page of its own."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Own) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_other_origin(browser: Browser, own: str, run: Run, puppet: Puppet):
    """A page of a listed origin shows a log with the token, or by a share link; without them, why not."""
    with Serving("--allow-origin", own) as serving, browser.new_context() as context:
        token = parse_qs(urlsplit(serving.url).query)["token"][0]
        src = f"{serving.root}/runs/{run.id}"
        context.add_init_script("addEventListener('securitypolicyviolation', () => (window.reported = true))")
        page = context.new_page()
        page.goto(
            f"{own}/?server={serving.root}&key=token={token}&a={src}?token={token}&b={src}&c={NOBODY}/runs/x"
        )
        puppet.say("one\n")
        shows(page, "#a", "one")
        expect(page.locator("#b .words").first).to_contain_text("The server wants to know who reads")
        expect(page.locator("#c .words").first).to_contain_text(f"lets no page of {own} read its runs")

        serving.kill()
        expect(page.locator("#a")).to_contain_text("Reconnecting …")
        puppet.say("two\n")
        serving.start()
        shows(page, "#a", "one", "two")
        expect(page.locator("#a")).not_to_contain_text("Reconnecting …")
        assert page.evaluate("window.reported") is None

        share = f"share={ShareKey(token).token(run.id, int(time.time()) + 3600)}"
        page.goto(
            f"{own}/?server={serving.root}&key={quote(f'run={run.id}&{share}')}&a={src}?{share}&b={src}"
        )
        shows(page, "#a", "one", "two")
        expect(page.locator("#b .words").first).to_contain_text("The server wants to know who reads")
