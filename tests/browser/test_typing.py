"""Typing on the page into a run that has a terminal."""

import contextlib
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from playwright.sync_api import Browser, Page, expect

from runcast import Run, Store
from tests.helpers.browser import LONG, Person, lines, shows
from tests.helpers.servers import Server
from tests.helpers.wait import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.slow]
expect.set_options(timeout=LONG * 1000)

LINES = [f"line {number} of a text" for number in range(200)]
# Shows what it reads, as Python writes it, after a sequence that sets a mode; q ends it.
ECHO = """
import os, sys, tty
tty.setraw(0)
os.write(1, b"ready" + sys.argv[1].encode().decode("unicode_escape").encode() + b"\\r\\n")
while (data := os.read(0, 4096)) != b"q":
    os.write(1, repr(data)[1:].encode() + b"\\r\\n")
"""
FLASK = """
    from flask import Flask
    from runcast.web.flask import Runcast
    app = Flask(__name__)
    cast = Runcast(app, authorize=lambda verb, run, request: verb in {verbs})
"""
Terminal = Callable[..., Run]


@pytest.fixture(name="terminal")
def terminal_fixture(store: Store) -> Iterator[Terminal]:
    """Give a function that starts a command in a terminal."""
    runs: list[Run] = []

    def start(*argv: str, **options: object) -> Run:
        runs.append(store.start(list(argv), name="terminal", tty=True, **options))
        return runs[-1]

    yield start
    for run in runs:
        if run.outcome is None:
            run.kill()


@pytest.fixture(name="file")
def file_fixture(tmp_path: Path) -> Path:
    """Give a file of 200 lines."""
    file = tmp_path / "text"
    file.write_text("".join(f"{line}\n" for line in LINES))
    return file


def typing(person: Person, run: Run) -> Page:
    """Open the page of a run and begin to type."""
    page = person.open(f"/runs/{run.id}")
    page.get_by_role("button", name="Type", exact=True).click()
    expect(page.locator("#keys-here")).to_be_focused()
    return page


def shown(page: Page) -> list[str]:
    """Return the rows of the screen, without spaces at their ends."""
    return [line.rstrip() for line in lines(page)]


def last(page: Page) -> str:
    """Return the last row that has a text."""
    return next((row for row in reversed(shown(page)) if row), "")


def sees(page: Page, *expected: str) -> None:
    """Wait until the rows contain these, in this order, one below the other."""
    __tracebackhide__ = True
    wanted = list(expected)

    def there() -> bool:
        rows = shown(page)
        return any(rows[at : at + len(wanted)] == wanted for at in range(len(rows)))

    with contextlib.suppress(AssertionError):
        wait_until(there, timeout=LONG)
    assert there(), f"expected {wanted} one below the other, got {shown(page)}"


def test_vim(person: Person, terminal: Terminal, file: Path):
    """A file is edited with vim: text, Escape, commands, and the cursor keys."""
    run = terminal("vim", "-u", "NONE", "-N", str(file))
    page = typing(person, run)
    sees(page, *LINES[:5])

    page.keyboard.type("ihello ")
    sees(page, f"hello {LINES[0]}", LINES[1])
    page.keyboard.press("Escape")
    page.keyboard.press("ArrowDown")
    page.keyboard.type("dd")
    sees(page, f"hello {LINES[0]}", LINES[2])
    page.keyboard.type(":wq")
    page.keyboard.press("Enter")

    expect(page.locator("#state")).to_have_text("done")
    assert file.read_text().splitlines()[:2] == [f"hello {LINES[0]}", LINES[2]]
    expect(page.locator("#typing")).to_be_hidden()
    assert not any(LINES[5] in line for line in lines(page))


def test_nano(person: Person, terminal: Terminal, file: Path):
    """A file is edited with nano, whose keys are those with Ctrl."""
    page = typing(person, terminal("nano", "--ignorercfiles", str(file)))
    sees(page, *LINES[:5])

    page.keyboard.type("hello ")
    sees(page, f"hello {LINES[0]}", LINES[1])
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Control+k")
    sees(page, f"hello {LINES[0]}", LINES[2])
    page.keyboard.press("Control+o")
    wait_until(
        lambda: any("File Name to Write" in row for row in shown(page)), timeout=LONG, what="its question"
    )
    page.keyboard.press("Enter")
    wait_until(lambda: any("Wrote 199 lines" in row for row in shown(page)), timeout=LONG, what="its answer")
    page.keyboard.press("Control+x")

    expect(page.locator("#state")).to_have_text("done")
    assert file.read_text().splitlines()[:2] == [f"hello {LINES[0]}", LINES[2]]


def test_less(person: Person, terminal: Terminal, file: Path):
    """A file is read with less: a search, pages, the cursor keys of an application."""
    page = typing(person, terminal("less", str(file)))
    sees(page, *LINES[:5])
    page.keyboard.press("ArrowDown")
    wait_until(lambda: LINES[0] not in shown(page), timeout=LONG, what="the next line at the top")
    page.keyboard.type("/line 150")
    page.keyboard.press("Enter")
    sees(page, *LINES[150:155])
    page.keyboard.press("Home")
    page.keyboard.type("g")
    sees(page, *LINES[:5])
    page.keyboard.press("PageDown")
    wait_until(lambda: LINES[0] not in shown(page), timeout=LONG, what="the next page")
    page.keyboard.type("q")

    expect(page.locator("#state")).to_have_text("done")


def test_keys_and_pastes(person: Person, terminal: Terminal):
    """Keys and characters go as xterm sends them; of a paste, text alone, in brackets if they are wanted."""
    run = terminal(sys.executable, "-I", "-c", ECHO, "\\x1b[?2004h\\x1b[?1h")
    page = typing(person, run)
    sees(page, "ready")
    pressed = {
        "ArrowUp": "'\\x1bOA'",
        "Control+c": "'\\x03'",
        "Control+z": "'\\x1a'",
        "Tab": "'\\t'",
        "Shift+Tab": "'\\x1b[Z'",
        "Escape": "'\\x1b'",
        "Backspace": "'\\x7f'",
        "Alt+x": "'\\x1bx'",
        "F5": "'\\x1b[15~'",
        "Enter": "'\\r'",
    }
    for key, sent in pressed.items():
        page.keyboard.press(key)
        wait_until(lambda sent=sent: last(page) == sent, timeout=LONG, what=sent)  # type: ignore[misc]
    page.keyboard.insert_text("\u00fc\u65e5")  # as an input method does
    sees(page, r"'\xc3\xbc\xe6\x97\xa5'")
    page.locator("#keys-here").evaluate(
        """(field, text) => {
          const clipboardData = new DataTransfer();
          clipboardData.setData("text/plain", text);
          field.dispatchEvent(new ClipboardEvent("paste", {clipboardData, bubbles: true, cancelable: true}));
        }""",
        "a\x1b[201~\nb\x03",
    )
    sees(page, "'\\x1b[200~a[201~\\rb\\x1b[201~'")
    page.keyboard.type("q")

    expect(page.locator("#state")).to_have_text("done")


def test_way_out(person: Person, terminal: Terminal):
    """Typing ends by a key that the page names and by a button; the keyboard is the page's again."""
    page = typing(person, terminal("cat"))
    expect(page.locator("#typing")).to_contain_text("Ctrl+Shift+L")
    page.keyboard.press("Control+Shift+L")
    expect(page.locator("#typing")).to_be_hidden()
    again = page.get_by_role("button", name="Type", exact=True)
    expect(again).to_be_focused()
    page.keyboard.press("Tab")
    expect(again).not_to_be_focused()

    again.click()
    page.keyboard.type("one")
    sees(page, "one")
    page.get_by_role("button", name="Leave").click()
    expect(page.locator("#keys-here")).to_be_hidden()
    page.keyboard.press("x")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    shows(page, "one")


def test_size_of_the_window(person: Person, terminal: Terminal):
    """While somebody types, the terminal has the size of the window, and follows it."""
    run = terminal("bash", "-c", "trap 'stty size' WINCH; echo ready; while :; do read -t 0.1; done")
    page = person.open(f"/runs/{run.id}")
    sees(page, "ready")
    page.get_by_role("button", name="Type", exact=True).click()
    size = re.compile(r"\d+ \d+")
    wait_until(lambda: size.fullmatch(last(page)), timeout=LONG, what="the first size")
    rows, columns = map(int, last(page).split())
    assert rows >= 5
    assert columns > 100

    page.set_viewport_size({"width": 640, "height": 900})

    def narrower() -> bool:
        found = size.fullmatch(last(page))
        return bool(found) and int(last(page).split()[1]) < columns

    wait_until(narrower, timeout=LONG, what="the size of the narrower window")


def test_cursor(person: Person, terminal: Terminal):
    """The cursor is where the program has it, also on a character of two cells; it goes when typing ends."""
    page = typing(person, terminal("bash", "-c", "printf '\\u65e5x\\e[H'; cat"))
    expect(page.locator(".cursor")).to_have_text("\u65e5")
    page.get_by_role("button", name="Leave").click()

    expect(page.locator(".cursor")).to_have_count(0)


def test_nobody_answers(person: Person, terminal: Terminal):
    """No question of a program makes the page send anything: only keys and the size leave it."""
    asks = r"\e[c\e[>c\e[6n\e[?6n\e[5n\e[?2004$p\eP$qm\e\\\e]10;?\a\e]4;1;?\a\e]52;c;?\a\005\e[18t\e[>q"
    run = terminal("bash", "-c", f"stty raw -echo; printf ready$'{asks}'; cat >/dev/null")
    page = person.open(f"/runs/{run.id}")
    sent: list[str | bytes] = []
    asked: list[str] = []
    page.on("websocket", lambda socket: socket.on("framesent", lambda frame: sent.append(frame)))
    page.on("request", lambda request: request.method == "GET" or asked.append(request.url))
    page.reload()
    sees(page, "ready")
    page.get_by_role("button", name="Type", exact=True).click()
    page.keyboard.type("x")
    # A look at the page lets its events come.
    wait_until(lambda: page.title() and "stdin" in str(sent), timeout=LONG, what="the key")

    assert [one for one in sent if "resize" not in str(one)] == ['{"stdin":"x"}']
    assert asked == []


@pytest.mark.parametrize("verbs", [["read"], ["read", "send"]], ids=["reads", "sends"])
def test_who_may_type(browser: Browser, terminal: Terminal, tmp_path: Path, verbs: list[str]):
    """Who may only read is offered no typing; behind a WSGI server keys go by plain requests."""
    run = terminal("cat")
    with Server(tmp_path, "gunicorn", FLASK.format(verbs=verbs)) as server:
        with Person(browser, SimpleNamespace(root=server.root, url=server.root)) as person:
            page = person.open(f"/runs/{run.id}")
            expect(page.locator("#state")).to_have_text(re.compile("running|waiting"))
            button = page.get_by_role("button", name="Type", exact=True)
            expect(button).to_be_visible(visible="send" in verbs)
            if "send" in verbs:
                button.click()
                page.keyboard.type("one")
                page.keyboard.press("Enter")
                sees(page, "one", "one")
                assert all("WebSocket connection" in problem for problem in person.problems)
                person.problems.clear()


def test_no_typing_without_a_terminal(person: Person, run: Run, terminal: Terminal):
    """A run that writes into pipes, or that has ended, is offered none."""
    page = person.open(f"/runs/{run.id}")
    expect(page.locator("#state")).to_have_text("running")
    expect(page.locator("#type")).to_be_hidden()

    ended = terminal("true")
    ended.wait(timeout=LONG)
    page = person.open(f"/runs/{ended.id}")
    expect(page.locator("#state")).to_have_text("done")
    expect(page.locator("#type")).to_be_hidden()


def test_screen_of_a_terminal(person: Person, terminal: Terminal):
    """A terminal's lines wrap at its columns, and what a program clears is gone."""
    run = terminal("printf", "gone\\n\\033[H\\033[2J%s\\n\\033[1m%s", "x" * 25, "end", columns=20, rows=5)
    run.wait(timeout=LONG)
    page = person.open(f"/runs/{run.id}")
    expect(page.locator("#state")).to_have_text("done")

    assert [line for line in shown(page) if line] == ["x" * 20, "x" * 5, "end"]


@pytest.mark.parametrize("hidden", [False, True], ids=["streams", "polls"])
def test_changes_of_the_size(person: Person, terminal: Terminal, hidden: bool):
    """Output is shown for the size that it was written for: from a stream, from polls, and in a replay."""
    script = "stty -echo; printf %s xxxxxxxxxxxxxxxxxxxxxxxxx; read; printf '\\n%s' yyyyyyyyyyyyyyyyyyyyyyyyy"
    run = terminal("bash", "-c", script, columns=20, rows=5)
    wait_until(lambda: run.tail_offset >= 25, timeout=LONG, what="the first line")
    run.resize(40, 5)
    run.send("\n")
    run.wait(timeout=LONG)
    if hidden:
        person.context.add_init_script("Object.defineProperty(document, 'hidden', {get: () => true});")
    page = person.open(f"/runs/{run.id}")
    expect(page.locator("#state")).to_have_text("done")
    rows = ["x" * 20, "x" * 5, "y" * 25]
    assert [row for row in shown(page) if row] == rows

    page.get_by_role("button", name="Replay", exact=True).click()
    page.get_by_role("button", name="Leave replay").click()
    wait_until(lambda: [row for row in shown(page) if row] == rows, timeout=LONG, what="the same rows")


def test_password(person: Person, terminal: Terminal):
    """A password prompt of a terminal gets a box that hides what is typed, and the page never shows it."""
    run = terminal("bash", "-c", "read -s -p 'Password: ' word; echo; echo ${#word} characters")
    page = person.open(f"/runs/{run.id}")
    expect(page.locator("#waiting")).to_contain_text("It may be waiting for a password:")
    box = page.get_by_label("Password:")
    expect(box).to_have_attribute("type", "password")

    box.fill("hunter2")
    box.press("Enter")
    expect(page.locator("#state")).to_have_text("done")

    assert shown(page) == ["Password:", "7 characters"]
    assert "hunter2" not in page.content()
    assert "hunter2" not in run.output()
