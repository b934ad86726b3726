"""Addresses in what is printed: where they begin and end, which may be followed; percentages."""

import random
from typing import Any

import pytest

from tests.page.node import call, case, play

pytestmark = pytest.mark.slow

# Texts with the address in them between angle brackets.
ADDRESSES = [
    "see <https://example.org>.",
    "<http://127.0.0.1:8000/>",
    "<https://example.org/a_(b)> and (<https://example.org/c>)",
    "[x](<https://example.org/d>)",
    "<https://example.org/e?f=1&g=2#h>, and so on",
    '"<https://example.org/q>"',
    "'<https://example.org/q>'",
    "<https://example.org/a/>!",
    "<https://[2001:db8::1]:8000/x>",
    "\u300c<https://example.org/\u65e5\u672c>\u300d",
    "<https://b\u00fccher.example/>",
    "**<https://example.org/bold>**",
    "<HTTPS://EXAMPLE.ORG/X>",
    "url=<https://example.org/x>;",
    "<https://example.org/x>...",
    "<https://example.org/@a/~b/*c*/d,e;f=g:h>",
    "<http://localhost:3000>\u2502",
    "two <http://a.example/> <http://b.example/>",
    "<https://user:pass@example.org/x>",
    "https://",
    "http:///x",
    "<https://exa> mple",
    "xhttps://example.org",
    "git+https://example.org/x",
    "javascript://example.org/%0aalert(1)",
    "ftp://example.org",
    "file:///etc/passwd",
    "https://example.org:99999999/",
    "no address: at all",
]


def test_addresses():
    """An address ends before the points and brackets of the sentence around it; others than http are text."""
    plain = [text.replace("<", "").replace(">", "") for text in ADDRESSES]

    def marked(text: str, found: list[Any]) -> str:
        for begin, stop, _ in reversed(found):
            text = f"{text[:begin]}<{text[begin:stop]}>{text[stop:]}"
        return text

    found = call("links.js", "addresses", *([text] for text in plain))
    assert [marked(text, one) for text, one in zip(plain, found, strict=True)] == ADDRESSES


# What a program names as the target of a link, and what the page makes of it.
TARGETS = {
    "https://example.org/a": "https://example.org/a",
    "http://example.org": "http://example.org/",
    "HTTP://example.org": "http://example.org/",
    "mailto:ada@example.org?subject=x": "mailto:ada@example.org?subject=x",
    'https://example.org/"><script>': "https://example.org/%22%3E%3Cscript%3E",
    **dict.fromkeys(
        [
            *("javascript:alert(1)", "JaVaScRiPt:alert(1)", "java\tscript:alert(1)", " https://example.org"),
            *(
                "data:text/html,x",
                "vbscript:x",
                "file:///etc/passwd",
                "blob:https://example.org/x",
                "about:blank",
            ),
            *(
                "view-source:https://example.org",
                "ssh://example.org",
                "//example.org",
                "/runs",
                "example.org",
                "",
            ),
            *("https://", "http:", "https://example.org/\n", "filesystem:https://a", "https://" + "x" * 3000),
        ],
        None,
    ),
}


def test_targets():
    """A link leads to http, https or mail, or is none."""
    assert (
        dict(zip(TARGETS, call("links.js", "target", *([text] for text in TARGETS)), strict=True)) == TARGETS
    )


A = "https://example.org/a"


def osc8(target: str, text: str, end: str = "\033\\") -> str:
    """Return a text with the link that a program sets to a target."""
    return f"\033]8;;{target}{end}{text}\033]8;;{end}"


# Outputs, with their rows and the links in them.
LINKS: dict[str, list[tuple[str, list[tuple[str, str]]]]] = {
    f"see {osc8(A, 'this')} and": [("see this and", [("this", A)])],
    f"see {osc8(A, 'this', chr(7))} and": [("see this and", [("this", A)])],
    f"\u009d8;;{A}\u009cthis\u009d8;;\u009c": [("this", [("this", A)])],
    f"\033]8;id=1:x=2;{A}\033\\x": [("x", [("x", A)])],
    f"\033]8;;{A}?a;b\033\\x": [("x", [("x", f"{A}?a;b")])],
    osc8(A, "a\033[1mb\033[0mc"): [("abc", [("a", A), ("b", A), ("c", A)])],
    osc8(A, "a") + osc8(A, "b"): [("ab", [("ab", A)])],
    f"\033]8;;{A}\033\\one\ntwo\nthree\n": [("one", [("one", A)]), ("two", []), ("three", [])],
    f"a\n\033]8;;{A}\033\\one\ntwo\nthree\n": [("a", []), ("one", [("one", A)]), ("two", []), ("three", [])],
    osc8("javascript:alert(1)", "x"): [("x", [])],
    osc8(A, "a") + osc8("file:///etc/passwd", "b"): [("ab", [("a", A)])],
    osc8("https://example.org/" + "x" * 5000, "long") + "er": [("longer", [])],
    f"\033]8;;{A}\033[1mx": [("x", [])],
    f"\033]8;;{A}\nnext": [("", []), ("next", [])],
    f"\033]1339;url='{A}';content='a; it\\'s'\007!": [("a; it's!", [("a; it's", A)])],
    f"before \033]1339;url={A}\007 after": [(f"before {A} after", [(A, A)])],
    "\033]1339;url=javascript:x;content=text\007": [("text", [])],
    "\033]1339;content=a\r\033[2Jb\007c": [("bc", [])],
    "\033]1338;url=x;alt=y\007\033]0;title\007a": [("a", [])],
}


def test_links_of_programs():
    """A program's links are links, in any pieces; no text is lost; a line feed ends one without end."""
    whole = play([case(output) for output in LINKS])
    pieces = play([case(*(bytes([byte]) for byte in output.encode())) for output in LINKS])

    found = [[(row.text, row.links) for row in rows] for rows in whole]
    assert dict(zip(LINKS, found, strict=True)) == LINKS
    assert pieces == whole


DECEIVES = [
    ("https://bank.example", "https://evil.example/", True),
    ("www.bank.example/login", "https://evil.example/", True),
    ("https://bank.example/a", "https://bank.example/b", False),
    ("http://www.bank.example", "https://bank.example/", False),
    ("https://bank.example", "https://bank.example.evil.example/", True),
    ("Click here", "https://evil.example/", False),
    ("-Wunused-variable", "https://gcc.gnu.org/x", False),
    ("main.c", "https://example.org/main.c", False),
]


def test_deceiving_links():
    """A text that is an address, and leads to another host, is known."""
    found = call("links.js", "deceives", *((text, href) for text, href, _ in DECEIVES))

    assert found == [deceives for *_, deceives in DECEIVES]


def test_styles_within_an_address():
    """An address in several colours is one address, and no character is lost or said twice."""
    chosen = random.Random(3)
    text = "a https://example.org/x?y=1 b (https://example.org/z). c"
    cuts = [[], *[sorted(chosen.sample(range(1, len(text)), chosen.randint(1, 9))) for _ in range(100)]]
    plain = {"link": None}
    cases = [[[text[a:b], plain] for a, b in zip([0, *cut], [*cut, len(text)], strict=True)] for cut in cuts]

    for spans in call("links.js", "linked", *([one] for one in cases)):
        assert "".join(span[0] for span in spans) == text
        found: dict[str, str] = {}
        for one, _, *href in spans:
            if href:
                found[href[0]] = found.get(href[0], "") + one
        assert found == {one: one for one in ("https://example.org/x?y=1", "https://example.org/z")}


PERCENTS = {
    "tests/x.py ....    [ 40%]\n": 40,
    "\r 40%|####      | 4/10 [00:01<00:02,  3.00it/s]": 40,
    "Receiving objects:  40% (12/30)\r": 40,
    "progress 40%": 40,
    "\033[32m40.7%\033[0m": 40,
    "10%\r20%\r30%": 30,
    "100%\n": 100,
    "(5 %)": 5,
    "40%...": 40,
    "[ 40%] Building C object": None,
    "140%": None,
    "x40%": None,
    "-3%": None,
    "40% of tests": None,
    "TOTAL 10% and more\n": None,
    "50%\nnext line\n": None,
    "50%\n\n": 50,
    "": None,
}


def test_percentages():
    """A percentage at the end of the last line, before a bar or before a count is how far a program is."""
    assert (
        dict(zip(PERCENTS, call("percent.js", "percentOf", *([text] for text in PERCENTS)), strict=True))
        == PERCENTS
    )
