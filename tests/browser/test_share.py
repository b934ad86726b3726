"""A share link in a browser: made on the page, opened by somebody else, and what that page has."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Response, Route, expect

from runcast import Run
from runcast.web.http.share import ShareKey
from tests.helpers.browser import LONG, Person, Puppet, Serving, shows
from tests.helpers.servers import Server

pytestmark = [pytest.mark.browser, pytest.mark.slow]
expect.set_options(timeout=LONG * 1000)

SECRET = "0123456789abcdef"
FLASK = """
    from flask import Flask
    from runcast.web.flask import Runcast
    app = Flask(__name__)
    app.secret_key = {secret!r}
    cast = Runcast(app, authorize=lambda verb, run, request: request.header("x-user") == "ada")
"""
MOUNTED = """
    from flask import Flask
    from runcast.web.flask import Runcast
    app = Flask(__name__)
    cast = Runcast(app)
"""


def stranger(browser: Browser, root: str) -> Person:
    """Return somebody at a fresh browser, who has no token."""
    return Person(browser, SimpleNamespace(root=root, url=root))


def link(server: Serving, run: Run, seconds: int) -> str:
    """Return a share link that expires in so many seconds."""
    token = urlsplit(server.url).query.removeprefix("token=")
    expires = int(time.time()) + seconds
    return f"{server.root}/runs/{run.id}?share={ShareKey(token).token(run.id, expires)}"


def buttons(page: Page) -> set[str]:
    """Return what of the row of actions is shown."""
    return {one.inner_text() for one in page.locator(".actions > :not([hidden])").all() if one.is_visible()}


def follow(page: Page, url: str) -> list[Response]:
    """Click on a link to a URL on a page of another site; return all replies of the server from then on."""
    replies: list[Response] = []
    page.on("response", lambda reply: replies.append(reply))
    page.set_content(f"<a href='{url}'>Look at this</a>")
    page.get_by_role("link").click()
    return replies


def test_link_from_page_to_page(browser: Browser, person: Person, server: Serving, run: Run, puppet: Puppet):
    """The link that the owner copies opens in a fresh browser, from another site, and shows live output."""
    person.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = person.open(f"/runs/{run.id}")
    page.get_by_role("button", name="Copy link").click()
    expect(page.locator("#copied")).to_have_text("Link copied. It opens for those whom this server lets in.")
    page.get_by_role("button", name="Copy read-only link").click()
    expect(page.locator("#copied")).to_contain_text(
        "Read-only link copied. Anybody may watch this run by it until"
    )
    url: str = page.evaluate("navigator.clipboard.readText()")
    assert url.startswith(f"{server.root}/runs/{run.id}?share=")

    with stranger(browser, server.root) as guest:
        seen = guest.context.new_page()
        replies = follow(seen, f"{url}#L1")
        puppet.say("one\n")
        shows(seen, "one")
        assert seen.url == f"{server.root}/runs/{run.id}#L1"
        puppet.say("two\n")
        shows(seen, "one", "two")
        seen.locator("#find-open").click()
        seen.locator("#find-text").fill("two")
        seen.keyboard.press("Enter")
        expect(seen.locator("#find-count")).to_contain_text("1")
        expect(seen.locator("#shared-until")).to_contain_text("to read, until")
        assert buttons(seen) == {"Download", "Copy link", "Copy command", "Notify me", "Keys"}
        expect(seen.get_by_role("link", name="All runs")).to_be_hidden()
        # Nothing was requested in vain, and the token went no further than to the first address.
        assert [(reply.url, reply.status) for reply in replies if reply.status >= 400] == []
        assert [reply.url for reply in replies if "share" in urlsplit(reply.url).query] == [url]
        seen.reload()
        shows(seen, "one", "two")
        for path in ("/runs", "/metrics", f"/runs/{run.id}0"):
            assert (reply := seen.goto(server.root + path)) is not None
            assert reply.status == 401
    assert run.outcome is None


def test_line_for_curl(person: Person, start: Callable[[str], Run]):
    """The line that the owner copies reads the log in any terminal, without the token."""
    person.context.grant_permissions(["clipboard-read", "clipboard-write"])
    run = start("echo one; echo two")
    run.wait(timeout=LONG)
    page = person.open(f"/runs/{run.id}")
    page.get_by_role("button", name="Copy curl line").click()
    expect(page.locator("#copied")).to_contain_text(
        "Line for curl copied. It reads this run, and nothing else, until"
    )
    line: str = page.evaluate("navigator.clipboard.readText()")

    done = subprocess.run(["bash", "-c", line], capture_output=True, timeout=LONG, check=True)
    assert done.stdout == b"one\ntwo\n"


def test_expired(browser: Browser, server: Serving, run: Run):
    """A link whose time is over says so, and when that was."""
    with stranger(browser, server.root) as guest:
        page = guest.context.new_page()
        reply = page.goto(link(server, run, -60))

        assert reply is not None
        assert reply.status == 403
        expect(page.get_by_role("heading")).to_have_text("This link has expired")
        expect(page.get_by_text("this one expired on 20")).to_be_visible()


def test_expires_while_watched(browser: Browser, server: Serving, run: Run, puppet: Puppet):
    """A page that is open when its link expires keeps what it shows, and says why no more comes."""

    def expired(route: Route) -> None:
        reply = route.fetch()
        if reply.ok and not route.request.is_navigation_request():
            route.fulfill(response=reply, json=reply.json() | {"shared_until": "2026-01-01T00:00:00Z"})
        else:
            route.fulfill(response=reply)

    with stranger(browser, server.root) as guest:
        page = guest.context.new_page()
        page.goto(link(server, run, 3600))
        page.route(f"**/runs/{run.id}", expired)
        page.reload()
        puppet.say("one\n")
        shows(page, "one")

        guest.context.clear_cookies()  # as the browser does with one that expires
        page.evaluate("dispatchEvent(new Event('online'))")  # so that it looks

        expect(page.locator("#problem")).to_have_text(
            "The share link by which this page was opened has expired."
        )
        shows(page, "one")


def test_of_an_application(browser: Browser, run: Run, puppet: Puppet, tmp_path: Path):
    """An application with a login signs links by its own secret, and its page has what may be done."""
    with Server(tmp_path, "gunicorn", FLASK.format(secret=SECRET)) as server:
        with stranger(browser, server.root) as ada:
            ada.context.set_extra_http_headers({"X-User": "ada"})
            made = ada.context.request.post(f"{server.root}/runs/{run.id}/share", data="{}")
            assert made.status == 201
            url = made.json()["url"]
            assert "Copy read-only link" in buttons(loaded(ada.open(f"/runs/{run.id}")))
        with stranger(browser, server.root) as guest:
            page = guest.context.new_page()
            replies = follow(page, url)
            puppet.say("one\n")
            shows(page, "one")
            assert page.url == f"{server.root}/runs/{run.id}"
            assert buttons(page) == {"Download", "Copy link", "Copy command", "Notify me", "Keys"}
            assert [(reply.url, reply.status) for reply in replies if reply.status >= 400] == []


def test_where_an_id_is_enough(browser: Browser, run: Run, tmp_path: Path):
    """Where the plain address may stop the run, its link says so; there is no other, and no list."""
    with Server(tmp_path, "gunicorn", MOUNTED) as server:
        with stranger(browser, server.root) as person:
            person.context.grant_permissions(["clipboard-read", "clipboard-write"])
            page = loaded(person.open(f"/runs/{run.id}"))
            page.get_by_role("button", name="Copy link").click()
            expect(page.locator("#copied")).to_have_text(
                "Link copied. It is not read-only: who opens it may also stop the run."
            )
            assert buttons(page) == {
                "Stop",
                "Download",
                "Copy link",
                "Copy command",
                "Copy curl line",
                "Notify me",
                "Keys",
            }
            expect(page.get_by_role("link", name="All runs")).to_be_hidden()


def loaded(page: Page) -> Page:
    """Return a page that has its run."""
    expect(page.locator("#state")).to_have_text("running")
    return page
