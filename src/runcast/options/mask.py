"""The type of the option `mask`: secret values, which nothing shows and nothing keeps.

Owns its checks and messages; none of them has a value. What is masked, and how, is the room masking's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from runcast.errors import UsageError
from runcast.options.types import OptionType
from runcast.utf8 import is_text

__all__ = ["MASK"]


class _Mask(OptionType):
    """`run.json` only says how many there are."""

    python = "Sequence[str] | None"
    words = "a list of texts"
    json_words = "an array of texts of at least 4 bytes each"
    schema: Mapping[str, object] = {"type": "array", "items": {"type": "string"}}
    kept_words = "a list of texts"
    toml = list[str] | None
    toml_words = "a list of strings"
    secret = True

    def read(self, name: str, value: Any) -> list[str] | None:
        if value is None:
            return None
        if not self.takes(value):
            raise UsageError(f"expected {name} as {self.words}, got {_described(value)}")
        from runcast.masking.values import check_values  # few starts have any

        check_values(value)
        return list(value)

    def takes(self, value: Any) -> bool:
        return isinstance(value, (list, tuple)) and all(isinstance(one, str) for one in value)

    def in_json(self, value: object) -> bool:
        return isinstance(value, list) and self.takes(value)

    def keep(self, value: list[str] | None) -> list[str] | None:
        if value is None:
            return None
        from runcast.masking.values import STARS

        return [STARS] * len(value)

    def is_kept(self, value: object) -> bool:
        return isinstance(value, list) and all(map(is_text, value))


def _described(value: object) -> str:
    """Return what a value is, without what it says."""
    if not isinstance(value, (list, tuple)):
        return f"a {type(value).__name__}: write a list, also of one"
    kinds = sorted({type(one).__name__ for one in value})
    return f"a list of {' and '.join(kinds)}"


MASK: Final = _Mask()
