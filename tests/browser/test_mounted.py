"""The pages in other people's applications: below a path of theirs, and without what only our server has."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from playwright.sync_api import Browser, expect

from runcast import Run, Store
from tests.helpers.browser import LONG, Person, Puppet, shows
from tests.helpers.servers import Server

pytestmark = [pytest.mark.browser, pytest.mark.slow]
expect.set_options(timeout=LONG * 1000)

STARLETTE = """
    from starlette.applications import Starlette
    from starlette.routing import Mount
    from runcast import Store
    from runcast.web.asgi import RunsASGI
    app = Starlette(routes=[Mount("/our/tools", RunsASGI(Store.open(), allow_any_command=True))])
"""
FLASK = """
    from flask import Flask
    from runcast.web.flask import Runcast
    app = Flask(__name__)
    cast = Runcast(app, authorize=lambda verb, run, request: True)

    @app.get("/build")
    def build():
        return cast.stream(["sh", "-c", "echo built; exit 3"])
"""


def test_below_a_path(browser: Browser, run: Run, puppet: Puppet, tmp_path: Path):
    """Mounted below a path, all links and requests of the pages stay below it."""
    with Server(tmp_path, "uvicorn", STARLETTE) as server:
        root = f"{server.root}/our/tools"
        with Person(browser, SimpleNamespace(root=root, url=root)) as person:
            page = person.open()
            asked: list[str] = []
            page.on("request", lambda request: asked.append(request.url))
            page.locator(".row a").click()
            puppet.say("one\n")
            shows(page, "one")
            page.get_by_role("button", name="Stop").click()
            expect(page.locator("#state")).to_have_text("stopped")
            page.get_by_role("link", name="All runs").click()
            expect(page.locator(".row .state")).to_have_text("stopped")

    assert asked
    assert [url for url in asked if not url.startswith(root)] == []


def test_in_flask(browser: Browser, store: Store, tmp_path: Path):
    """A browser at a view that streams is led to the run's page; the list does without commands."""
    with Server(tmp_path, "gunicorn", FLASK) as server:
        with Person(browser, SimpleNamespace(root=server.root, url=server.root)) as person:
            page = person.open("/build")
            missing: list[str] = []
            page.on("response", lambda reply: missing.append(reply.url) if reply.status >= 400 else None)
            expect(page).to_have_url(re.compile(r"/runs/\w+$"))
            shows(page, "built")
            expect(page.locator("#state")).to_have_text("exit 3")
            expect(page.get_by_role("button", name="Run again")).to_be_hidden()

            page.get_by_role("link", name="All runs").click()
            expect(page.locator(".row .state")).to_have_text("exit 3")
            expect(page.locator("#start")).to_be_hidden()
            expect(page.locator("#link")).to_have_text("live")
            assert missing == []  # it has no commands, and is not asked for them


ALONE = FLASK.replace(", authorize=lambda verb, run, request: True", "")


def test_without_a_list(browser: Browser, store: Store, tmp_path: Path):
    """Where nobody may see a list or delete a run, the page of a run leads to neither and needs neither."""
    with Server(tmp_path, "gunicorn", ALONE) as server:
        with Person(browser, SimpleNamespace(root=server.root, url=server.root)) as person:
            page = person.context.new_page()
            refused: list[str] = []
            page.on("response", lambda reply: refused.append(reply.url) if reply.status >= 400 else None)
            page.goto(f"{server.root}/build")
            shows(page, "built")
            expect(page.locator("#state")).to_have_text("exit 3")
            expect(page.get_by_role("link", name="Download")).to_be_visible()
            for name in ("All runs", "Previous run", "All of this name"):
                expect(page.get_by_role("link", name=name)).to_be_hidden()
            expect(page.get_by_role("button", name="Delete")).to_be_hidden()
            assert refused == []
