"""The search bar of a run's page: the server searches, the page leads from one line to the next."""

import re

import pytest
from playwright.sync_api import expect

from runcast import Store
from tests.helpers.browser import LONG, Person

pytestmark = [pytest.mark.browser, pytest.mark.slow]
expect.set_options(timeout=LONG * 1000)

MANY = 'for n in $(seq 1 30000); do [ $((n % 7000)) = 0 ] && echo "needle $n <b>" || echo line $n; done'


def test_from_one_match_to_the_next(person: Person, store: Store):
    """`/` opens the bar; matches are found in lines that are not on the page; `n` and `N` go through them."""
    run = store.start(["bash", "-c", MANY])
    run.wait(timeout=LONG)
    page = person.open(f"/runs/{run.id}")
    expect(page.locator("#state")).to_have_text("done")
    page.locator("#output").press("/")
    page.keyboard.type("NEEDLE")
    page.keyboard.press("Enter")

    expect(page.locator("#find-count")).to_have_text(re.compile("of 4 lines"))
    expect(page).to_have_url(re.compile(r"\?q=NEEDLE$"))
    page.locator("#output").focus()
    for _ in range(2):
        page.keyboard.press("n")
    page.keyboard.press("N")
    expect(page.locator(".mark-now")).to_contain_text("needle")
    expect(page.locator("#ticks")).to_be_visible()

    page.locator("#find-only").click()
    expect(page.locator("#find-list button")).to_have_count(4)
    page.locator("#find-list button").nth(2).click()
    expect(page.locator(".mark-now")).to_contain_text("needle 21000 <b>")
    expect(page.locator("#find-list")).to_be_hidden()
    with page.expect_download() as download:
        page.locator("#find-download").click()
    assert download.value.path().read_text().splitlines()[0] == "needle 7000 <b>"

    page.reload()
    expect(page.locator("#find-count")).to_have_text(re.compile("of 4 lines"))
    page.locator("#find-text").press("Escape")
    expect(page.locator("#find")).to_be_hidden()
    expect(page.locator(".mark-hit")).to_have_count(0)


def test_bad_expression(person: Person, store: Store):
    """A bad expression is said with its place, and case counts on request."""
    run = store.start(["echo", "One [x"])
    run.wait(timeout=LONG)
    page = person.open(f"/runs/{run.id}")
    page.locator("#output").press("/")
    page.locator("#find-text").fill("[x")
    page.keyboard.press("Enter")
    expect(page.locator("#find-count")).to_have_text(re.compile("1 of 1 line"))
    page.locator("#find-regex").click()
    expect(page.locator("#find-count")).to_contain_text("at character 1")
    page.locator("#find-regex").click()
    page.locator("#find-text").fill("one")
    page.locator("#find-case").click()
    expect(page.locator("#find-count")).to_contain_text("No line matches")


def test_run_is_gone(person: Person, store: Store):
    """A search in a run that was removed says so."""
    run = store.start(["echo", "one"])
    run.wait(timeout=LONG)
    page = person.open(f"/runs/{run.id}")
    expect(page.locator("#state")).to_have_text("done")
    store.remove(run)
    page.locator("#output").press("/")
    page.locator("#find-text").fill("one")
    page.keyboard.press("Enter")
    expect(page.locator("#find-count")).to_contain_text(re.compile("no run", re.I))
