"""Escape sequences of some kinds in the bytes of one channel, which are cut anywhere.

Owns what is held of a sequence that is not yet whole: a few bytes, and none of other output. Output
without ESC costs one search for it. Must not know what the sequences mean.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

__all__ = ["Found"]

_MOST = 64  # bytes of a sequence that is looked for; a longer one is none of them
# What may be the beginning of one: CSI and its parameters, a short OSC, whose end may be cut, too, or the
# intermediate bytes of a short sequence.
_PARTIAL = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*|\][0-9;]*\x1b?|[ -/]+)?\Z")


class Found:
    """Finds sequences.

    Args:
        pattern: of whole sequences that begin with ESC, have no other within, and at most 64 bytes: CSI,
            OSC with numbers, or intermediate bytes and a final one.
        beginning: of all of them; it is found faster than a pattern where output has many others.
        ends: bytes that are rarer still, with one of which each of them ends.
    """

    def __init__(
        self, pattern: re.Pattern[bytes], beginning: bytes = b"\x1b", ends: Collection[bytes] = ()
    ) -> None:
        self._pattern, self._beginning, self._ends = pattern, beginning, ends
        self._held = b""

    def feed(self, data: bytes) -> Iterable[re.Match[bytes]]:
        """Return those that end in the next piece, in order."""
        if self._held:
            data = self._held + data
            self._held = b""
        elif b"\x1b" not in data:
            return ()
        if data.find(b"\x1b", -_MOST) >= 0 and (cut := _PARTIAL.search(data, max(len(data) - _MOST, 0))):
            self._held = cut[0]
        if self._ends and not any(end in data for end in self._ends):
            return ()
        if self._beginning not in data:
            return ()
        return self._pattern.finditer(data)
