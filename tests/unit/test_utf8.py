"""Where UTF-8 may be cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runcast.utf8 import cut, mend
from tests.unit.texts import texts
from tests.unit.wire.logs import PROPERTY


@pytest.mark.parametrize("text", ["a", "\u00e9", "\u20ac", "\U0001f600"])
def test_no_character_is_cut(text: str):
    """An unfinished character at the end is left out; a finished one is not."""
    data = b"x" + text.encode()

    assert cut(data) == len(data)
    for at in range(1, len(data)):
        assert cut(data[:at]) == 1
        assert cut(data, at) == 1


@pytest.mark.parametrize(
    "tail", [b"\xff", b"\x80", b"\xc0", b"\xc1", b"\xf5", b"\x80\x80\x80\x80", b"\xc3\xa9\x80"]
)
def test_what_can_be_no_character(tail: bytes):
    """Bytes that nothing can complete are not held back."""
    assert cut(b"x" + tail) == 1 + len(tail)


@PROPERTY
@given(texts(), st.integers(0, 40))
def test_valid_text(text: str, at: int):
    """Text that is cut there is valid on both sides, at most three bytes earlier."""
    data = text.encode()
    at = min(at, len(data))

    found = cut(data, at)

    assert at - 3 <= found <= at
    assert data[:found].decode() + data[found:].decode() == text


@PROPERTY
@given(st.binary())
def test_mend(data: bytes):
    """What is mended is valid, and as a reader would have replaced it."""
    assert mend(data).decode() == data.decode("utf-8", "replace")


def test_mend_keeps_what_is_valid():
    """Valid bytes are passed on, not copied."""
    data = "a\u20ac\n".encode()

    assert mend(data) is data
