"""Offsets as text: what stands for a position of a log in URLs, headers and files.

Owns the two directions between an int and its text, and the two words for an end of the log. Whether
an offset is within the log is for the caller to know: it gives the tail. Must not know logs or requests.
"""

from __future__ import annotations

from runcast.errors import BadOffset, OffsetBeyondTail

__all__ = ["format_offset", "parse_offset"]

OFFSET_DIGITS = 20  # an unsigned 64-bit number, so that text order is number order


def format_offset(offset: int) -> str:
    """Return the offset as on the wire: zero-padded, so that text order is number order."""
    return f"{offset:0{OFFSET_DIGITS}d}"


def parse_offset(text: str, tail: int) -> int:
    """Parse an offset.

    Args:
        text: decimal digits, `-1` for the start, or `now` for the tail.
        tail: the tail offset now, the largest valid offset.

    Raises:
        BadOffset: the text is none of these.
        OffsetBeyondTail: it lies past the tail.
    """
    if text == "now":
        return tail
    if text == "-1":
        return 0
    if not (text.isascii() and text.isdigit()) or len(text) > OFFSET_DIGITS:
        raise BadOffset(
            f"expected an offset (decimal digits, -1 for the start or `now` for the tail), got {text[:80]!r}"
        )
    offset = int(text)
    if offset > tail:
        raise OffsetBeyondTail(offset, tail)
    return offset
