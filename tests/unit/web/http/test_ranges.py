"""The header Range: one range of bytes."""

import pytest

from runcast.errors import UsageError
from runcast.web.http.ranges import is_range, parse_range


@pytest.mark.parametrize(
    ("header", "part"),
    [
        ("bytes=0-", (0, 10)),
        ("bytes=3-5", (3, 6)),
        ("Bytes=3-99", (3, 10)),
        ("bytes=-4", (6, 10)),
        ("bytes=-99", (0, 10)),
        ("bytes=10-", (10, 10)),
        ("bytes=5-3", (5, 4)),
        ("bytes=-0", (10, 10)),
    ],
)
def test_parts(header: str, part: tuple[int, int]):
    """A part is as much of it as there is; one that does not begin before it ends is none."""
    assert is_range(header)
    assert parse_range(header, 10) == part


@pytest.mark.parametrize("header", ["bytes=", "bytes=-", "bytes=a-b", "bytes=1-2,4-5", "bytes=1-" + "9" * 30])
def test_invalid(header: str):
    """What is no range of bytes is refused with what came."""
    with pytest.raises(UsageError, match="expected Range as bytes=FIRST-LAST"):
        parse_range(header, 10)


def test_other_units():
    """Other units are none of ours."""
    assert not is_range("lines=1-2")
