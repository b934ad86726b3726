"""The page of a run without a mouse, and what is taken from it: keys, their sheet, link and command."""

import subprocess
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from runcast import Run, Store
from tests.helpers.browser import LONG, Person, Puppet, Serving
from tests.helpers.wait import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.slow]
expect.set_options(timeout=LONG * 1000)

INSIDE = (
    "document.querySelector('#keys').contains(document.activeElement) || document.activeElement.id || 'body'"
)
CLIPBOARD = ["clipboard-read", "clipboard-write"]


def clipboard(page: Page) -> str:
    """Return what was copied last."""
    text: str = page.evaluate("navigator.clipboard.readText()")
    return text


def bash_reads(line: str) -> list[bytes]:
    """Return the words of a command line, as bash has them."""
    done = subprocess.run(["bash", "-c", f"printf '%s\\0' {line}"], capture_output=True, check=True)
    return done.stdout.split(b"\0")[:-1]


def test_copy_link(person: Person, server: Serving, run: Run):
    """The link that is copied is the run's address, without the token that may stand in the page's own."""
    person.context.grant_permissions(CLIPBOARD)
    page = person.open(f"/runs/{run.id}/log?{server.url.partition('?')[2]}#end")

    page.get_by_role("button", name="Copy link").click()

    expect(page.locator("#copied")).to_contain_text("Link copied.")
    assert clipboard(page) == f"{server.root}/runs/{run.id}"


def test_copy_command(person: Person, store: Store):
    """The command that is copied means to a shell, word for word, what was run."""
    person.context.grant_permissions(CLIPBOARD)
    words = [
        "printf",
        "%s",
        "",
        "it's",
        "a b",
        "$HOME `id` \\",
        "~",
        "two\nlines",
        "\x1b[31m'\\\x7f",
        "gr\u00fc\u00df \U0001f98a",
        "\udcff",
    ]
    run = store.start(words)
    page = person.open(f"/runs/{run.id}")

    page.get_by_role("button", name="Copy command").click()

    expect(page.locator("#copied")).to_have_text("Command copied.")
    copied = clipboard(page)
    assert bash_reads(copied) == [word.encode(errors="surrogateescape") for word in words]
    assert "\x1b" not in copied


def test_copy_denied(person: Person, server: Serving, start: Callable[[str], Run]):
    """Where the browser denies the clipboard, the page says so and has the text selected."""
    run = start("echo one; echo '<b>two</b>'")
    page = person.open(f"/runs/{run.id}")
    person.context.grant_permissions(["notifications"])  # and no others
    selected = "getSelection().toString()"

    page.get_by_role("button", name="Copy link").click()
    expect(page.locator("#copied")).to_contain_text("copy it by hand")
    assert page.evaluate(selected) == f"{server.root}/runs/{run.id}"

    page.get_by_role("button", name="Copy command").click()
    expect(page.locator("#by-hand")).to_contain_text("<b>two</b>")
    assert bash_reads(page.evaluate(selected)) == [word.encode() for word in run.command]


def test_no_command(person: Person, store: Store):
    """A run without a command offers none to copy, by its button or by its key."""
    run = store.start(lambda: print("hello"))
    run.wait(timeout=LONG)
    page = person.open(f"/runs/{run.id}")
    expect(page.get_by_role("button", name="Copy link")).to_be_visible()

    expect(page.get_by_role("button", name="Copy command")).to_be_hidden()
    page.keyboard.press("c")
    expect(page.locator("#copied")).to_be_empty()


@pytest.mark.parametrize("by", ["key", "button"])
def test_sheet(person: Person, run: Run, by: str):
    """The sheet opens by `?` or its button, keeps the focus, closes by Escape and gives the focus back."""
    page = person.open(f"/runs/{run.id}")
    sheet, button = page.get_by_role("dialog", name="Keys"), page.get_by_role("button", name="Keys")
    expect(page.get_by_role("button", name="Copy command")).to_be_visible()
    button.focus()
    page.keyboard.press("?" if by == "key" else "Enter")

    expect(sheet).to_be_visible()
    keys = ["/", "n", "N", "g", "G", "f", "e", "E", "j", "t", "w", "Enter", "l", "c", "?", "Esc"]
    expect(sheet.locator("kbd")).to_have_text(keys)
    expect(sheet.get_by_role("button", name="Close")).to_be_focused()
    for key in ["Tab", "Tab", "Tab", "Shift+Tab", "Shift+Tab"]:
        page.keyboard.press(key)
        assert page.evaluate(INSIDE) in (True, "body")  # the body: it is at the browser's own buttons
    page.keyboard.press("l")
    expect(page.locator("#copied")).to_be_empty()

    page.keyboard.press("Escape")
    expect(sheet).to_be_hidden()
    expect(button).to_be_focused()
    page.keyboard.press("?")
    sheet.get_by_role("button", name="Close").click()
    expect(sheet).to_be_hidden()


def test_keys(person: Person, server: Serving, run: Run, puppet: Puppet):
    """Keys press their buttons; with a modifier they are the browser's."""
    person.context.grant_permissions(CLIPBOARD)
    page = person.open(f"/runs/{run.id}")
    puppet.say("".join(f"{number}\n" for number in range(200)))
    expect(page.locator(".line")).to_have_count(200)
    page.locator("#output").hover()
    page.mouse.wheel(0, -900)
    jump = page.get_by_role("button", name="Jump to the end")
    expect(jump).to_be_visible()
    page.keyboard.press("G")
    expect(jump).to_be_hidden()

    page.keyboard.press("Alt+l")
    page.keyboard.press("c")
    expect(page.locator("#copied")).to_have_text("Command copied.")
    page.keyboard.press("l")
    expect(page.locator("#copied")).to_contain_text("Link copied.")
    wait_until(lambda: clipboard(page) == f"{server.root}/runs/{run.id}", what="the link")


def test_narrow_and_in_forced_colours(person: Person, run: Run):
    """On a phone nothing is wider than the screen; in forced colours the sheet and its keys have edges."""
    page = person.open(f"/runs/{run.id}")
    page.set_viewport_size({"width": 390, "height": 640})
    page.emulate_media(forced_colors="active")
    expect(page.get_by_role("button", name="Copy command")).to_be_visible()
    page.keyboard.press("?")

    box = page.get_by_role("dialog").bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    edges = "all => all.map((one) => getComputedStyle(one).borderTopWidth)"
    assert set(page.locator("#keys, #keys kbd, #keys button").evaluate_all(edges)) == {"1px"}


def test_numbers(person: Person, server: Serving, start: Callable[[str], Run]):
    """Enter in the output goes to the numbers of lines, arrows go on, Enter copies, Escape goes back."""
    person.context.grant_permissions(CLIPBOARD)
    run = start("seq 9")
    run.wait()
    page = person.open(f"/runs/{run.id}")
    expect(page.locator(".line")).to_have_count(9)

    page.locator("#output").focus()
    for key in ("Enter", "ArrowDown", "ArrowDown", "ArrowUp", "Enter"):
        page.keyboard.press(key)
    expect(page.locator(":focus")).to_have_attribute("aria-label", "Line 2")
    expect(page).to_have_url(f"{server.root}/runs/{run.id}#L2")
    expect(page.locator("#said")).to_have_text("Link to line 2 copied.")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Shift+Enter")
    expect(page).to_have_url(f"{server.root}/runs/{run.id}#L2-L3")
    page.keyboard.press("Escape")
    expect(page.locator("#output")).to_be_focused()
