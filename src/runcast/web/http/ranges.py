"""Parts of a reply: the header Range, of one range (RFC 9110, section 14).

Must not know what has the bytes.
"""

from __future__ import annotations

import re

from runcast.errors import UsageError

__all__ = ["is_range", "parse_range"]

_RANGE = re.compile(r"bytes=([0-9]{0,20})-([0-9]{0,20})", re.I)


def is_range(header: str) -> bool:
    """Return whether the header is one for bytes; others are ignored (section 14.2)."""
    return header.lower().startswith("bytes=")


def parse_range(header: str, size: int) -> tuple[int, int]:
    """Return where a part begins and ends; where it does not begin before it ends, there is none (416).

    Args:
        header: as it came.
        size: of the whole, in bytes.

    Raises:
        UsageError: it is not one range of bytes.
    """
    match = _RANGE.fullmatch(header.strip())
    if match is None or not any(match.groups()):
        raise UsageError(f"expected Range as bytes=FIRST-LAST, one range, got {header[:80]!r}")
    first, last = match.groups()
    if not first:  # a number of last bytes
        return max(size - int(last), 0), size
    return int(first), min(int(last) + 1 if last else size, size)
