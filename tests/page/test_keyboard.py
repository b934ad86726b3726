"""What keys and pastes are as bytes for a program: the encoding of xterm."""

from typing import Any

import pytest

from tests.page.node import node

pytestmark = pytest.mark.slow

KEYS = {"c": "ctrlKey", "a": "altKey", "s": "shiftKey", "m": "metaKey"}
# A key with its modifiers before a dash, and what it sends; None where it is the browser's or comes as text.
SENT = {
    **{
        "Enter": "\r",
        "Tab": "\t",
        "Escape": "\033",
        "Backspace": "\x7f",
        "s-Tab": "\033[Z",
        "a-Enter": "\033\r",
    },
    **{"c-Backspace": "\b", "a-Backspace": "\033\x7f", "Delete": "\033[3~", "c-Delete": "\033[3;5~"},
    **{"ArrowUp": "\033[A", "ArrowDown": "\033[B", "ArrowRight": "\033[C", "ArrowLeft": "\033[D"},
    **{"Home": "\033[H", "End": "\033[F", "PageUp": "\033[5~", "PageDown": "\033[6~", "Insert": "\033[2~"},
    **{
        "c-ArrowRight": "\033[1;5C",
        "s-ArrowUp": "\033[1;2A",
        "a-ArrowLeft": "\033[1;3D",
        "cas-Home": "\033[1;8H",
    },
    **{
        "F1": "\033OP",
        "F4": "\033OS",
        "F5": "\033[15~",
        "F12": "\033[24~",
        "s-F1": "\033[1;2P",
        "c-F5": "\033[15;5~",
    },
    **{
        "c-c": "\x03",
        "c-d": "\x04",
        "c-z": "\x1a",
        "c-a": "\x01",
        "c-[": "\033",
        "c-\\": "\x1c",
        "c-]": "\x1d",
    },
    **{"cs-_": "\x1f", "c-/": "\x1f", "c- ": "\0", "cs-@": "\0", "c-v": "\x16", "c-C": "\x03"},
    **{"a-f": "\033f", "a-.": "\033.", "as-F": "\033F", "ca-c": "\033\x03"},
    **{"x": None, "X": None, "\u00e4": None, "a-\u00e4": None, "Shift": None, "Control": None, "Dead": None},
    **{
        "m-c": None,
        "m-v": None,
        "cs-V": None,
        "cs-C": None,
        "s-Insert": None,
        "c-Tab": None,
        "c-0": None,
        "c-+": None,
    },
    **{"AudioVolumeUp": None, "Unidentified": None, "constructor": None, "__proto__": None},
}
APPLICATION = {"ArrowUp": "\033OA", "Home": "\033OH", "c-ArrowUp": "\033[1;5A", "Enter": "\r", "F1": "\033OP"}


def event(name: str, **more: object) -> dict[str, Any]:
    """Return the event of a key."""
    modifiers, _, key = name.rpartition("-") if len(name) > 2 and "-" in name[1:] else ("", "", name)
    return {
        "key": key,
        **dict.fromkeys(KEYS.values(), False),
        **{KEYS[one]: True for one in modifiers},
        **more,
    }


def test_keys():
    """Keys send what xterm sends; the browser keeps its own, and characters come as text."""
    assert dict(zip(SENT, node("keys.mjs", [event(name) for name in SENT]), strict=True)) == SENT


def test_application_keys():
    """Cursor keys are those of an application where the program wants that, but for modified ones."""
    sent = node("keys.mjs", [event(name, application=True) for name in APPLICATION])

    assert dict(zip(APPLICATION, sent, strict=True)) == APPLICATION


def test_pastes():
    """Of a paste only text, tabs and line ends go to the program, and it cannot end its own brackets."""
    hostile = "\033[201~rm\r\n\x03\x04\x1b]52;c;eA==\x07\u009b5n\0\tx\x7f\u0085\n\u65e5\U0001f98a"
    clean = "[201~rm\r]52;c;eA==5n\tx\r\u65e5\U0001f98a"

    assert node("keys.mjs", [{"paste": hostile, "brackets": on} for on in (False, True)]) == [
        clean,
        f"\033[200~{clean}\033[201~",
    ]


def test_pastes_of_all_characters():
    """Of all control characters tab and the line end alone are pasted."""
    (sent,) = node("keys.mjs", [{"paste": "".join(map(chr, range(0x100))), "brackets": False}])

    assert {one for one in sent if one < " " or "\x7f" <= one < "\xa0"} == {"\t", "\r"}
