"""What helps to read the output of a run: groups, annotations, errors, links, lines of loggers, progress."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from runcast import Run
from tests.helpers.browser import LONG, Person, Puppet
from tests.helpers.wait import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.slow]
expect.set_options(timeout=LONG * 1000)

CLEAR = "\r\033[0K"
SEEN = """() => [...document.querySelectorAll('#lines-here .line')]
  .filter((one) => one.getClientRects().length).map((one) => one.querySelector('.text').textContent)"""
GITHUB = """\
before
::group::Install
one
::endgroup::
::group::Test <b>all</b>
error: it broke
::endgroup::
##[group]Still going
last
"""


def seen(page: Page) -> list[str]:
    """Return the texts of the lines that are in sight, or would be by scrolling."""
    found: list[str] = page.evaluate(SEEN)
    return found


def sees(page: Page, *expected: str) -> None:
    """Wait until exactly these lines are in sight."""
    wait_until(lambda: seen(page) == list(expected), timeout=LONG, what=f"{expected}, of {seen(page)}")


def said(page: Page, text: str) -> None:
    """Wait until the page says something about the output."""
    expect(page.locator("#said")).to_have_text(text)


def test_groups(person: Person, run: Run, puppet: Puppet):
    """A group that is over is folded, one with an error or without an end is open; a button toggles each."""
    page = person.open(f"/runs/{run.id}")
    puppet.say(GITHUB)
    failed = ["Test <b>all</b>", "error: it broke", "::endgroup::"]

    sees(page, "before", "Install", *failed, "Still going", "last")
    install = page.get_by_role("button", name=re.compile("^Install"))
    expect(install).to_have_attribute("aria-expanded", "false")
    expect(page.get_by_role("button", name="Test <b>all</b>, failed")).to_have_attribute(
        "aria-expanded", "true"
    )
    install.focus()
    page.keyboard.press("Enter")
    sees(page, "before", "Install", "one", "::endgroup::", *failed, "Still going", "last")
    page.get_by_role("button", name="Test <b>all</b>, failed").click()
    sees(page, "before", "Install", "one", "::endgroup::", failed[0], "Still going", "last")


def test_group_of_a_failed_run(person: Person, run: Run, puppet: Puppet):
    """How a failed run ended is not folded away."""
    page = person.open(f"/runs/{run.id}")
    puppet.say("::group::a\n1\n::endgroup::\n::group::b\n2\n::endgroup::\n")
    sees(page, "a", "b")
    puppet.exit(3)

    sees(page, "a", "b", "2", "::endgroup::")


def test_sections(person: Person, run: Run, puppet: Puppet):
    """GitLab's sections have the colours of their titles and the duration of their own marks."""
    page = person.open(f"/runs/{run.id}")
    puppet.say(f"section_start:10:a[collapsed=true]{CLEAR}\033[36mBuild\033[0m\nmake\n")
    puppet.say(f"section_end:71:a{CLEAR}section_start:71:b{CLEAR}Test\nrun\nsection_end:72:b{CLEAR}\nend\n")

    sees(page, "Build", "Test", "run", "", "end")
    expect(page.get_by_role("button", name="Build, 1 min 01 s")).to_be_visible()
    expect(page.locator(".group .fg6")).to_have_text("Build")


def test_headers_on_request(person: Person, run: Run, puppet: Puppet):
    """Buildkite's headers are groups where the address asks for them."""
    puppet.say("--- one\n1\n+++ two\n2\n")
    sees(person.open(f"/runs/{run.id}"), "--- one", "1", "+++ two", "2")

    sees(person.open(f"/runs/{run.id}?groups=buildkite"), "one", "two", "2")


def test_what_is_read_does_not_fold(person: Person, run: Run, puppet: Puppet):
    """While somebody reads above the end no group folds; a link into a folded one unfolds it."""
    page = person.open(f"/runs/{run.id}")
    puppet.say("".join(f"line {number}\n" for number in range(200)) + "::group::a\n1\n")
    expect(page.locator(".group")).to_have_count(1)
    page.locator("#output").press("Home")
    expect(page.locator("#jump")).to_be_visible()
    puppet.say("::endgroup::\n::group::b\n2\n::endgroup::\nend\n")
    unfolded = ["1", "::endgroup::", "b", "2", "::endgroup::", "end"]
    wait_until(lambda: seen(page)[-6:] == unfolded, timeout=LONG, what="all of it, and both ends")
    expect(page.locator(".group-end")).to_have_count(2)
    puppet.exit()
    expect(page.locator("#state")).to_have_text("done")

    page.reload()
    wait_until(lambda: seen(page)[-3:] == ["a", "b", "end"], timeout=LONG, what="folded groups")
    page.evaluate("location.hash = '#L202'")
    wait_until(
        lambda: seen(page)[-5:] == ["a", "1", "::endgroup::", "b", "end"], timeout=LONG, what="an open group"
    )


def test_annotations(person: Person, run: Run, puppet: Puppet):
    """Errors, warnings and notices stand above the output, each with a link to its line."""
    page = person.open(f"/runs/{run.id}")
    lines = "".join(f"line {number}\n" for number in range(300))
    puppet.say(f"::error file=a.js,line=3,title=Bad::text\n{lines}##[warning]careful\n::add-mask::secret\n")

    expect(page.locator("#annotations summary")).to_have_text("1 error, 1 warning")
    expect(page.locator("#annotations li")).to_have_text(
        ["error a.js:3 Bad: text", "warning line 302 careful"]
    )
    page.get_by_role("link", name="a.js:3").click()
    expect(page.locator(".line.chosen")).to_be_in_viewport()
    expect(page.locator(".line").last).to_have_text("::add-mask::***")
    puppet.say("::error::x\n" * 70)
    expect(page.locator("#annotations summary")).to_have_text("71 errors, 1 warning; the first 50 are listed")
    expect(page.locator("#annotations li")).to_have_count(50)


TRACE = """\
fine
2026-11-29 23:10:16 ERROR failed
Traceback (most recent call last):
  File "/srv/app.py", line 9, in <module>
    load()
  File "/usr/lib/python3.11/json/decoder.py", line 337, in decode
    raise ValueError("no")
ValueError: no
more
make: *** [Makefile:5: all] Error 1
"""


def test_next_error(person: Person, run: Run, puppet: Puppet):
    """`e` and `E` go from error to error, to the last frame of own files, and unfold what hides it."""
    page = person.open(f"/runs/{run.id}")
    puppet.say(TRACE)
    sees(page, *[line for line in TRACE.splitlines() if not line.startswith(" ")])
    page.keyboard.press("e")
    said(page, "Line 2: /srv/app.py:9.")
    expect(page.locator(".mark-error")).to_have_count(2)
    assert '  File "/srv/app.py", line 9, in <module>' in seen(page)

    page.keyboard.press("e")
    said(page, "Line 10: Makefile:5.")
    page.keyboard.press("e")
    said(page, "No error below.")
    page.keyboard.press("E")
    said(page, "Line 2: /srv/app.py:9.")
    page.keyboard.press("E")
    said(page, "No error above.")


LONG_OUTPUT = """
seq -f 'line %.0f' 1000; echo '::group::Early'; echo 'error: early'; echo ' --> a.rs:1:2'; echo '::endgroup::'
seq -f 'line %.0f' 60000; echo 'error: late'; seq -f 'line %.0f' 3000
"""


def test_errors_and_groups_of_a_long_output(person: Person, start: Callable[[str], Run]):
    """In an output of which the page has only the end, the server finds errors and, on request, groups."""
    run = start(LONG_OUTPUT)
    run.wait(timeout=LONG)
    page = person.open(f"/runs/{run.id}")
    expect(page.locator("#state")).to_have_text("done")
    page.keyboard.press("E")
    said(page, "Line 61,005.")
    page.keyboard.press("E")
    said(page, "Line 1,002: a.rs:1:2.")
    page.keyboard.press("e")
    said(page, "Line 61,005.")

    page.get_by_role("button", name="Find groups").click()
    said(page, "1 group.")
    expect(page.get_by_role("button", name="Find groups")).to_be_hidden()
    page.keyboard.press("g")
    page.evaluate("location.hash = '#L1001'")
    expect(page.get_by_role("button", name=re.compile("^Early"))).to_have_attribute("aria-expanded", "false")
    numbers = page.locator("#lines-here .line .number").evaluate_all("all => all.map((one) => one.hash)")
    assert numbers[numbers.index("#L1001") + 1] == "#L1005"


def test_links(person: Person, run: Run, puppet: Puppet):
    """Addresses and links of programs open in another tab, which learns nothing; others are text."""
    page = person.open(f"/runs/{run.id}")
    puppet.say("see (https://example.org/a_(b)), \033[1mhttps://example.org/\033[31mc\033[0m.\n")
    puppet.say("\033]8;;https://evil.example/x\033\\https://bank.example\033]8;;\033\\ ")
    puppet.say("\033]8;;javascript:alert(1)\033\\no\033]8;;\033\\ javascript:alert(2) ftp://example.org\n")

    links = page.locator(".line .leads")
    expect(links).to_have_text(
        ["https://example.org/a_(b)", "https://example.org/", "c", "https://bank.example"]
    )
    assert links.evaluate_all("all => all.map((one) => [one.href, one.rel, one.target, one.title])") == [
        [href, "noopener noreferrer", "_blank", href]
        for href in ["https://example.org/a_(b)", *["https://example.org/c"] * 2, "https://evil.example/x"]
    ]
    expect(links.last).to_have_attribute("data-host", "evil.example")
    expect(page.locator(".line").last).to_have_text(
        "https://bank.example no javascript:alert(2) ftp://example.org"
    )


def test_turned_text(person: Person, run: Run, puppet: Puppet):
    """What turns the direction of text around is a mark; the text stands as it was printed."""
    page = person.open(f"/runs/{run.id}")
    puppet.say("prog \u202egnp.exe \u2066x\u2069 \u05d0\u05d1\n\033[32m\u202ex\033[0m\n")

    sees(
        page,
        "prog \u2039U+202E\u203agnp.exe \u2039U+2066\u203ax\u2039U+2069\u203a \u05d0\u05d1",
        "\u2039U+202E\u203ax",
    )


JSON = """\
{"level":30,"time":1795993817335,"msg":"listening on http://127.0.0.1:8000/","port":8000}
{"level":"error","msg":"boom","stack":"Error: no\\n    at f (/a.js:1:2)\\n    at g","<b>":"\\u001b[31m<i>"}
plain
DEBUG: detail
{"n": 1}
"""


def test_lines_of_loggers(person: Person, run: Run, puppet: Puppet):
    """JSON of a logger is a row of time, level, message and fields; `j` shows it as it was printed."""
    page = person.open(f"/runs/{run.id}")
    puppet.say(JSON)
    rows = page.locator(".line.record")
    expect(rows).to_have_count(2)
    expect(rows.first.locator(".level")).to_have_text("info")
    expect(rows.first.locator(".message a")).to_have_attribute("href", "http://127.0.0.1:8000/")
    expect(rows.first.locator(".pair")).to_have_text(["port=8000"])
    expect(rows.last.locator(".pair")).to_have_text(["<b>=<i>"])
    expect(rows.last.locator("summary")).to_have_text("Error: no (3 lines)")
    rows.last.locator("summary").click()
    expect(rows.last.locator("details > span")).to_contain_text("at f (/a.js:1:2)")

    page.keyboard.press("j")
    sees(page, *JSON.splitlines())
    page.reload()
    sees(page, *JSON.splitlines())
    page.keyboard.press("j")
    expect(rows).to_have_count(2)


def test_levels(person: Person, run: Run, puppet: Puppet):
    """Only lines of some levels are shown, with what belongs to them."""
    page = person.open(f"/runs/{run.id}")
    puppet.say("INFO one\nERROR two\n  behind it\nDEBUG three\n" + '{"level":40,"msg":"four"}\nWARN five\n')
    page.get_by_label("Level").select_option("warn")
    sees(page, "ERROR two", "  behind it", "warn four ", "WARN five")
    page.get_by_label("Level").select_option("info")
    puppet.say("DEBUG six\nERROR seven\n")
    sees(page, "INFO one", "ERROR two", "  behind it", "warn four ", "WARN five", "ERROR seven")
    page.get_by_label("Level").select_option("")
    wait_until(lambda: len(seen(page)) == 8, timeout=LONG, what="all lines")


def icon(page: Page) -> str:
    """Return the name of the page's icon."""
    href = page.locator("link[rel=icon]").get_attribute("href") or ""
    return href.rpartition("/")[2].partition(".")[0]


def test_progress(person: Person, run: Run, puppet: Puppet):
    """A percentage in the last line is the bar and the title, until another line comes or the run ends."""
    page = person.open(f"/runs/{run.id}")
    puppet.say("building\n tests [ 10%]\r tests [ 40%]")
    expect(page.locator("#progress-text")).to_have_text("40 %")
    expect(page.locator("#bar")).to_have_attribute("value", "40")
    expect(page).to_have_title("40% puppet \u2013 running")
    assert icon(page) == "icon-busy"
    puppet.say("\nlinking\n")
    expect(page.locator("#progress")).to_be_hidden()
    expect(page).to_have_title("\u25b6 puppet \u2013 running")
    puppet.say("70%")
    expect(page).to_have_title("70% puppet \u2013 running")
    puppet.exit(1)

    expect(page).to_have_title("\u2717 puppet \u2013 exit 1")
    expect(page.locator("#progress")).to_be_hidden()
    assert icon(page) == "icon-bad"


NOTICES = """window.notices = [];
window.Notification = class extends EventTarget {
  static permission = "default";
  static async requestPermission() { return (Notification.permission = window.replies ?? "granted"); }
  constructor(title, options) { super(); window.notices.push([title, options.body]); }
};
Object.defineProperty(document, "hidden", {get: () => window.away ?? false});"""


def test_bell(person: Person, run: Run, puppet: Puppet):
    """The bell asks for a notice at the end, which a page that is out of sight sends."""
    person.context.add_init_script(NOTICES)
    page = person.open(f"/runs/{run.id}")
    bell = page.get_by_role("button", name="Notify me")
    bell.click()
    expect(bell).to_have_attribute("aria-pressed", "true")
    bell.click()
    expect(bell).to_have_attribute("aria-pressed", "false")
    bell.click()
    expect(bell).to_have_attribute("aria-pressed", "true")
    page.evaluate("window.away = true")
    puppet.say("x\n")
    puppet.exit(2)

    wait_until(lambda: page.evaluate("notices.length"), timeout=LONG, what="a notice")
    ((title, body),) = page.evaluate("notices")
    assert title == "puppet: exit 2"
    assert re.fullmatch("Failed with exit code 2 after .*", body)
    expect(bell).to_be_hidden()


def test_bell_denied(person: Person, run: Run):
    """A browser that denies notices is named, and the bell stays off."""
    person.context.add_init_script(NOTICES + "window.replies = 'denied';")
    page = person.open(f"/runs/{run.id}")
    page.get_by_role("button", name="Notify me").click()

    said(page, "The browser lets this page send no notices.")
    expect(page.get_by_role("button", name="Notify me")).to_have_attribute("aria-pressed", "false")
