"""What axe-core says of a page: the rules of WCAG that it breaks, as it is shown now."""

from pathlib import Path
from typing import Any

from playwright.sync_api import Page

_SCRIPT = Path(__file__).parents[1] / "browser" / "node_modules" / "axe-core" / "axe.min.js"
_RUN = "() => axe.run(document, {resultTypes: ['violations']}).then((found) => found.violations)"


def violations(page: Page) -> list[str]:
    """Return what is wrong: each rule with the elements that break it, those in shadows among them."""
    assert _SCRIPT.is_file(), "expected axe-core: run `make test` once"
    page.evaluate(f"{_SCRIPT.read_text()}; 0")
    found: list[dict[str, Any]] = page.evaluate(_RUN)
    return [f"{one['id']}: {[node['target'] for node in one['nodes']]}" for one in found]
