"""People at the page, whom a proxy names: it says who did what, and has nothing that would be refused."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from playwright.sync_api import Browser, expect

from runcast import Store
from runcast.acting import acting
from runcast.who import Who
from tests.helpers.axe import violations
from tests.helpers.browser import LONG, Person, Serving

pytestmark = [pytest.mark.browser, pytest.mark.slow]
expect.set_options(timeout=LONG * 1000)

FILE = """
user_header = "X-Remote-User"
trusted_proxies = ["127.0.0.1"]

[commands.backup]
command = ["sh", "-c", "echo saved; exec sleep 600"]

[commands.deploy]
command = ["echo", "deployed"]

[roles.dev]
users = ["ana"]
may = ["read", "start:backup", "stop:backup"]
"""


@pytest.fixture(name="named")
def named_fixture(browser: Browser, store: Store, tmp_path: Path) -> Iterator[Callable[[str], Person]]:
    """Give a function that returns somebody at a browser, whom the proxy calls by a name."""
    (tmp_path / "server.toml").write_text(FILE)
    with Serving("--config", tmp_path / "server.toml") as server:
        plain = SimpleNamespace(root=server.root, url=server.root)
        people: list[Person] = []

        def made(name: str) -> Person:
            people.append(Person(browser, plain, extra_http_headers={"X-Remote-User": name}))
            return people[-1]

        yield made
        for person in people:
            person.__exit__(None, None, None)


def test_started_and_stopped(named: Callable[[str], Person], store: Store):
    """Who may start and stop one command does so, and the page says who it was."""
    page = named("ana").open()
    expect(page.get_by_role("button", name="Start backup")).to_be_visible()
    expect(page.get_by_role("button", name="Start deploy")).to_have_count(0)
    page.get_by_role("button", name="Start backup").click()
    page.wait_for_url("**/runs/0*")
    expect(page.locator("#by")).to_have_text("ana")
    expect(page.locator("#stopped-fact")).to_be_hidden()
    expect(page.get_by_role("button", name="Delete")).to_be_hidden()
    page.get_by_role("button", name="Stop").click()

    expect(page.locator("#stopped")).to_have_text("ana")
    expect(page.get_by_role("button", name="Delete")).to_be_hidden()
    expect(page.get_by_role("button", name="Run again")).to_be_hidden()
    assert violations(page) == []


def test_reader(named: Callable[[str], Person], store: Store):
    """Who may only read has no button that changes anything, and learns of nothing to start."""
    with acting(Who("scoped token", "ci")):
        run = store.start(["sleep", "600"], name="backup")
    person = named("eve")
    page = person.open()
    expect(page.get_by_role("button", name="Start", exact=False)).to_have_count(0)
    page = person.open(f"/runs/{run.id}")
    expect(page.locator("#by")).to_have_text("the token ci")
    for name in ("Stop", "Delete", "Run again", "Copy read-only link"):
        expect(page.get_by_role("button", name=name, exact=True)).to_be_hidden()
