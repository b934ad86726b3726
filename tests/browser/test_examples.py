"""The examples' pages in a real Chromium, as the articles' readers open them.

Each shows output that would run a script if it were markup: a dialog fails the test (`Person`),
and so does an element that the output made.
"""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from playwright.sync_api import Browser, Page, expect

from runcast import Store
from tests.helpers.browser import LONG, Person, shows
from tests.helpers.examples import JOB, WAIT, example
from tests.helpers.servers import Server
from tests.helpers.wait import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.slow]
expect.set_options(timeout=LONG * 1000)


@pytest.fixture(autouse=True)
def go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Tell programs which file is their go-ahead."""
    monkeypatch.setenv("GO", str(tmp_path / "go"))
    return tmp_path / "go"


EVIL = '<img src=x onerror="alert(1)"><script>alert(2)</script>'
ECHO = f"echo '{EVIL}'"
BOTTLE_ECHO = ("echo 3", ECHO.replace('"', '\\"'))
ARTICLE = Path(__file__).parent / "pages" / "article.html"
PRINTS = f'print("Done"); print({EVIL!r})'


def is_harmless(page: Page) -> None:
    """Check that what was shown is text: it made no element, and no script of it ran."""
    assert page.locator("img[src=x]").count() == 0
    assert page.locator("script:not([src])", has_text="alert").count() == 0


def person(browser: Browser, server: Server) -> Person:
    """Give somebody at a browser."""
    return Person(browser, SimpleNamespace(root=server.root, url=server.root))


@pytest.mark.parametrize("article", [False, True], ids=["ours", "article"])
def test_flask_command(browser: Browser, store: Store, tmp_path: Path, go: Path, article: bool):
    """Our page and the article's, unchanged: a stream for each tab, live; at the end nothing starts anew."""
    count = ("sleep 1; done", f"[ $i = 2 ] && {WAIT}; done"), ("i < 100", "i < 5")
    with example("flask_command", tmp_path, *count, ("interval=5", "interval=60")) as server:
        space = "" if article else "\n"
        if article:
            shutil.copy(ARTICLE, tmp_path / "flask_command.html")
        with person(browser, server) as someone:
            tabs = [someone.open("/page") for _ in range(3)]
            for page in tabs:
                expect(page.locator("#output")).to_have_text(space.join("012"))
            go.touch()
            for page in tabs:
                expect(page.locator("#output")).to_have_text(space.join("01234"))
                # It has come back, was told that there is no more, and has given up (2: CLOSED).
                page.wait_for_function("source.readyState === 2")
                expect(page.locator("#output")).to_have_text(space.join("01234"))
    assert len(list(store.list())) == 3


def test_flask_command_shows_text(browser: Browser, store: Store, tmp_path: Path):
    """What the command prints is text on the page, also where it looks like a script."""
    changes = ("for ((i = 0; i < 100; i++)); do echo $i; sleep 1; done", ECHO.replace('"', '\\"'))
    with example("flask_command", tmp_path, changes) as server, person(browser, server) as someone:
        page = someone.open("/page")
        expect(page.locator("#output")).to_have_text(EVIL)
        is_harmless(page)


def test_flask_background(browser: Browser, store: Store, tmp_path: Path):
    """Start, watch, stop, a command that is not there; stderr is marked, and a reload shows the same."""
    (tmp_path / "app.log").write_text("first\n")
    log = ("/var/log/dpkg.log", str(tmp_path / "app.log"))
    with example("flask_background", tmp_path, log) as server, person(browser, server) as someone:
        page = someone.open("/")
        commands = page.get_by_role("combobox")
        start, stop = (page.get_by_role("button", name=name) for name in ("Start", "Stop"))
        state, output = page.locator("#state"), page.locator("#output")

        commands.select_option(index=6)
        start.click()
        expect(state).to_have_text("Ready: exit code 3")
        expect(output.locator(".stdout")).to_have_text("this is stdout")
        expect(output.locator(".stderr")).to_have_text("and this is stderr")
        expect(page.locator("#count")).to_have_text("2")

        commands.select_option("unknown-command")
        start.click()
        expect(state).to_contain_text("Ready: ")
        expect(state).to_contain_text("unknown-command")

        commands.select_option(f"tail --lines=10 -f {tmp_path}/app.log")
        start.click()
        expect(output).to_have_text("first")
        expect(state).to_contain_text("Running command")
        with (tmp_path / "app.log").open("a") as file:
            file.write(f"{EVIL}\n")
        expect(output.locator(".stdout").last).to_have_text(EVIL)
        is_harmless(page)
        page.reload()
        expect(output.locator(".stdout")).to_have_count(2)
        stop.click()
        expect(state).to_contain_text("Ready: stopped")


def test_cherrypy_generator(browser: Browser, tmp_path: Path):
    """The page polls one URL without an index, and two tabs have generators of their own."""
    with example("cherrypy_generator", tmp_path, ('below="1000"', 'below="30"')) as server:
        with person(browser, server) as someone:
            for page in (someone.open("/"), someone.open("/")):
                expect(page.locator("#primes")).to_have_text("2 3 5 7 11 13 17 19 23 29 (10, that is all)")


def test_cherrypy_generator_shows_text(browser: Browser, tmp_path: Path):
    """A value is text on the page, also where it looks like a script."""
    changes = ("yield number", f"yield [{EVIL!r}]"), ('below="1000"', 'below="3"')
    with example("cherrypy_generator", tmp_path, *changes) as server, person(browser, server) as someone:
        page = someone.open("/")
        expect(page.locator("#primes")).to_have_text(f"{EVIL} (1, that is all)")
        is_harmless(page)


def test_bottle_lines(browser: Browser, store: Store, tmp_path: Path, go: Path):
    """Going to the view shows the live page, with nothing mounted; a reload starts nothing."""
    with (
        example("bottle_lines", tmp_path, ("sleep 3", WAIT), BOTTLE_ECHO) as server,
        person(browser, server) as someone,
    ):
        page = someone.open("/stream")
        shows(page, "1")
        page.reload()
        shows(page, "1")
        go.touch()
        shows(page, "1", "2", EVIL)
        is_harmless(page)
        expect(page.locator("#state")).to_have_text("done")
        expect(page.get_by_role("link", name="All runs")).to_be_hidden()
        assert len(list(store.list())) == 1
        # And as the article's author saw it in Chrome: the text itself.
        page.goto(f"{server.root}/stream?format=text")
        expect(page.locator("body")).to_have_text(f"1\n2\n{EVIL}\n")
        is_harmless(page)


def test_django_prints(browser: Browser, store: Store, tmp_path: Path, go: Path):
    """The view with a parameter of its own: the page of its run, live, reached by that URL alone."""
    with (
        example("django_prints", tmp_path, *JOB, ('print("Done")', PRINTS)) as server,
        person(browser, server) as someone,
    ):
        page = someone.open("/stream/?times=2")
        shows(page, "Task #0")
        go.touch()
        shows(page, "Task #0", "Task #1", "Done", EVIL)
        is_harmless(page)
        (run,) = store.list()
        wait_until(lambda: run.outcome is not None)


def test_fastapi_talk(browser: Browser, tmp_path: Path, store: Store):
    """One talks to a program in the page, over the run's WebSocket."""
    with example("fastapi_async", tmp_path) as server, person(browser, server) as someone:
        page = someone.open("/")
        expect(page.locator("#output")).to_have_text("Your name? ")
        page.locator("#line").fill(EVIL)
        page.get_by_role("button", name="Send").click()
        expect(page.locator("#output")).to_have_text(f"Your name? Hello, {EVIL}\nYour name? ")
        is_harmless(page)
