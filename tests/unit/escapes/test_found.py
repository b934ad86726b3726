"""Sequences in output that is cut anywhere."""

import re

import pytest

from runcast.escapes.found import Found
from runcast.escapes.progress import BEGINNING, ENDS, PROGRESS

DATA = (
    b"a\x1b[1mb\x1b]9;4;1;50\x1b\\c\x1b]9;4;0\x07\x1b]9;5;1\x07\x1b]0;t\x07\x1b]9;4;1;\x1b]9;4;3;\x1b\\\x1b"
)
FOUND = [b"\x1b]9;4;1;50\x1b\\", b"\x1b]9;4;0\x07", b"\x1b]9;4;3;\x1b\\"]


def found(*pieces: bytes, beginning: bytes = BEGINNING) -> list[bytes]:
    finder = Found(PROGRESS, beginning, ENDS)
    return [match[0] for piece in pieces for match in finder.feed(piece)]


@pytest.mark.parametrize("at", range(len(DATA) + 1))
def test_cut(at: int):
    """A sequence is found once, wherever it is cut."""
    assert found(DATA[:at], DATA[at:]) == FOUND


@pytest.mark.parametrize("beginning", [BEGINNING, b"\x1b"])
def test_every_byte(beginning: bytes):
    """So it is where each byte comes alone."""
    assert found(*(DATA[at : at + 1] for at in range(len(DATA))), beginning=beginning) == FOUND


def test_holds_little():
    """What is no beginning of a short sequence is not held."""
    finder = Found(re.compile(rb"\x1b\[6n"), b"\x1b")

    for piece in (b"\x1b]9;" + b"4" * 100, b"\x1b[" + b"1" * 100, b"\x1b]0;title", b"plain", b"\x1b[6"):
        list(finder.feed(piece))

    assert [match[0] for match in finder.feed(b"n\x1b[6n")] == [b"\x1b[6n", b"\x1b[6n"]
