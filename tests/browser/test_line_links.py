"""Lines by number: the gutter, links to lines, where a page begins, and times."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from runcast import Run, Store
from tests.helpers.browser import LONG, Person, Puppet, Serving, lines
from tests.helpers.wait import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.slow]
expect.set_options(timeout=LONG * 1000)

CLIPBOARD = ["clipboard-read", "clipboard-write"]


def chosen(page: Page) -> list[str]:
    found: list[str] = page.locator(".line.chosen .text").all_text_contents()
    return found


def in_sight(page: Page, text: str) -> None:
    expect(page.locator("#lines-here .line", has_text=re.compile(f"^{text}$"))).to_be_in_viewport()


def numbers(page: Page) -> list[str]:
    shown: list[str] = page.locator(".number").evaluate_all(
        """all => all.map((one) =>
          getComputedStyle(one, '::after').visibility === 'hidden' ? '' : one.dataset.line)"""
    )
    return shown


def test_numbers(person: Person, run: Run, puppet: Puppet):
    """Each row has the number of the server's line that began it; it is neither copied nor found."""
    page = person.open(f"/runs/{run.id}")
    puppet.say("name? ")
    expect(page.locator(".line")).to_have_count(1)
    puppet.say("warning\n", fd=2)
    expect(page.locator(".line")).to_have_count(2)
    puppet.say("Ada\nbar\nbaz\033[A\rfoo\n\nnext\n\n1\n")
    expect(page.locator(".line")).to_have_count(7)

    assert lines(page) == ["name? Ada", "warning", "foo", "baz", "next", "", "1"]
    assert numbers(page) == ["1", "", "3", "4", "6", "7", "8"]
    page.locator("#output").focus()
    page.keyboard.press("Control+a")
    copied: str = page.evaluate("getSelection().toString()")
    assert copied.split() == ["name?", "Ada", "warning", "foo", "baz", "next", "1"]
    assert page.evaluate("window.find('8')") is False


def test_click_copies_the_link(person: Person, server: Serving, run: Run, puppet: Puppet):
    """A click on a number makes it the address, copies the link and says so; with Shift, for a range."""
    person.context.grant_permissions(CLIPBOARD)
    page = person.open(f"/runs/{run.id}")
    puppet.say("".join(f"{number}\n" for number in range(1, 21)))
    expect(page.locator(".line")).to_have_count(20)

    page.locator(".number[data-line='12']").click()
    expect(page.locator("#said")).to_have_text("Link to line 12 copied.")
    assert page.evaluate("navigator.clipboard.readText()") == f"{server.root}/runs/{run.id}#L12"
    assert page.url.endswith("#L12")
    assert chosen(page) == ["12"]

    page.locator(".number[data-line='14']").click(modifiers=["Shift"])
    expect(page.locator("#said")).to_have_text("Link to lines 12 to 14 copied.")
    assert page.evaluate("navigator.clipboard.readText()") == f"{server.root}/runs/{run.id}#L12-L14"
    assert chosen(page) == ["12", "13", "14"]
    assert page.evaluate("getSelection().toString()") == ""

    page.go_back()
    wait_until(lambda: chosen(page) == ["12"], timeout=LONG, what="the line before")
    page.go_forward()
    wait_until(lambda: chosen(page) == ["12", "13", "14"], timeout=LONG, what="the range again")


def test_link_into_a_running_run(person: Person, run: Run, puppet: Puppet):
    """A link stays where it points while output comes, and the page offers the end."""
    puppet.say("".join(f"{number}\n" for number in range(1, 1001)))
    wait_until(lambda: run.tail_offset > 3800, timeout=LONG, what="the lines in the log")
    page = person.open(f"/runs/{run.id}#L500-502")
    in_sight(page, "500")
    assert chosen(page) == ["500", "501", "502"]
    top = page.locator("#output").evaluate("(box) => box.scrollTop")

    puppet.say("".join(f"{number}\n" for number in range(1001, 2001)))
    expect(page.locator("#lines")).to_have_text("2,000 lines")
    assert page.locator("#output").evaluate("(box) => box.scrollTop") == top
    expect(page.get_by_role("button", name="Jump to the end: 1,000 new lines")).to_be_visible()


@pytest.mark.parametrize(
    ("query", "first"), [("line=300", "300"), ("tail=50", "951"), ("since=1h", "1"), ("line=0", "1")]
)
def test_where_to_begin(person: Person, start: Callable[[str], Run], query: str, first: str):
    """The page's address says where to begin, in the words of the API."""
    run = start("seq 1000")
    run.wait(timeout=LONG)
    page = person.open(f"/runs/{run.id}?{query}")
    expect(page.locator("#state")).to_have_text("done")

    in_sight(page, first)
    box = page.locator("#output").bounding_box()
    at = page.locator("#lines-here .line", has_text=re.compile(f"^{first}$")).bounding_box()
    assert box is not None
    assert at is not None
    assert at["y"] - box["y"] < 40


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("#L2000", "There is no line 2,000: the output has 1,000 so far. This is its end."),
        ("?line=many", "Expected line as a whole number, got \u201cmany\u201d."),
        ("?tail=<img src=x onerror=alert(1)>", "got \u201c<img src=x onerror=alert(1)>\u201d."),
        ("?since=<b>", "since"),
    ],
)
def test_no_such_place(person: Person, start: Callable[[str], Run], address: str, says: str):
    """What is no line is told, and the end is shown."""
    run = start("seq 1000")
    run.wait(timeout=LONG)
    page = person.open(f"/runs/{run.id}{address}")

    expect(page.locator("#said")).to_contain_text(says)
    in_sight(page, "1000")


def test_channels(person: Person, run: Run, puppet: Puppet):
    """Rows of one channel can be shown alone, by the page or by its address."""
    page = person.open(f"/runs/{run.id}")
    shown = page.locator("#lines-here .line:visible .text")
    puppet.say("one\n")
    expect(shown).to_have_text(["one"])
    puppet.say("two\n", fd=2)
    expect(shown).to_have_text(["one", "two"])
    puppet.say("three\n")
    expect(shown).to_have_text(["one", "two", "three"])

    page.get_by_label("Show").select_option("out")
    expect(shown).to_have_text(["one", "three"])
    page.goto(f"{page.url}?channel=stderr")
    expect(shown).to_have_text(["two"])


def test_channel_of_a_long_output(person: Person, store: Store, puppet: Puppet):
    """Of a long output the last lines of one channel are found wherever they are, with their numbers."""
    run = store.start(puppet.argv, name="puppet")
    page = person.open(f"/runs/{run.id}")
    lines_so_far = page.locator("#lines")
    puppet.say("oops\n", fd=2)
    expect(lines_so_far).to_have_text("1 line")
    puppet.say("".join(f"{number}\n" for number in range(1, 50_001)))
    expect(lines_so_far).to_have_text("50,001 lines")
    puppet.say("ouch\n", fd=2)
    expect(lines_so_far).to_have_text("50,002 lines")
    page.reload()
    in_sight(page, "ouch")

    page.get_by_label("Show").select_option("err")
    wait_until(lambda: lines(page) == ["oops", "ouch"], timeout=LONG, what="the lines of stderr")
    assert numbers(page) == ["1", "50002"]
    puppet.say("more\n")
    puppet.say("again\n", fd=2)
    wait_until(lambda: lines(page) == ["oops", "ouch", "again"], timeout=LONG, what="another")
    page.get_by_label("Show").select_option("out")
    in_sight(page, "50000")
    page.get_by_label("Show").select_option("all")
    in_sight(page, "again")


def test_times(person: Person, start: Callable[[str], Run]):
    """A column says when lines came: by the clock, since the start, or after how long; it is remembered."""
    run = start("echo one; sleep 0.3; echo two")
    run.wait(timeout=LONG)
    page = person.open(f"/runs/{run.id}")
    expect(page.locator(".line")).to_have_count(2)
    times = "all => all.map((one) => one.dataset.time ?? '')"

    def column() -> list[str]:
        found: list[str] = page.locator(".number").evaluate_all(times)
        return found

    assert column() == ["", ""]
    page.keyboard.press("t")
    assert all(re.fullmatch(r"\d\d:\d\d:\d\d", time) for time in column())
    page.keyboard.press("t")
    assert all(re.fullmatch(r"0:\d\d\.\d", time) for time in column())
    page.keyboard.press("t")
    assert column()[0] == ""
    assert re.fullmatch(r"\+[\d.]+ s|\+\d+ ms", column()[1])
    page.reload()
    expect(page.locator(".line")).to_have_count(2)
    assert column()[1].startswith("+")
    page.locator(".number").first.hover()
    title = page.locator(".number").first
    expect(title).to_have_attribute("title", re.compile(r"\d{4}, \d\d:\d\d:\d\d\.\d{3} GMT"))
    page.keyboard.press("t")
    assert column() == ["", ""]
