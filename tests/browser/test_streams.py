"""Streams on the pages: in the list, and on a page of their own."""

import re

import pytest
from playwright.sync_api import expect

from runcast import Store
from runcast.durable import FileStreams
from runcast.wire.durable import Appending, Creation
from tests.helpers.browser import LONG, Person, shows, stop_clock

pytestmark = [pytest.mark.browser, pytest.mark.slow]
expect.set_options(timeout=LONG * 1000)

TEXT = Creation("text/plain")
CLOSE = Appending(close=True)


def test_list(person: Person, store: Store):
    """A stream comes, is closed and goes in the list, beside the runs; it says what it is."""
    store.start(["true"], name="run").wait(timeout=LONG)
    streams = FileStreams(store.path)
    page = person.open()
    expect(page.locator(".row .name")).to_have_text(["run"])

    stream, _ = streams.create("builds/42", TEXT)
    expect(page.locator(".row .name")).to_have_text(["builds/42", "run"])
    expect(page.locator(".row .state")).to_have_text(["running", "done"])
    expect(page.locator(".row .what").first).to_have_text("a stream")
    stream.append(CLOSE, b"")
    expect(page.locator(".row .state")).to_have_text(["closed", "done"])
    streams.delete("builds/42")
    expect(page.locator(".row .name")).to_have_text(["run"])


@pytest.mark.parametrize("closed", [False, True], ids=["open", "closed"])
def test_page(person: Person, store: Store, closed: bool):
    """The page of a stream shows what others append; nothing can be stopped, and it can be deleted."""
    streams = FileStreams(store.path)
    stream, _ = streams.create("builds/4 2", TEXT, b"one\n")
    page = person.open(f"/runs/{stream.id}")
    shows(page, "one")
    expect(page.locator("#outcome")).to_have_text("Open: others append to it.")
    expect(page.locator("#stop")).to_be_hidden()
    expect(page.locator("#rerun")).to_be_hidden()
    stream.append(Appending("text/plain"), b"two\n")
    shows(page, "one", "two")
    if closed:
        stream.append(CLOSE, b"")
        expect(page.locator("#outcome")).to_have_text("Closed: nothing more will be added.")
        expect(page.locator("#state")).to_have_text("closed")

    stop_clock(page)  # 4 s after the first click another would be the first again
    page.locator("#delete").click()
    page.locator("#delete").click()
    page.wait_for_url(re.compile(r"/runs$"))
    assert list(streams.names()) == []
