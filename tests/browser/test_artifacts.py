"""Files that are kept with a run, on its page: links, pictures, and nothing that runs."""

import base64
from pathlib import Path

import pytest
from playwright.sync_api import expect

from runcast import Store
from tests.helpers.browser import LONG, Person

pytestmark = [pytest.mark.browser, pytest.mark.slow]
expect.set_options(timeout=LONG * 1000)

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
DOCUMENT = "<script>document.title = 'bad'</script>"


def test_files(person: Person, store: Store, tmp_path: Path):
    """They are on the page at the end, pictures as pictures; a document is a download and runs nothing."""
    (tmp_path / "a.png").write_bytes(base64.b64decode(PIXEL))
    (tmp_path / "b <i>.html").write_text(DOCUMENT)
    run = store.start(["cat"], stdin="pipe", cwd=tmp_path, artifacts=["*.png", "*.html", "none"])
    page = person.open(f"/runs/{run.id}")
    expect(page.locator("#stop")).to_be_visible()
    expect(page.locator("#artifacts")).to_be_hidden()
    run.send("x", eof=True)

    expect(page.locator("#artifacts-sum")).to_contain_text("2 files")
    expect(page.locator("#artifacts-sum")).to_contain_text("1 left out")
    page.locator("#artifacts-sum").click()
    expect(page.locator("#artifacts-list li")).to_contain_text(
        ["a.png", "b <i>.html", "none: there is no such file"]
    )
    picture = page.locator("#artifacts-list img")
    expect(picture).to_have_count(1)
    expect(picture).to_have_js_property("naturalWidth", 1)

    with page.expect_download() as download:
        page.get_by_role("link", name="b <i>.html").click()
    assert Path(download.value.path()).read_text() == DOCUMENT
    href = page.get_by_role("link", name="b <i>.html").get_attribute("href") or ""
    with page.expect_download():  # also where somebody opens its address
        page.evaluate("href => { location.assign(href); }", href)
    assert "bad" not in page.title()
