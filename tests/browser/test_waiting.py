"""A run that may wait for its viewer: how its page shows that, and takes the answer."""

import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from playwright.sync_api import Browser, Page, expect

from runcast import Run, Store
from tests.helpers.browser import LONG, Person, Serving, shows
from tests.helpers.servers import Server
from tests.helpers.wait import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.slow]
expect.set_options(timeout=LONG * 1000)

FLASK = """
    from flask import Flask
    from runcast.web.flask import Runcast
    app = Flask(__name__)
    cast = Runcast(app, authorize=lambda verb, run, request: verb in {verbs})
"""
ASKS = "printf 'Name? '; read name; echo \"hello $name\"; printf 'Sure? '; read sure; echo \"so $sure\""


@pytest.fixture(name="asking")
def asking_fixture(store: Store) -> Iterator[Run]:
    """Give a run that asks two questions."""
    run = store.start(["bash", "-c", ASKS], stdin="pipe", name="asking")
    yield run
    if run.outcome is None:
        run.kill()


def icon(page: Page) -> str:
    """Return the name of the page's icon."""
    href = page.locator("link[rel=icon]").get_attribute("href") or ""
    return href.rpartition("/")[2].partition(".")[0]


def test_answers(person: Person, asking: Run):
    """Each question is shown with a box, which takes no focus and is gone when it was answered."""
    page = person.open(f"/runs/{asking.id}")
    expect(page.locator("#waiting")).to_contain_text("It may be waiting for you: Name?")
    assert icon(page) == "icon-wait"
    expect(page.locator("#state")).to_have_text("waiting")
    expect(page.locator("#outcome")).to_have_text("May be waiting for input.")
    assert page.title() == "? asking \u2013 waiting"
    assert page.evaluate("document.activeElement.localName") == "body"
    box = page.get_by_label("Name?")
    expect(box).to_have_attribute("type", "text")

    box.fill("Ada \u65e5\u672c")
    box.press("Enter")
    expect(page.locator("#question")).to_have_text("Sure?")
    expect(page.get_by_label("Sure?")).to_have_value("")
    page.get_by_label("Sure?").fill("yes")
    page.locator("#answer button").click()

    expect(page.locator("#state")).to_have_text("done")
    expect(page.locator("#waiting")).to_be_hidden()
    assert icon(page) == "icon-good"
    shows(page, "Name? hello Ada \u65e5\u672c", "Sure? so yes")


@pytest.mark.parametrize("verbs", [["read"], ["read", "send"]], ids=["reads", "sends"])
def test_who_may_send(browser: Browser, asking: Run, tmp_path: Path, verbs: list[str]):
    """Who may only read sees the question without a box; answers reach a run by plain requests, too."""
    with Server(tmp_path, "gunicorn", FLASK.format(verbs=verbs)) as server:
        with Person(browser, SimpleNamespace(root=server.root, url=server.root)) as person:
            page = person.open(f"/runs/{asking.id}")
            expect(page.locator("#waiting")).to_contain_text("Name")
            expect(page.locator("#answer")).to_be_visible(visible="send" in verbs)
            if "send" in verbs:
                page.get_by_label("Name?").fill("Ada")
                page.get_by_label("Name?").press("Enter")
                expect(page.locator("#question")).to_have_text("Sure?")
                expect(page.locator(".line").first).to_contain_text("hello Ada")


def test_refused(person: Person, asking: Run):
    """An answer that cannot be sent is an error on the page."""
    page = person.open(f"/runs/{asking.id}")
    expect(page.get_by_label("Name?")).to_be_visible()
    page.evaluate("document.querySelector('#answer-text').value = 'x'")
    asking.kill()
    expect(page.locator("#state")).to_have_text(re.compile("SIGKILL|stopped"))

    page.evaluate("document.querySelector('#answer').requestSubmit()")
    expect(page.get_by_role("alert")).to_be_visible()


def test_notice(browser: Browser, server: Serving, asking: Run):
    """A page that is out of sight sends a notice with the question in it, where its viewer asked for that."""
    with Person(browser, server) as person:
        person.context.grant_permissions(["notifications"])
        person.context.add_init_script(
            """window.notices = [];
            window.Notification = class extends EventTarget {
              static permission = "granted";
              static async requestPermission() { return "granted"; }
              constructor(title, options) { super(); window.notices.push([title, options.body]); }
            };
            Object.defineProperty(document, "hidden", {get: () => true});"""
        )
        page = person.open(f"/runs/{asking.id}")
        expect(page.locator("#waiting")).to_be_visible()
        assert page.evaluate("notices") == []
        page.get_by_role("button", name="Notify me").click()
        page.reload()

        wait_until(lambda: page.evaluate("notices.length"), timeout=LONG, what="a notice")
        assert page.evaluate("notices") == [["asking may be waiting for you", "Name?"]]


def test_box_is_safe(person: Person, store: Store):
    """A question with markup and controls is text, and an answer is one line of text."""
    run = store.start(
        ["bash", "-c", "printf '<img src=x onerror=alert(1)> '; read a; printf %q \"$a\""], stdin="pipe"
    )
    page = person.open(f"/runs/{run.id}")
    expect(page.locator("#question")).to_have_text("<img src=x onerror=alert(1)>")
    page.locator("#answer-text").fill("a\x1b[5n\x03b")
    page.locator("#answer-text").press("Enter")

    shows(page, "<img src=x onerror=alert(1)> a\\[5nb")
    assert page.locator("img[src=x]").count() == 0
