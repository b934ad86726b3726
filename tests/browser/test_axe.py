"""What axe-core finds on the pages as they are used: nothing, in the light and in the dark."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, expect

from runcast import Run
from tests.helpers.axe import violations
from tests.helpers.browser import LONG, Person, Serving

pytestmark = [pytest.mark.browser, pytest.mark.slow]
expect.set_options(timeout=LONG * 1000)

OUTPUT = r"""
for ((i = 0; i < 16; i++)); do printf "\e[38;5;${i}mo\e[2mo\e[0m"; done; echo
printf '\e[38;2;90;90;255mto\e[0m https://example.com \e]8;;https://a.example\e\\link\e]8;;\e\\\n'
echo '::group::Good'; echo in; echo '::endgroup::'
echo '::group::Bad'; echo '::error file=a.py,line=3::broken'; echo '::endgroup::'
echo '{"time":"2026-11-28T10:00:00Z","level":"error","msg":"no","stack":"Error: no\n    at f (/a.js:1:2)"}'
echo 'INFO fine'; echo 'to stderr' >&2
exit 2
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages(browser: Browser, server: Serving, start: Callable[[str], Run], scheme: str):
    """The list, a run with groups, annotations and records, its search, its keys, and an error."""
    run = start(OUTPUT)
    run.wait(check=False)
    with Person(browser, server, color_scheme=scheme) as person:
        page = person.open()
        expect(page.locator(".row")).to_have_count(1)
        assert violations(page) == []

        page.goto(f"{server.root}/runs/{run.id}?q=o")
        expect(page.locator(".record")).to_have_count(1)
        expect(page.locator("#find-next")).to_be_enabled()
        page.locator("#find-only").click()
        assert violations(page) == []
        page.locator("#find-close").click()
        page.locator("#show-keys").click()
        assert violations(page) == []

        page.goto(f"{server.root}/runs/01jd0000000000000000000000")
        assert violations(page) == []
