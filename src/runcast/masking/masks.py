"""The secrets of one run, and its record without them.

Owns which values those are; more may come while the run goes on. Output goes through `MaskedStream`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from runcast.masking.matcher import Matcher, Span
from runcast.masking.values import ADD_MASK, LEAST_BYTES, MOST_BYTES, STARS, forms, lines_of
from runcast.utf8 import encode

__all__ = ["Masks"]

_STARS = STARS.encode()


class Masks:
    """What one run must not show.

    Args:
        values: see `runcast.masking.values`; those that are too short are left out.
    """

    def __init__(self, values: Iterable[str] = ()) -> None:
        self.matcher = Matcher()
        self.matcher.expect(ADD_MASK)
        self.values: list[str] = []
        self._bytes = 0
        for value in values:
            self.add(value)

    def add(self, value: str) -> bool:
        """Mask one more value from now on; return False for one that cannot be masked: see `check_values`."""
        size = len(encode(value.strip()))
        if size < LEAST_BYTES or self._bytes + size > MOST_BYTES:
            return False
        self._bytes += size
        self.values.append(value)
        for part in lines_of(value):
            for form in forms(part):
                self.matcher.add(form)
        return True

    def text(self, text: str) -> str:
        """Return a text with stars in place of each secret."""
        data = encode(text)
        covered = self.matcher.covered(data)
        if not covered:
            return text
        return b"".join(_pieces(data, covered)).decode("utf-8", "surrogateescape")

    def json(self, value: Any) -> Any:
        """Return a JSON value whose texts, names and numbers have no secret."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(name): self.json(item) for name, item in value.items()}
        if isinstance(value, list):
            return [self.json(item) for item in value]
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            shown = repr(value)
            masked = self.text(shown)
            return value if masked == shown else masked
        return value


def _pieces(data: bytes, covered: list[Span]) -> Iterable[bytes]:
    at = 0
    for start, end in covered:
        yield data[at:start]
        yield _STARS
        at = end
    yield data[at:]
