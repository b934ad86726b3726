"""The type of the option `artifacts`: patterns of files within the folder of a run.

Owns the checks of values and their messages. What a pattern matches is `sysio/beneath.py`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from runcast.errors import UsageError
from runcast.options.types import OptionType
from runcast.utf8 import is_text

__all__ = ["ARTIFACTS"]

_PATTERNS_MOST, _CHARACTERS_MOST = 100, 1024


class _Artifacts(OptionType):
    python = "Sequence[str] | None"
    words = "a list of paths or patterns"
    json_words = "an array of paths or patterns within the folder of the run"
    schema: Mapping[str, object] = {
        "type": "array",
        "maxItems": _PATTERNS_MOST,
        "items": {"type": "string", "minLength": 1, "maxLength": _CHARACTERS_MOST},
    }
    kept_words = "a list of texts"
    toml = list[str] | None
    toml_words = 'a list of strings, such as `["report.html", "out/*.png"]`'

    def read(self, name: str, value: Any) -> list[str] | None:
        if value is None:
            return None
        if not self.takes(value):
            hint = ": write a list, also of one" if isinstance(value, str) else ""
            raise UsageError(f"expected {name} as {self.words}, got {value!r:.80}{hint}")
        if len(value) > _PATTERNS_MOST:
            raise UsageError(f"expected {name} as at most {_PATTERNS_MOST} patterns, got {len(value)}")
        return [self._pattern(name, one) for one in value] or None

    def _pattern(self, name: str, pattern: str) -> str:
        from runcast.sysio.beneath import check_pattern  # few starts have any

        if len(pattern) > _CHARACTERS_MOST:
            raise UsageError(f"expected in {name} patterns of at most {_CHARACTERS_MOST} characters")
        try:
            return check_pattern(pattern)
        except ValueError as error:
            why = str(error).removeprefix("expected ")
            raise UsageError(f"expected in {name} {why}, got {pattern!r:.80}") from None

    def takes(self, value: Any) -> bool:
        return isinstance(value, (list, tuple)) and all(map(is_text, value))

    def in_json(self, value: object) -> bool:
        return isinstance(value, list) and self.takes(value)

    def is_kept(self, value: object) -> bool:
        return isinstance(value, list) and self.takes(value)


ARTIFACTS: Final = _Artifacts()
