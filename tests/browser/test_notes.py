"""Notes of a run on its page: the newest above the output, the others in a list, marks at their lines."""

import re

import pytest
from playwright.sync_api import expect

from runcast import Run
from tests.helpers.browser import LONG, Person, Puppet
from tests.helpers.wait import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.slow]
expect.set_options(timeout=LONG * 1000)


def test_notes(person: Person, run: Run, puppet: Puppet):
    """A note is on the page as it comes, as text, with a mark at its line; it is there after the end, too."""
    puppet.say("one\ntwo\n")
    wait_until(lambda: run.tail_offset == 8, LONG)
    run.note("<b>first</b>")
    page = person.open(f"/runs/{run.id}")
    expect(page.locator("#notes-last")).to_have_text("<b>first</b>")

    puppet.say("three\nfour\n")
    expect(page.locator(".line")).to_have_count(4)
    wait_until(lambda: run.tail_offset == 19, LONG)
    expect(page.locator(".mark-note")).to_have_text(re.compile("three"))
    run.note("second")
    expect(page.locator("#notes-last")).to_have_text("second (2 notes)")
    page.locator("#notes-last").click()
    expect(page.locator("#notes-list li")).to_have_text(
        [re.compile("line 3 <b>first</b>"), re.compile("line 5 second")]
    )
    page.locator("#notes-list a").first.click()
    expect(page.locator(".line.chosen")).to_have_text(re.compile("three"))

    run.kill()
    run.wait(timeout=LONG)
    expect(page.locator("#state")).not_to_have_text("running")
    expect(page.locator("#notes-list li")).to_have_count(2)
