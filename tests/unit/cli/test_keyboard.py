"""What is typed behind a line that was refused."""

import pytest

from runcast.cli.keyboard import behind_line


@pytest.mark.parametrize(
    ("typed", "behind"),
    [
        (b"xxx", None),
        (b"", None),
        (b"tabs\tand \xc3\xa9", None),
        (b"xxx\r", b""),
        (b"xxx\n", b""),
        (b"xxx\r\n", b""),
        (b"\rnext\r", b"next\r"),
        (b"\n\n", b"\n"),
        (b"xxx\x15short\r", b"\x15short\r"),
        (b"\x03", b"\x03"),
        (b"\x7f\r", b"\x7f\r"),
    ],
)
def test_behind_line(typed: bytes, behind: bytes | None):
    """The rest of the line goes with its end, in however many pieces; a key that does something stays."""
    assert behind_line(typed) == behind
