"""The real asciinema-player shows a run while it goes on, by each of its drivers, to its very end."""

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from runcast import Run, Store
from tests.helpers.browser import LONG, Person, Puppet, Serving
from tests.helpers.wait import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.browser]
expect.set_options(timeout=LONG * 1000)

PLAYER = Path(__file__).parent / "node_modules" / "asciinema-player" / "dist" / "bundle"
PLAY = """
([driver, url]) => {
  const box = document.createElement("div");
  document.body.replaceChildren(box);
  window.states = [];
  const note = (name) => (event) => states.push(event?.message ? `${name}: ${event.message}` : name);
  const source = driver ? {driver, url: driver === "websocket" ? url.replace("http", "ws") : url} : url;
  window.player = AsciinemaPlayer.create(source, box, {autoPlay: true, ...window.options});
  for (const name of ["playing", "ended", "loading", "error"]) player.addEventListener(name, note(name));
}
"""
SCREEN = "() => [...document.querySelectorAll('.ap-term .ap-line')].map((line) => line.textContent.trimEnd())"


@pytest.fixture(name="page")
def page_fixture(browser: Browser, server: Serving) -> Iterator[Page]:
    """Give a page with the player in it."""
    assert PLAYER.is_dir(), "expected asciinema-player: run `make test` once"
    with Person(browser, server, bypass_csp=True) as person:
        page = person.open("/healthz")
        page.add_style_tag(path=PLAYER / "asciinema-player.css")
        page.add_script_tag(path=PLAYER / "asciinema-player.min.js")
        yield page


def play(page: Page, server: Serving, run: Run, driver: str, query: str = "") -> None:
    """Have the player show a run."""
    format = "?format=asciicast" if driver != "websocket" else "?"
    page.evaluate(PLAY, [driver, f"{server.root}/runs/{run.id}/log{format}{query}"])


def screen(page: Page) -> list[str]:
    """Return the rows that the player shows, without the empty ones at the end."""
    rows: list[str] = page.evaluate(SCREEN)
    while rows and not rows[-1]:
        rows.pop()
    return rows


def shows(page: Page, *rows: str) -> None:
    """Wait until the player shows exactly these rows."""
    wait_until(lambda: screen(page) == list(rows), timeout=LONG, what=f"{rows}, not {screen(page)}")


def states(page: Page) -> list[str]:
    """Return what the player said of itself."""
    found: list[str] = page.evaluate("() => states")
    return found


@pytest.mark.parametrize("driver", ["eventsource", "websocket"])
def test_live(page: Page, server: Serving, puppet: Puppet, run: Run, driver: str):
    """Output is shown when it comes, while the run goes on, and its last words are not lost."""
    puppet.say("one\n")
    play(page, server, run, driver)
    shows(page, "one")
    puppet.say("\x1b[1mtw")
    shows(page, "one", "tw")
    puppet.say("o\x1b[0m\n\u20ac")
    shows(page, "one", "two", "\u20ac")

    puppet.say("\nlast words")
    puppet.exit(3)

    wait_until(lambda: "ended" in " ".join(states(page)), timeout=LONG)
    shows(page, "one", "two", "\u20ac", "last words")


@pytest.mark.parametrize("driver", ["eventsource", "websocket"])
def test_ended(page: Page, server: Serving, start: Callable[[str], Run], driver: str):
    """A run that has ended is shown to its end, too, from the place in the URL."""
    run = start("seq 30; printf last")
    wait_until(lambda: run.closed)

    play(page, server, run, driver, "&tail=3")

    wait_until(lambda: "ended" in " ".join(states(page)), timeout=LONG)
    shows(page, "29", "30", "last")


@pytest.mark.parametrize("driver", ["eventsource", "websocket"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_restart(page: Page, server: Serving, puppet: Puppet, run: Run, driver: str, number: signal.Signals):
    """While the server restarts, the player waits, and goes on when it is back: everything once."""
    puppet.say("one\n")
    play(page, server, run, driver)
    shows(page, "one")

    server.process.send_signal(number)
    server.process.wait(LONG)
    puppet.say("two\n")
    server.start()

    shows(page, "one", "two")
    puppet.say("three")
    shows(page, "one", "two", "three")
    puppet.exit()
    wait_until(lambda: "ended" in states(page)[-1], timeout=LONG)
    shows(page, "one", "two", "three")


def test_file(page: Page, server: Serving, puppet: Puppet, run: Run):
    """A recording that begins in the middle begins at once, and silence is as long as wanted."""
    puppet.say("one\n")
    wait_until(lambda: run.tail_offset == 4)
    begun = time.time()
    wait_until(lambda: time.time() - begun > 3)
    puppet.say("two\n")
    puppet.exit()
    run.wait()

    play(page, server, run, "", "&idle_time_limit=0.5")
    wait_until(lambda: "ended" in states(page), timeout=LONG)
    shows(page, "one", "two")
    limited = page.evaluate("() => player.getDuration()")
    play(page, server, run, "")
    wait_until(lambda: page.evaluate("() => player.getDuration()") is not None, timeout=LONG)
    whole = page.evaluate("() => player.getDuration()")
    play(page, server, run, "", "&tail=1")
    wait_until(lambda: "ended" in states(page), timeout=LONG)
    shows(page, "two")

    assert whole > 3
    assert limited < 3
    assert page.evaluate("() => player.getDuration()") < 1


@pytest.mark.parametrize("query", ["&follow=0", "&follow=0&tail=5", "&channel=data&follow=0"])
def test_silent(page: Page, server: Serving, run: Run, query: str):
    """A recording without any output plays."""
    play(page, server, run, "", query)

    wait_until(lambda: "ended" in " ".join(states(page)), timeout=LONG)

    assert "error" not in states(page)
    shows(page)


@pytest.mark.parametrize("driver", ["eventsource", "websocket"])
def test_sizes(page: Page, server: Serving, store: Store, driver: str):
    """The player has the size of the run's terminal, and each other that it gets."""
    script = "trap 'stty size' WINCH; stty size; while :; do sleep 0.1; done"
    run = store.start(["bash", "-c", script], tty=True, columns=40, rows=10)
    play(page, server, run, driver)
    shows(page, "10 40")
    expect(page.locator(".ap-term .ap-line")).to_have_count(10)

    run.resize(30, 6)

    shows(page, "10 40", "6 30")
    expect(page.locator(".ap-term .ap-line")).to_have_count(6)
    run.kill()
