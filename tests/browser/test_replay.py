"""Replaying a run on its page: in its own time, with pauses cut, to any point and back."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from runcast import Run, Store
from runcast.model import Channel
from tests.helpers.browser import LONG, Person, Puppet, lines, shows, stop_clock
from tests.helpers.wait import wait_until
from tests.unit.runs import make_run

pytestmark = [pytest.mark.browser, pytest.mark.slow]
expect.set_options(timeout=LONG * 1000)

PAUSES = "echo one; sleep 0.4; echo two; sleep 3; echo three >&2"
APPENDS = ((Channel.STDOUT, b"one\n"), (Channel.STDOUT, b"two\n"), (Channel.STDERR, b"three\n"))
WHOLE = ["one", "two", "three"]


def seek(page: Page, seconds: float) -> None:
    """Move the slider of the time."""
    page.locator("#replay-at").evaluate(
        "(slider, at) => { slider.value = at; slider.dispatchEvent(new Event('input', {bubbles: true})); }",
        str(seconds),
    )


def test_replay(person: Person, start: Callable[[str], Run]):
    """Output comes again, a long pause takes 2 s, and leaving shows all."""
    run = start(PAUSES)
    run.wait(timeout=LONG)
    page = person.open(f"/runs/{run.id}")
    shows(page, *WHOLE)
    stop_clock(page)

    page.get_by_role("button", name="Replay", exact=True).click()
    expect(page.get_by_role("button", name="Pause", exact=True)).to_be_focused()
    page.clock.run_for(200)
    shows(page, "one")
    page.clock.run_for(1900)
    shows(page, "one", "two")
    page.clock.run_for(2000)
    shows(page, *WHOLE)
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()
    expect(page.locator("#replay-time")).to_have_text(re.compile(r"^(\d\.\d) s of \1 s$"))
    page.get_by_role("button", name="Leave replay").click()

    expect(page.locator("#replaying")).to_be_hidden()
    expect(page.get_by_role("button", name="Replay", exact=True)).to_be_visible()
    shows(page, *WHOLE)


def test_seek(person: Person, store: Store):
    """The slider goes to any time and back, also with pauses as they were; what is shown stays then."""
    run_id = make_run(Path(store.path), appends=APPENDS, times=(0, 0.4, 3.4))
    page = person.open(f"/runs/{run_id}")
    shows(page, *WHOLE)
    stop_clock(page)  # a replay that has come to its end has no button to pause it
    page.get_by_role("button", name="Replay", exact=True).click()
    page.get_by_role("button", name="Pause", exact=True).click()
    page.clock.resume()

    seek(page, 1)
    shows(page, "one", "two")
    seek(page, 0.1)
    shows(page, "one")
    seek(page, 99)
    shows(page, *WHOLE)
    seek(page, 1)
    page.get_by_label("Cut pauses").uncheck()
    wait_until(lambda: page.locator("#replay-at").evaluate("(slider) => slider.max >= 3.3"), what="more time")
    shows(page, "one", "two")
    seek(page, 2.9)
    shows(page, "one", "two")
    page.get_by_label("Speed").select_option("16")
    page.get_by_role("button", name="Play", exact=True).click()
    shows(page, *WHOLE)


def test_replay_of_a_run_that_goes_on(person: Person, run: Run, puppet: Puppet):
    """There is no replay before the end, and none of a run without output."""
    page = person.open(f"/runs/{run.id}")
    puppet.say("one\n")
    shows(page, "one")
    expect(page.get_by_role("button", name="Replay", exact=True)).to_be_hidden()

    puppet.exit()
    expect(page.locator("#state")).to_have_text("done")
    expect(page.get_by_role("button", name="Replay", exact=True)).to_be_visible()


def test_replay_of_many_lines(person: Person, start: Callable[[str], Run]):
    """A long output is replayed as far as it is recent, and its end is what it was."""
    run = start("seq 60000")
    run.wait(timeout=LONG)
    page = person.open(f"/runs/{run.id}")
    expect(page.locator("#state")).to_have_text("done")
    page.get_by_role("button", name="Replay", exact=True).click()
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()

    expect(page.locator("#lines-here .line").last).to_have_text("60000")
    wait_until(lambda: len(lines(page)) > 50, timeout=LONG, what="the lines above it")
