"""Which lines a terminal takes whole: counted by the rules of the kernel, without a terminal."""

import pytest

from runcast.supervisor.terminal import LINE_BYTES, line_after
from runcast.sysio.terminals import Modes

USUAL = Modes(canonical=True, ends=b"\n\r\x03\x04\x15\x1a\x1c", eof=b"\x04", echo=True)


@pytest.mark.parametrize(
    ("before", "data", "after"),
    [
        (0, b"", 0),
        (7, b"", 7),
        (7, b"abc", 10),
        (7, b"abc\n", 0),
        (7, b"abc\rde", 2),
        (4000, b"x" * 95 + b"\n" + b"y" * LINE_BYTES, LINE_BYTES),
        (4000, b"\x15" + b"y" * LINE_BYTES, LINE_BYTES),
        (LINE_BYTES, b"\x03\n\n", 0),
    ],
)
def test_lines(before: int, data: bytes, after: int):
    """The last line goes on where it was; ends, and keys that drop what there is of it, begin another one."""
    assert line_after(before, data, USUAL) == after


@pytest.mark.parametrize(
    ("before", "data"),
    [
        (0, b"x" * (LINE_BYTES + 1)),
        (4000, b"x" * 96),
        (4000, b"x" * 96 + b"\n"),
        (0, b"a\n" + b"x" * 5000 + b"\nb\n"),
        (0, b"a\n" + b"x" * 5000),
    ],
)
def test_lines_that_would_be_cut(before: int, data: bytes):
    """A line of more than 4,095 bytes is refused, wherever it stands, and whether or not it has an end."""
    with pytest.raises(ValueError, match="expected lines of up to 4095 bytes"):
        line_after(before, data, USUAL)


def test_other_ends():
    """Only what ends a line in the present modes does."""
    modes = Modes(canonical=True, ends=b"\n", eof=b"\x04", echo=True)

    assert line_after(0, b"abc\rde\x15f", modes) == 8
