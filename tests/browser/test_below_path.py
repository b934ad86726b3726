"""The pages of a server below a path of nginx, which takes it off or passes it on, in a real browser."""

from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, expect

from bench.peers.nginx import nginx
from bench.peers.server import running
from runcast import Run, Store
from tests.helpers.browser import LONG, Person, Puppet, Serving, shows
from tests.helpers.ports import free_port

pytestmark = [pytest.mark.browser, pytest.mark.slow]
expect.set_options(timeout=LONG * 1000)


@pytest.mark.parametrize("end", ["/", ""], ids=["taken off", "passed on"])
def test_list_run_and_stop(
    end: str, browser: Browser, store: Store, run: Run, puppet: Puppet, tmp_path: Path
):
    """The token's link leads to the list, that to the run, whose lines come live and whose buttons work."""
    with Serving("--allow-any-command", "--root-path", "/cast") as server:
        port, upstream = free_port(), urlsplit(server.root).port
        config = f"""
          access_log off; server {{ listen 127.0.0.1:{port}; location /cast/ {{
            proxy_pass http://127.0.0.1:{upstream}{end}; proxy_set_header Host $http_host; }} }}
        """
        root = f"http://127.0.0.1:{port}/cast"
        behind = SimpleNamespace(root=root, url=f"{root}/?{urlsplit(server.url).query}")
        with running(nginx(tmp_path, config), port), Person(browser, behind) as person:
            page = person.open("/")
            expect(page).to_have_url(f"{root}/runs")
            page.locator(f'a[href*="{run.id}"]').first.click()
            page.wait_for_url(f"{root}/runs/{run.id}**")
            puppet.say("first\n")
            shows(page, "first")
            puppet.say("second\n")
            shows(page, "first", "second")
            page.get_by_role("button", name="Stop").click()
            expect(page.get_by_role("button", name="Run again")).to_be_visible()
            page.get_by_role("button", name="Run again").click()
            page.wait_for_url(lambda url: url.startswith(f"{root}/runs/") and run.id not in url)
            # A context that is closed while its page loads may wait for ever.
            expect(page.get_by_role("button", name="Stop")).to_be_visible()
            assert {one["path"] for one in person.context.cookies()} <= {"/cast"}
