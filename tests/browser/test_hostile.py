"""Whatever a program prints, and whatever commands are called, stays text (PROMISES: T7, T8).

The corpus goes through every field that a page shows, under the server's Content-Security-Policy
and one that demands Trusted Types besides. `Person` fails a test that saw a dialog, an error or a
CSP report; here is seen that no element was made and that the text is there, word for word.
"""

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from runcast import Run, Store
from runcast.run.base import files_of
from tests.helpers.browser import LONG, Person, Puppet, Serving, lines, shows
from tests.helpers.wait import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.slow]
expect.set_options(timeout=LONG * 1000)

XSS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(2)>",
    "<svg onload=alert(3)>",
    "<svg><script>alert(4)</script></svg>",
    "<iframe srcdoc='<script>parent.alert(5)</script>'></iframe>",
    "<iframe src=javascript:alert(6)>",
    "<a href=javascript:alert(7) autofocus onfocus=alert(7)>x</a>",
    "<body onload=alert(8)>",
    "<style>@import '//evil.example/x.css';</style>",
    "<link rel=stylesheet href=//evil.example/x.css>",
    "<meta http-equiv=refresh content='0;url=javascript:alert(9)'>",
    "<base href=//evil.example/>",
    "<form action=//evil.example/><button autofocus onfocus=alert(10)>",
    "<details open ontoggle=alert(11)>",
    "<video><source onerror=alert(12)></video>",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(13)>",
    "<noscript><p title='</noscript><img src=x onerror=alert(14)>'>",
    "<template><script>alert(15)</script></template>",
    "</div></body><script>alert(16)</script>",
    '"><script>alert(17)</script>',
    "' onmouseover='alert(18)' x='",
    "--><script>alert(19)</script>",
    "]]><script>alert(20)</script>",
    "</title></textarea></style></noscript></script><script>alert(21)</script>",
    "&lt;script&gt;alert(22)&lt;/script&gt;&#60;script&#62;",
    "${alert(23)} {{constructor.constructor('alert(23)')()}} <%= 23 %>",
    "javascript:alert(24)//",
    "data:text/html,<script>alert(25)</script>",
    "\\u003cscript\\u003ealert(26)\\u003c/script\\u003e",
    "+ADw-script+AD4-alert(27)+ADw-/script+AD4-",
    "<\u017fcript>alert(28)</\u017fcript> \uff1cscript\uff1ealert(28)\uff1c/script\uff1e",
    "__proto__ constructor toString hasOwnProperty",
]
PAGE = re.compile(r"/runs(/\w+)?$")
# The elements that the pages are made of; a payload brings others, or more of these.
ELEMENTS = "() => [...document.querySelectorAll('*')].map((one) => one.localName).sort()"


@pytest.fixture(name="strict")
def strict_fixture(browser: Browser, server: Serving) -> Iterator[Person]:
    """Give somebody whose browser demands Trusted Types as well."""
    with Person(browser, server) as person:

        def demand(route: Route) -> None:
            if not route.request.is_navigation_request():
                route.continue_()
                return
            reply = route.fetch()
            policy = reply.headers["content-security-policy"] + "; require-trusted-types-for 'script'"
            route.fulfill(response=reply, headers={**reply.headers, "content-security-policy": policy})

        person.context.route(PAGE, demand)
        yield person


def elements(page: Page) -> list[str]:
    """Return the names of all elements of a page, but for those that lines are made of."""
    found: list[str] = page.evaluate(ELEMENTS)
    return [
        name
        for name in found
        if name not in ("div", "span", "li", "code", "a", "bdi", "time", "h3", "button", "progress", "ol")
        and name not in ("svg", "rect", "title", "option")  # of the names in the list
    ]


def test_output(strict: Person, run: Run, puppet: Puppet):
    """Markup in output, on both channels and in coloured text, is shown and not heeded."""
    page = strict.open(f"/runs/{run.id}")
    shows(page)
    before = elements(page)
    puppet.say("".join(f"{text}\n" for text in XSS))
    shows(page, *XSS)
    puppet.say("".join(f"{text}\n" for text in XSS), fd=2)
    shows(page, *XSS, *XSS)
    puppet.say("".join(f"\033[31m{text}\033[0m {text}\n" for text in XSS))

    shows(page, *XSS, *XSS, *(f"{text} {text}" for text in XSS))
    assert elements(page) == before
    puppet.exit()
    expect(page.locator("#state")).to_have_text("done")
    assert elements(page) == before


def test_markup_in_pieces(strict: Person, run: Run, puppet: Puppet):
    """Markup that comes character by character, over an earlier text, is text."""
    page = strict.open(f"/runs/{run.id}")
    shows(page)
    before = elements(page)
    for character in "\rsafe\r<img src=x onerror=alert(1)>":
        puppet.say(character)

    shows(page, "<img src=x onerror=alert(1)>")
    assert elements(page) == before


def test_demanded(strict: Person, run: Run):
    """The browser of these tests does refuse what the policy forbids: a string as HTML, a script inline."""
    page = strict.open(f"/runs/{run.id}")
    refused = page.evaluate(
        """() => {
          try { document.body.innerHTML = "<b>x</b>"; return "done"; } catch (error) { return error.name; }
        }"""
    )
    page.evaluate(
        "document.body.append(Object.assign(document.createElement('style'), {textContent: 'p {}'}))"
    )

    assert refused == "TypeError"
    # Of each a message of the browser's and a report; a look at the page lets them come.
    wait_until(lambda: page.title() and len(strict.problems) == 4, what="four messages")
    assert all(re.search("CSP|Content Security|TrustedHTML", problem) for problem in strict.problems)
    strict.problems.clear()


def test_command_and_name(strict: Person, store: Store):
    """Markup as the name of a run and in its arguments is text in the list and on its page."""
    ids = [store.start(["true", text], name=text).id for text in XSS]
    page = strict.open()
    expect(page.locator(".row")).to_have_count(len(XSS))
    expect(page.locator(".row .state")).to_have_text(["done"] * len(XSS))

    assert page.locator(".row .name").all_text_contents() == XSS[::-1]
    before = elements(page)
    page.reload()
    expect(page.locator(".row")).to_have_count(len(XSS))
    assert elements(page) == before
    assert set(page.locator(".row a").evaluate_all("all => all.map((a) => new URL(a.href).protocol)")) == {
        "http:"
    }
    for run_id, text in zip(ids[:3] + ids[-3:], XSS[:3] + XSS[-3:], strict=True):
        page.goto(f"{strict.server.root}/runs/{run_id}")
        expect(page.locator("#title")).to_have_text(text)
        assert text in page.inner_text("#command").replace("'\\''", "'")
        assert text in page.title()


def test_last_lines_and_searches(strict: Person, store: Store, run: Run, puppet: Puppet):
    """Markup as the last line of a run in the list, in a search of all runs, and in a filter is text."""
    page = strict.open()
    expect(page.locator(".row")).to_have_count(1)
    before = elements(page)
    for text in XSS:
        puppet.say(f"{text}\n")
    expect(page.locator(".row .last")).to_have_text(XSS[-1])
    puppet.say(f"{XSS[0]}{XSS[1]}\n")
    expect(page.locator(".row .last")).to_have_text(XSS[0] + XSS[1])
    assert elements(page) == before

    page.goto(f"{strict.server.root}/runs?q=alert")
    expect(page.locator("#hits-list li li")).to_have_count(10)
    found = [text for text in XSS if "alert" in text][:10]
    assert page.locator("#hits-list li li bdi").all_text_contents() == found
    assert elements(page) == before
    for text in XSS[:2]:
        for query in (f"q={quote(text)}", f"name={quote(text)}", f"q={quote(text)}&name={quote(text)}"):
            page.goto(f"{strict.server.root}/runs?{query}&state={quote(text) if 'q=' in query else ''}")
            expect(page.locator("#name")).to_have_value(text if "name=" in query else "")
            expect(
                page.get_by_role("alert") if "q=" in query else page.locator("#empty-what")
            ).to_be_visible()
            assert elements(page) == before


def test_configuration(browser: Browser, store: Store, tmp_path: Path):
    """Markup in titles, descriptions and commands of the configuration is text."""
    config = tmp_path / "server.toml"
    config.write_text(
        "".join(
            f"[commands.c{number}]\ncommand = {json.dumps(['true', text])}\n"
            f"title = {json.dumps(text)}\ndescription = {json.dumps(text)}\n"
            for number, text in enumerate(XSS)
        )
    )
    with Serving("--config", config) as server, Person(browser, server) as person:
        page = person.open()
        expect(page.locator(".card")).to_have_count(len(XSS))

        assert page.locator(".card h3").all_text_contents() == XSS
        assert page.locator(".card p").all_text_contents() == XSS
        assert page.locator("script, iframe, style, svg, form, img").count() == 4  # ours: script, forms, logo


def test_parameters(browser: Browser, store: Store, tmp_path: Path):
    """Markup in titles, help, choices and values of parameters is text, and so it is in an address."""
    texts = json.dumps(XSS)
    config = tmp_path / "server.toml"
    config.write_text(
        "".join(
            f"[commands.c{number}]\ncommand = ['true', '--', '{{a}}', '{{b}}']\n"
            f"[commands.c{number}.params.a]\ntitle = {json.dumps(text)}\nhelp = {json.dumps(text)}\n"
            f"[commands.c{number}.params.b]\ntype = 'choice'\nchoices = {texts}\n"
            for number, text in enumerate(XSS)
        )
    )
    with Serving("--config", config) as server, Person(browser, server) as person:
        page = person.open()
        for number, text in enumerate(XSS):
            values = urlencode({"start": f"c{number}", "p.a": text, "p.b": text, f"p.{text}": text})
            page.goto(f"{server.root}/runs?{values}")
            form = page.get_by_role("dialog")
            assert form.locator("label").first.text_content() == text
            assert form.locator("input").input_value() == text
            assert form.locator("select").input_value() == text
            assert form.locator("option").all_text_contents() == XSS
            assert form.locator("script, iframe, style, svg, img, a").count() == 0


def test_error_message(strict: Person):
    """Markup that comes back in an error message is text."""
    page = strict.open()
    before = elements(page)
    for text in ("<img src=x onerror=alert(1)> && x", "no-such-program '<script>alert(2)</script"):
        page.get_by_label("Any command").fill(text)
        page.get_by_label("Any command").press("Enter")
        expect(page.get_by_role("alert")).to_be_visible()
        assert elements(page) == before


def test_raw_output(strict: Person, run: Run, puppet: Puppet):
    """The whole text, opened in a tab, is text for the browser."""
    puppet.say("<!doctype html><script>alert(1)</script>\n" + "\n".join(XSS))
    puppet.exit()
    run.wait(timeout=LONG)
    page = strict.open(f"/runs/{run.id}/log?follow=0&format=text")

    assert page.evaluate("document.contentType") == "text/plain"
    assert page.evaluate("document.scripts.length") == 0


def test_files_of_a_run(strict: Person, store: Store, tmp_path: Path):
    """Markup in a run's folder, environment, progress, outcome and value is text on its page."""
    folder = tmp_path / "<img src=x onerror=alert(1)>"
    folder.mkdir()
    run = store.start(["true"], name="plain", cwd=str(folder), env={XSS[0]: XSS[1]})
    run.wait(timeout=LONG)
    wait_until(lambda: run.closed, timeout=LONG)
    page = strict.open(f"/runs/{run.id}")
    expect(page.locator("#state")).to_have_text("done")
    before = elements(page)
    every = " ".join(XSS)
    outcome = {"reason": "failed to start", "code": None, "signal": None, "message": every, "value": XSS}
    path = Path(files_of(run).path)
    (path / "outcome.json").write_text(json.dumps(outcome | {"ended_at": 1.0}))
    (path / "progress.json").write_text(json.dumps({"done": 1, "total": 2, "text": every, "time": 1.0}))
    page.reload()

    expect(page.locator("#state")).to_have_text("not started")
    assert page.locator("#outcome").text_content() == f"Could not be started: {every}."
    assert page.locator("#progress-text").text_content() == every
    assert elements(page) == before


def test_address(strict: Person):
    """Markup in the address of a page, as an id or a query, makes no element and no script."""
    page = strict.open()
    for text in (XSS[1], XSS[19]):
        page.goto(f"{strict.server.root}/runs?{quote(text, safe='<>=() ')}#{text}")
        expect(page.locator("#link")).to_have_text("live")
        page.goto(f"{strict.server.root}/runs/{quote(text, safe='')}?{quote(text, safe='')}")
        assert page.locator("img[src=x], script:not([src]), iframe").count() == 0
        assert "alert" not in page.evaluate("[...document.scripts].map((one) => one.text).join()")


def test_hidden_characters(strict: Person, store: Store):
    """A command is read as what it is: what turns text around, or is not seen, is written out."""
    run = store.start(["true", "a\u202eb\u200bc\x1b[31md\ne"], name="x\u202ey")
    page = strict.open(f"/runs/{run.id}")

    expect(page.locator("#title")).to_have_text("x\u2039U+202E\u203ay")
    expect(page.locator("#command")).to_have_text(
        "true 'a<202E>b<200B>c<001B>[31md↵e'".replace("<", "\u2039U+").replace(">", "\u203a")
    )


# What is understood within a line: overwriting and erasing, tabs; and the line that it makes.
EDITING = [
    ("abc\rX", "Xbc"),
    ("abc\r\033[KX", "X"),
    ("abc\033[2K\rX", "X"),
    ("abc\033[1GX", "Xbc"),
    ("abc\033[2DX", "aXc"),
    ("a\033[2CX", "a  X"),
    ("a\033[9C\033[KX", "a         X"),
    ("abc\bX", "abX"),
    ("\b\b\033[9DX", "X"),
    ("abc\033[1K\rX", "X"),
    ("a\tb", "a\tb"),
    ("abc\r", "abc"),
    ("abc\033[2D\033[@X", "aXbc"),
    ("abc\033[2D\033[PX", "aX"),
    ("abc\033[3D\033[2XX", "X c"),
    ("a\033[3b", "aaaa"),
    ("a\0337bc\0338X", "aXc"),
    ("\033(0lqk\033(B", "\u250c\u2500\u2510"),
    ("\u65e5\u672c\rX", "X \u672c"),
]
# What goes to other lines, and the lines that it makes of a screen's.
MOVING = [
    ("a\nb\nc\n\033[2AX\n\n", ["a", "X", "c"]),
    ("a\nb\nc\n\033[3A\033[JX\n\n\n", ["X", "", ""]),
    ("a\nb\n\033[2A\033[LX\n\n\n", ["X", "a", "b"]),
    ("a\nb\n\033[2A\033[MX\n", ["X", ""]),
    ("a\033[2BX\n", ["a", "", " X"]),
    ("a\n\033[H\033[2J\033[3JX\n", ["a", "X"]),
    ("a\fb\vc\u0085d\n", ["a", "b", "c", "d"]),
    ("\033[2;3ra\nb\nc\nd\033[r", ["a", "c", "d"]),
    ("a\033[?1049hAPP\033[2;2HAPP\033[?1049lb\n", ["ab"]),
    ("a\033Db\033[Ac\033Md\n", ["   d", "a c", " b"]),
]
# Sequences that vanish whole, and what they leave.
VANISHING = [
    # colours
    ("\033[1;31mX\033[0m", "X"),
    ("\033[38;5;196mX\033[m", "X"),
    ("\033[38;2;255;0;0mX\033[39m", "X"),
    ("\033[48;5;16;97mX\033[49;39m", "X"),
    ("\033[4:3mX\033[24m", "X"),
    ("\033[8mhidden\033[28m", "hidden"),
    ("\033[38mX\033[999999999999m\033[0m", "X"),
    # what would change the terminal
    ("\033[3J", ""),
    ("\033[4;5x\033[1;1;9;9$x", ""),
    ("\033[2;1$w\033[1'z", ""),
    ("\033[8;9;9t\033[3;0;0t\033[2t", ""),
    ("\033[>4;2m\033[>1u\033[=5;1u", ""),
    ("\033[?5h\033[?3h\033[?5l\033[?3l", ""),
    ("\033[?25l\033[?25h", ""),
    ("\033[?1049h\033[?1049l", ""),
    ("\033[?2004h\033[?1000h", ""),
    ("\033(0\033(B", ""),
    ("\033#8", ""),
    ("\033=\033>", ""),
    ("\033[4h\033[4l", ""),
    ("\033[!p\033[2 q\033[12$p", ""),
    ("\033[?2K\033[>1G", ""),
    # questions, which a terminal would answer into stdin
    ("\033[c\033[>c\033[=c", ""),
    ("\033[5n\033[6n", ""),
    ("\033[18t\033[21t", ""),
    ("\033[?1$p", ""),
    ("\033Z\005", ""),
    # strings to the terminal, whatever ends them
    ("\033]0;title\007", ""),
    ("\033]2;title\033\\", ""),
    ("\033]52;c;aGVsbG8=\007", ""),
    ("\033]8;;javascript:alert(1)\033\\link\033]8;;\033\\", "link"),
    ("\033]8;;https://example.org/\007link\033]8;;\007", "link"),
    ("\033]4;1;?\007\033]10;?\007", ""),
    ("\033]1337;File=name=eA==:" + "QUFB" * 500 + "\007", ""),
    ("\033]777;notify;a;b\007", ""),
    ("\033]50;xfont\007", ""),
    ("\033P$qm\033\\", ""),
    ("\033P+q544e\033\\", ""),
    ("\033Pq#0;2;0;0;0~\033\\", ""),
    ("\033_Gi=1;AAAA\033\\", ""),
    ("\033^private\033\\", ""),
    ("\033Xstring\033\\", ""),
    # one within another, and what is none
    ("\033[31\033[0m", ""),
    ("\033]0;a\033[31m\033[0m", ""),
    ("\033[31ä", "ä"),
    ("\033\033[31m\033[0m", ""),
    # other control characters
    ("\007\016\017\x7f\x00\x1c", ""),
    ("\u009b31m\u0090q\u009c\u009b0m", ""),
    ("\u009d0;title\u009c\u009e-\u009c\u009f-\u009c\u0098-\u009c", ""),
    # more of what is a string to a terminal, or a question
    ("\033]9;4;1;50\007\033]9;notify\007", ""),
    ("\033]133;A\007\033]633;A\007\033]7;file:///etc\007", ""),
    ("\033]1337;SetUserVar=a=YQ==\007", ""),
    ("\033]104\007\033]110\007\033]22;wait\007", ""),
    ("\033]99;i=1;text\033\\", ""),
    ("\033[?996n\033[?15n\033[x", ""),
    ("\033P1000p%begin\033\\", ""),
    ("\033P=1s\033\\\033P1$r0m\033\\", ""),
    ("\033[i\033[5i\033[4i", ""),
    ("\033]3;?\007\033]5;0;?\007\033]12;?\007", ""),
    ("\033[1;2y\033[0q\033[>q", ""),
    ("\033l\033m\033n\033o\033|\033}\033~", ""),
]
# Broken ones: they end with their line, and swallow nothing behind it.
BROKEN = [
    "\033",
    "\033[",
    "\033[31",
    "\033]0;never ended",
    "\033P never ended either",
    "\033(",
    "\033]0;a\033",
]


def test_escape_sequences(strict: Person, run: Run, puppet: Puppet):
    """Colours, overwriting and moving about are shown; all other sequences vanish whole and do nothing."""
    page = strict.open(f"/runs/{run.id}")
    puppet.say("".join(f"{said}\n" for said, _ in EDITING))
    puppet.say("".join(f"<{said}>\n" for said, _ in VANISHING))
    puppet.say("".join(f"<{said}\n" for said in BROKEN))
    puppet.say("the end\n")

    left = [f"<{text}>" for _, text in VANISHING] + ["<"] * len(BROKEN)
    shows(page, *(text for _, text in EDITING), *left, "the end")
    assert re.fullmatch(r"(▶|\d+%) puppet \u2013 running", page.title())
    assert len(VANISHING) >= 60


def test_moving_about(strict: Person, store: Store):
    """What moves to other lines, clears or scrolls makes the lines that a terminal would show."""
    for said, made in MOVING:
        run = store.start(["printf", "%s", said])
        run.wait(timeout=LONG)
        page = strict.open(f"/runs/{run.id}")
        expect(page.locator("#state")).to_have_text("done")
        shows(page, *made)
        page.close()


def test_noise(strict: Person, run: Run, puppet: Puppet):
    """20,000 random pieces of sequences and markup make no element, no long page and no other text."""
    page = strict.open(f"/runs/{run.id}")
    shows(page)
    before = elements(page)
    chosen = random.Random(1)
    pieces = [said for said, _ in EDITING + VANISHING] + [said for said, _ in MOVING] + XSS + BROKEN
    for _ in range(20):
        puppet.say("".join(chosen.choice(pieces)[: chosen.randint(1, 99)] for _ in range(1000)))
    puppet.say("\n\030\033[?1049l\033c\033[999B\nthe end\n")
    wait_until(lambda: lines(page)[-1:] == ["the end"], timeout=LONG, what="the last line")

    assert elements(page) == before
    assert re.fullmatch(r"(▶|\d+%) puppet \u2013 running", page.title())
    assert not any(re.search(r"[\0-\x08\x0b-\x1f\x7f-\x9f]", text) for text in lines(page))


def test_escape_sequences_in_pieces(strict: Person, run: Run, puppet: Puppet):
    """The same when every character comes by itself."""
    page = strict.open(f"/runs/{run.id}")
    for character in "".join(f"{said}\n" for said, _ in EDITING + VANISHING[::4]):
        puppet.say(character)

    shows(page, *(text for _, text in EDITING + VANISHING[::4]))


def test_colours(person: Person, run: Run, puppet: Puppet):
    """Colours end where they are ended, go on over lines, and are each channel's own."""
    page = person.open(f"/runs/{run.id}")
    puppet.say("plain \033[31mred\033[1m bold\nstill\033[0m plain\n")
    shows(page, "plain red bold", "still plain")
    puppet.say("\033[32mgreen\n", fd=2)
    shows(page, "plain red bold", "still plain", "green")
    puppet.say("plain\n")
    shows(page, "plain red bold", "still plain", "green", "plain")

    spans = page.locator(".text span")
    assert [(one.text_content(), one.get_attribute("class")) for one in spans.all()] == [
        ("red", "fg1"),
        (" bold", "bold fg1"),
        ("still", "bold fg1"),
        ("green", "fg2"),
    ]


def test_groups_annotations_links_and_records(strict: Person, run: Run, puppet: Puppet):
    """Markup in titles, annotations, targets of links and JSON, and what begins none of these, is text."""
    page = strict.open(f"/runs/{run.id}")
    texts = [text for text in XSS if "\n" not in text]
    for text in texts:
        puppet.say(f"::group::{text}\n::error file={text},line=1,title={text}::{text}\n::endgroup::\n")
        puppet.say(f"section_start:1:a\r\033[0K{text}\nsection_end:2:a\r\033[0K\n")
        puppet.say(f"\033]8;;{text}\033\\link\033]8;;\033\\ \033]1339;url='{text}';content='{text}'\007\n")
        puppet.say(json.dumps({"msg": text, "level": text, text: text, "stack": f"{text}\n{text}"}) + "\n")
    puppet.say("the end\n")

    expect(page.locator(".line").last).to_have_text("the end")
    expect(page.locator("#annotations li")).to_have_count(min(50, len(texts)))
    expect(page.locator(".line.record").first).to_be_attached()
    targets = page.locator("#lines-here a:not(.number)").evaluate_all("all => all.map((one) => one.protocol)")
    assert set(targets) <= {"http:", "https:"}
    assert page.locator("#lines-here :is(img, script, iframe, svg, style, form, input, object)").count() == 0
    assert page.locator("#annotations :is(img, script, iframe, svg, style, form, input, object)").count() == 0
    for toggle in page.locator(".fold:enabled").all()[:5]:
        toggle.click()
    page.keyboard.press("j")
    page.keyboard.press("e")
    puppet.exit()
    expect(page.locator("#state")).to_have_text("done")
