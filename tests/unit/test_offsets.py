"""The text of an offset: written with 20 digits, read from digits and two words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runcast.errors import BadOffset, OffsetBeyondTail
from runcast.offsets import format_offset, parse_offset

U64 = st.integers(0, 2**64 - 1)


@given(U64, U64)
def test_offsets_as_text(one: int, other: int):
    """The text of an offset comes back, and the order of texts is the order of offsets."""
    assert parse_offset(format_offset(one), one) == one
    assert (format_offset(one) < format_offset(other)) == (one < other)
    assert len(format_offset(one)) == 20


@pytest.mark.parametrize(
    ("text", "offset"), [("0", 0), ("12", 12), ("00012", 12), ("100", 100), ("-1", 0), ("now", 100)]
)
def test_offsets_people_write(text: str, offset: int):
    """Plain decimals, `-1` for the start and `now` for the tail are taken."""
    assert parse_offset(text, 100) == offset


@pytest.mark.parametrize(
    "text", ["", " 1", "1 ", "+1", "-2", "1.0", "0x1", "NOW", "٣", "²", "1_000", "9" * 21, "\0", "1\n"]
)
def test_texts_that_are_no_offset(text: str):
    """Anything else is refused, and the message shows it."""
    with pytest.raises(BadOffset, match=r"expected an offset .*, got "):
        parse_offset(text, 100)


def test_offset_beyond_the_tail():
    """An offset past the tail is refused with the tail."""
    with pytest.raises(OffsetBeyondTail) as refused:
        parse_offset("101", 100)

    assert (refused.value.offset, refused.value.tail) == (101, 100)
