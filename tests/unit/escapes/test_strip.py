"""Stripping what a terminal would obey."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runcast.escapes.strip import Stripper

OBEYED = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\xc2[\x80-\x9f]")
PIECES = [
    *(b"text", "naïve © ✓ \u00a0".encode(), b"\n", b"\r", b"\t", b"\xc2", b"\x9b", b"\xff", b" "),
    *(b"\x1b", b"[", b"]", b"P", b"X", b"^", b"_", b"\\", b"(", b"B", b"31", b";", b"m", b"\x07"),
    *(b"\x18", b"\x1a", b"\x00", b"\x08", b"\x7f", b"\xc2\x9b", b"\xc2\x9c", b"\xc2\x90", b"\xc2\x85"),
]
OUTPUT = st.lists(st.sampled_from(PIECES) | st.binary(max_size=4), max_size=30).map(b"".join)


def stripped(*pieces: bytes) -> bytes:
    stripper = Stripper()
    return b"".join(stripper.feed(piece) for piece in pieces)


@pytest.mark.parametrize(
    ("output", "shown"),
    [
        (b"plain\ttext\r\nand more\n", b"plain\ttext\r\nand more\n"),
        ("naïve © ✓ 你好\u00a0".encode(), "naïve © ✓ 你好\u00a0".encode()),
        (b"\xff\xfe \x80\x9b bytes that are no UTF-8", b"\xff\xfe \x80\x9b bytes that are no UTF-8"),
        (b"a\x1b[1;31mred\x1b[0mb", b"aredb"),
        (b"a\x1b[?25lb\x1b[2Jc\x1b[10;20Hd\x1b[38:2::1:2:3me", b"abcde"),
        (b"a\x1b]0;title\x07b", b"ab"),
        (b"a\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\b", b"alinkb"),
        (b"a\x1b]52;c;aGVsbG8=\xc2\x9cb", b"ab"),
        (b"a\x1bPq#0;1~~\x1b\\b\x1b_app\x1b\\c\x1b^pm\x1b\\d\x1bXsos\x1b\\e", b"abcde"),
        (b"a\x1b(0b\x1b#8c\x1b7d\x1b=e\x1bcf", b"abcdef"),
        (b"a\x1b([b", b"ab"),
        (b"a\xc2\x9b31mb\xc2\x9d0;t\x07c\xc2\x90x\xc2\x9cd\xc2\x85e", b"abcde"),
        (b"bell\x07 back\x08 nul\x00 del\x7f shift\x0e\x0f vt\x0b ff\x0c", b"bell back nul del shift vt ff"),
        (b"a\x1b[3\n1mb", b"a\nb"),
        (b"a\x1b[31\x18b\x1b]t\x1ac", b"abc"),
        (b"a\x1b[31\xc3\xa9b", "aéb".encode()),
        (b"a\x1b\x1b[31mb", b"ab"),
        (b"a\x1b]0;one\x1b[31mb", b"ab"),
        (b"unfinished\x1b]0;swallows\nnot the next line", b"unfinished\nnot the next line"),
        (b"a\x1b", b"a"),
        (b"a\xc2", b"a"),
        (b"a\xc2\x07\x9b31mb\xc2\x1b[m\x80c\xc2\xc2\x9bmd", b"a\x9b31mb\x80cd"),
    ],
)
def test_what_is_shown(output: bytes, shown: bytes):
    """Sequences go whole, of controls only LF, CR and TAB stay, and text stays as it is."""
    assert stripped(output) == shown


@given(OUTPUT)
def test_nothing_obeyed_is_left(output: bytes):
    """Whatever comes in, no control code and no C1 code comes out."""
    assert not OBEYED.search(stripped(output))


@given(OUTPUT, st.data())
def test_cuts_make_no_difference(output: bytes, data: st.DataObject):
    """The same is shown however the output is cut, within sequences and characters, too."""
    cuts = sorted(data.draw(st.lists(st.integers(0, len(output)), max_size=8)))
    pieces = [output[start:end] for start, end in zip([0, *cuts], [*cuts, len(output)], strict=True)]

    assert stripped(*pieces) == stripped(output)


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"])))
def test_text_is_kept(text: str):
    """Text without control codes is shown byte for byte."""
    assert stripped(text.encode()) == text.encode()


def test_memory_is_bounded():
    """A string that never ends is thrown away as it comes, not kept."""
    stripper = Stripper()
    stripper.feed(b"\x1b]0;")
    for _ in range(64):
        assert stripper.feed(b"x" * 65536) == b""

    kept = sum(len(value) for value in vars(stripper).values() if isinstance(value, bytes))
    assert kept <= 1
    assert stripper.feed(b"\x07after") == b"after"
