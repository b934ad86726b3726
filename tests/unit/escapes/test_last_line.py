"""The question at the end of output, without the codes around it."""

import pytest

from runcast.escapes.last_line import QUESTION_LENGTH, last_line, last_text


@pytest.mark.parametrize(
    ("tail", "line"),
    [
        (b"", ""),
        (b"done\n", ""),
        (b"Reading lists... Done\nDo you want to continue? [Y/n] ", "Do you want to continue? [Y/n]"),
        (b"10 %\r 20 %\rGo on? ", "Go on?"),
        (b"Password:\r", "Password:"),
        (b"\x1b[1m\x1b[38;5;2m?\x1b[0m Name \x1b[2m(me)\x1b[0m ", "? Name (me)"),
        (b"\x1b[?2004h>>> ", ">>>"),  # python 3.11 with readline
        (b"\x1b[1G\x1b[0JName? \x1b[7G", "Name?"),  # node's readline
        (b"\x1b[?25l\x1b[?7l\x1b[0m\x1b[J\x1b[0mIn [1]: \x1b[8D\x1b[8C\x1b[?7h\x1b[?25h", "In [1]:"),
        (b"\r\x1b[K\x1b[7m(END)\x1b[27m\x1b[K", "(END)"),  # less
        (b"\x1b[2J\x1b[H~\x1b[24;1Hnoise\x1b[1;1H\x1b[?25h", ""),  # vim
        (b"\x1b]0;title\x07$ ", "$"),
        (b"\x1b]8;;http://a\x1b\\link\x1b]8;;\x1b\\: ", "link:"),
        (b"Naem\b\b\bame: J\b \b", "Name:"),
        (b"a\tb\x00\x07?", "a b?"),
        (b"abc\x1b[2DX", "aXc"),
        (b"abc\x1b[3GX", "abX"),
        (b"abc\x1b[1K?", "?"),
        (b"abcdef\r\x1b[2Pz", "zdef"),
        (b"wait\x1b[", "wait"),
        (b"wait\x1b", "wait"),
        (b"wait\x1b]0;tit", "wait"),
        (b"\x1b[99999999C!", ""),
        ("Größe? ".encode(), "Größe?"),
        ("名前: ".encode(), "名前:"),
        (b"\xb6\xc3?", "\ufffd\ufffd?"),
    ],
)
def test_last_line(tail: bytes, line: str):
    """What the line shows is left: colors, titles and modes are omitted, redrawing is done."""
    assert last_line(tail) == line


def test_length():
    """Of a long line its end is kept, where the question is."""
    line = last_line(b"x" * 900 + b" go on?")

    assert len(line) == QUESTION_LENGTH
    assert line.endswith("x go on?")


@pytest.mark.parametrize(
    ("tail", "line"),
    [
        (b"", ""),
        (b"one\ntwo\n", "two"),
        (b"one\ntwo", "two"),
        (b"one\r\n\r\n \n\n", "one"),
        (b"10 %\r 20 %\r", "20 %"),
        (b"\x1b[32mok\x1b[0m\n\x1b[0m\n", "ok"),
        (b"\n" * 2000, ""),
        (b"a" * 300 + b"\n", "a" * QUESTION_LENGTH),
    ],
)
def test_last_text(tail: bytes, line: str):
    """The last line with text is found, finished or not, by its beginning."""
    assert last_text(tail) == line
