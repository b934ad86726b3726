"""What is said of things that anybody may have named."""

import pytest

from runcast.cli.terminal import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("make -j4", "make -j4"),
        ("größe ✓", "größe ✓"),
        ("two\nlines\ttab", "two\\nlines\\ttab"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("\x9b31m", "\\x9b31m"),
        ("right\u202eleft", "right\\u202eleft"),
        ("line\u2028end", "line\\u2028end"),
        ("not \udcff UTF-8", "not \\udcff UTF-8"),
    ],
)
def test_printable(text: str, shown: str):
    """What is not printable is shown as an escape, everything else as it is."""
    assert printable(text) == shown
