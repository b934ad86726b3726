"""Output that is too long for the document: a window over all of it, and any line within a jump."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from runcast import Run, Store
from tests.helpers.browser import LONG, Person, Puppet, lines
from tests.helpers.wait import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.slow]
expect.set_options(timeout=LONG * 1000)

MANY = 60_000
TOP = """() => {
  const box = document.querySelector("#output").getBoundingClientRect();
  const at = [...document.querySelectorAll("#lines-here .line")].find((one) => {
    const { top, bottom } = one.getBoundingClientRect();
    return top <= box.top + 100 && bottom > box.top + 100;
  });
  return at ? [at.textContent, at.getBoundingClientRect().top - box.top] : ["", 0];
}"""


def shows_line(page: Page, text: str) -> None:
    """Wait until a line is in sight."""
    expect(page.locator("#lines-here .line", has_text=re.compile(f"^{text}$"))).to_be_in_viewport()


def numbers(page: Page) -> list[int]:
    """Return the numbers in the window, when all of them are there."""
    shown = wait_until(
        lambda: (found := lines(page)) and all(found) and found, timeout=LONG, what="lines in the window"
    )
    return [int(text) for text in shown]


def many(first: int, last: int) -> str:
    return "".join(f"{number}\n" for number in range(first, last + 1))


def test_all_lines_are_in_reach(person: Person, start: Callable[[str], Run]):
    """Of 60,000 lines a hundred are in the document; the last, the first and all between are in reach."""
    run = start(f"seq {MANY}")
    run.wait(timeout=LONG)
    page = person.open(f"/runs/{run.id}")
    shows_line(page, str(MANY))
    expect(page.locator("#lines")).to_have_text("60,000 lines")
    assert len(lines(page)) < 200

    output = page.locator("#output")
    output.focus()
    page.keyboard.press("g")
    shows_line(page, "1")
    assert numbers(page)[:50] == list(range(1, 51))
    output.evaluate("(box) => (box.scrollTop = box.scrollHeight / 2)")
    wait_until(lambda: abs(numbers(page)[0] - MANY / 2) < 1000, timeout=LONG, what="the middle")
    shown = numbers(page)
    assert shown == list(range(shown[0], shown[0] + len(shown)))
    page.keyboard.press("G")
    shows_line(page, str(MANY))


def test_wheel(person: Person, start: Callable[[str], Run]):
    """A wheel moves the rows by as many pixels as it says, and leaves none out."""
    run = start(f"seq {MANY}")
    run.wait(timeout=LONG)
    page = person.open(f"/runs/{run.id}#L30000")
    shows_line(page, "30000")
    row = page.locator("#lines-here .line", has_text=re.compile("^30000$"))
    box = row.bounding_box()
    assert box is not None
    page.locator("#output").hover()
    page.mouse.wheel(0, 130)

    def moved() -> float:
        now = row.bounding_box()
        assert now is not None
        return box["y"] - now["y"]

    wait_until(lambda: moved() == pytest.approx(130, abs=1), timeout=LONG, what="the rows to move")
    for _ in range(20):
        page.mouse.wheel(0, 400)
    line = box["height"]
    wait_until(
        lambda: numbers(page) and abs(int(page.evaluate(TOP)[0] or 0) - 30000 - 8130 / line) < 30,
        timeout=LONG,
        what="the rows below",
    )
    shown = numbers(page)
    assert shown == list(range(shown[0], shown[0] + len(shown)))


def test_long_lines(person: Person, start: Callable[[str], Run]):
    """Long lines wrap, or do not, and the row at the top stays the same one."""
    run = start("seq -f '%0300.0f' 30000")
    run.wait(timeout=LONG)
    page = person.open(f"/runs/{run.id}#L20000")
    shows_line(page, f"{20000:0300}")
    wide = "(box) => box.scrollWidth - box.clientWidth"
    output = page.locator("#output")
    assert output.evaluate(wide) == 0
    before = page.evaluate(TOP)[0]

    page.keyboard.press("w")
    wait_until(lambda: output.evaluate(wide) > 0, timeout=LONG, what="lines that do not wrap")
    assert abs(int(page.evaluate(TOP)[0]) - int(before)) <= 5
    page.reload()
    shows_line(page, f"{20000:0300}")
    wait_until(lambda: output.evaluate(wide) > 0, timeout=LONG, what="lines that do not wrap, again")
    page.keyboard.press("w")
    wait_until(lambda: output.evaluate(wide) == 0, timeout=LONG, what="lines that wrap")


def test_few_lines_of_many_bytes(person: Person, start: Callable[[str], Run]):
    """Of 20 MB in 10,000 lines only what is looked at is fetched."""
    run = start("seq -f '%02000.0f' 1 10000")
    run.wait(timeout=LONG)
    page = person.open(f"/runs/{run.id}")
    shows_line(page, f"{10_000:02000}")
    expect(page.locator("#lines")).to_have_text("10,000 lines")

    page.keyboard.press("g")
    shows_line(page, f"{1:02000}")


def test_reader_stays(person: Person, run: Run, puppet: Puppet):
    """What somebody reads stays where it is while lines come, however many; the button says how many came."""
    page = person.open(f"/runs/{run.id}")
    puppet.say(many(1, 10_000))
    shows_line(page, "10000")
    page.locator("#output").hover()
    page.mouse.wheel(0, -3000)
    jump = page.get_by_role("button", name="Jump to the end")
    expect(jump).to_be_visible()
    before = page.evaluate(TOP)
    assert 9000 < int(before[0]) < 10_000

    for first in range(10_001, 80_000, 10_000):
        puppet.say(many(first, first + 9_999))
        expect(page.locator("#lines")).to_have_text(f"{first + 9_999:,} lines")
        text, top = page.evaluate(TOP)
        assert (text, top) == (before[0], pytest.approx(before[1], abs=0.1))
    expect(jump).to_have_text("Jump to the end: 70,000 new lines")
    jump.click()
    shows_line(page, "80000")


def place(row: Locator) -> tuple[float, float]:
    """Return where a row is in the output: what stands above that may take another line meanwhile."""
    here, output = row.bounding_box(), row.page.locator("#output").bounding_box()
    assert here is not None
    assert output is not None
    return here["x"] - output["x"], here["y"] - output["y"]


def test_selection_stays(person: Person, run: Run, puppet: Puppet):
    """A text that is selected in the output stays, and so does its place; then the page follows again."""
    page = person.open(f"/runs/{run.id}")
    puppet.say(many(1, 15_000))
    shows_line(page, "15000")
    row = page.locator("#lines-here .line", has_text=re.compile("^14995$"))
    row.locator(".text").dblclick()
    assert page.evaluate("getSelection().toString()") == "14995"
    before = place(row)

    puppet.say(many(15_001, 40_000))
    expect(page.locator("#lines")).to_have_text("40,000 lines")
    expect(page.get_by_role("button", name="Jump to the end")).to_have_text(
        "Jump to the end: 25,000 new lines"
    )
    assert place(row) == pytest.approx(before, abs=1)  # places are rounded to parts of a pixel
    assert page.evaluate("getSelection().toString()") == "14995"

    page.evaluate("getSelection().removeAllRanges()")
    shows_line(page, "40000")
    row = page.locator("#lines-here .line", has_text=re.compile("^39995$"))
    row.locator(".text").dblclick()
    before = place(row)
    puppet.say(many(40_001, 50_000))
    expect(page.locator("#lines")).to_have_text("50,000 lines")
    assert place(row) == pytest.approx(before, abs=1)
    assert page.evaluate("getSelection().toString()") == "39995"


def test_select_all(person: Person, start: Callable[[str], Run]):
    """Ctrl+A takes the output and no more; of a long one, which is not all there, it offers the download."""
    page = person.open(f"/runs/{start('seq 3').id}")
    expect(page.locator(".line")).to_have_count(3)
    page.locator("#output").focus()
    page.keyboard.press("Control+a")
    assert page.evaluate("getSelection().toString()").split() == ["1", "2", "3"]

    run = start(f"seq {MANY}")
    run.wait(timeout=LONG)
    page = person.open(f"/runs/{run.id}")
    shows_line(page, str(MANY))
    page.locator("#output").focus()
    page.keyboard.press("Control+a")
    expect(page.locator("#said")).to_contain_text("Download has all of it")
    expect(page.locator("#download")).to_be_focused()
    assert page.evaluate("getSelection().toString()") == ""


def test_colours_go_on(person: Person, start: Callable[[str], Run]):
    """A colour that was set up to 500 lines before is known where one jumps to."""
    run = start(r"seq 30000; printf '\033[31m'; seq 30001 31000; printf '\033[0m'; seq 31001 60000")
    run.wait(timeout=LONG)
    page = person.open(f"/runs/{run.id}#L30520")
    shows_line(page, "30520")
    row = page.locator("#lines-here .line", has_text=re.compile("^30520$"))
    assert row.locator(".text span").get_attribute("class") == "fg1"


def test_gap(person: Person, store: Store):
    """Lines that were dropped are told where they would be, and their numbers are left out."""
    run = store.start(["sh", "-c", "seq -f %0100.0f 100000"], cap=4_000_000)
    run.wait(timeout=LONG)
    page = person.open(f"/runs/{run.id}#L50000")

    expect(page.locator("#said")).to_have_text(
        re.compile(r"^Line 50,000 is not there\. Lines [\d,]+ to [\d,]+ are missing here: ")
    )
    expect(page.locator("#lines-here .note").first).to_contain_text("were dropped at the cap on its size")
    page.evaluate("location.hash = '#L90000'")
    shows_line(page, f"{90_000:0100}")
    expect(page.locator("#lines")).to_have_text("100,000 lines")


def test_rewritten_lines(person: Person, start: Callable[[str], Run]):
    """Lines that only wrote over rows above have none of their own, and the page says so."""
    again = r"for i in $(seq 40000); do printf '\033[2A%d\nbar\n' $i; done"
    run = start(f"printf 'a\\nb\\n'; {again}; echo the end")
    run.wait(timeout=LONG)
    page = person.open(f"/runs/{run.id}")
    shows_line(page, "the end")

    page.evaluate("location.hash = '#L20000'")
    expect(page.locator("#lines-here .note").first).to_contain_text("wrote over what stands above")
