"""The pages of a host that shares runs with others: where each run is, and what is wrong with the link."""

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from runcast import Run, Store
from tests.helpers.browser import LONG, Person, Serving
from tests.helpers.engines import Server, serving, valkey
from tests.helpers.link_hosts import PATIENCE, Host, linked_hosts
from tests.helpers.wait import MS, wait_until

pytestmark = [pytest.mark.browser, pytest.mark.slow]
expect.set_options(timeout=LONG * 1000)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Server]:
    """A server of Valkey, which the test kills."""
    with serving(valkey(), tmp_path / "valkey") as server:
        yield server


@pytest.fixture
def here(store: Store, engine: Server) -> Iterator[Host]:
    """The host that the server of the test is on."""
    host = Host("web-1", store, engine.url, "pages:", 240_000 * MS)  # it gives nobody up meanwhile
    yield host
    host.end()


def places(page: Page, *runs: Run) -> dict[str, Locator]:
    """Return where a list says that runs are."""
    return {run.id: page.locator(f".row[data-id='{run.id}'] .place") for run in runs}


def test_where_runs_are(tmp_path: Path, browser: Browser, engine: Server, here: Host):
    """List and page say which host a run is on, since when that is silent, and that the link is down.

    That it is silent no longer is seen while output comes, too.
    """
    with (
        linked_hosts(tmp_path, engine.url, "pages:", "b", 24.0) as (other,),
        Serving() as server,
        Person(browser, server) as person,
    ):
        run = other.store.start(["sh", "-c", "while echo one; do sleep 0.2; done"])
        own = here.store.start(["sleep", "600"])
        here.get(run)
        page = person.open()
        rows = places(page, run, own)
        expect(rows[run.id]).to_have_text("on host b")
        expect(rows[own.id]).to_have_text("")
        expect(page.locator("#sharing")).to_be_hidden()

        pid = other.begin()
        os.kill(pid, signal.SIGSTOP)
        try:
            expect(rows[run.id]).to_have_text(re.compile(r"on host b, silent for \d+ s"))
            expect(page.locator("#sharing")).to_have_text(re.compile("host b is silent since"))
            page = person.open(f"/runs/{run.id}")
            expect(page.locator("#host")).to_have_text(re.compile(r"on host b, silent for \d+ s"))
        finally:
            os.kill(pid, signal.SIGCONT)
        expect(page.locator("#host")).to_have_text("on host b")

        engine.kill()
        wait_until(lambda: own.host and own.host.unshared_since, PATIENCE, "no link")
        page = person.open()
        expect(page.locator("#sharing")).to_have_text(
            re.compile("Not shared with other hosts since .*: expected")
        )
        expect(rows[own.id]).to_have_text(re.compile("^not shared since"))
        expect(rows[run.id]).to_have_text(re.compile("on host b, not shared since"))
        for one in (run, own):
            one.kill()
            one.wait(timeout=PATIENCE)
